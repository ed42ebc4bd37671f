"""What do more workers bring? `python bench/workers.py` measures it, as root.

Workers are held to a share of a core each, so that several find room on a small machine: what counts is how
much faster two and four drain the same outboxes than one, once all of them are busy. Beside them one
`webrtc-events worker` that is not held, and one with `--processes 2`: they tell what one command makes of
two cores that store and sink share.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from harness.contenders import Contender, service
from harness.draining import Drained
from harness.held import can_hold
from harness.report import finish, machine, median, paired_ratio, show_machine, table
from harness.rounds import drain_table, play
from harness.scene import Scene, scene

# Deliveries/s of two, times those of one at least.
GOALS = {"2 workers": 1.8, "--processes 2": 1.7}
_ONE, _PROCESSES = "1 worker", "--processes {}"


def main() -> int:
    options = _options()
    if options.share and not can_hold():
        print("Holding a worker to a share of a core takes root and control groups: --share 0 does without.")
        return 2
    with scene(hosts=options.hosts, targets=options.subscriptions, events=options.events) as place:
        report = {"machine": machine(), "store": place.store.version, "options": vars(options)}
        show_machine(report["machine"])
        print(place)
        rounds = play(list(_contenders(place, options)), options.rounds, place)
    report["rounds"] = {name: [drained.as_json() for drained in drains] for name, drains in rounds.items()}
    finish(options.name, report, [drain_table(rounds), ratios(rounds)])
    return 0


def _contenders(place: Scene, options: argparse.Namespace) -> list[Contender]:
    held = [
        _held(service(_title(count), place.job, place.job_path), count, options.share)
        for count in options.workers
    ]
    return held + [
        service(_PROCESSES.format(count), place.job, place.job_path, options=("--processes", str(count)))
        for count in (1, 2)
    ]


def _title(count: int) -> str:
    return _ONE if count == 1 else f"{count} workers"


def _held(contender: Contender, count: int, share: float) -> Contender:
    command = (sys.executable, "-m", "harness.held", str(count), str(share), *contender.work)
    path = f"{Path(__file__).parent.resolve()}:{contender.environ['PYTHONPATH']}"
    return replace(contender, work=command, environ={**contender.environ, "PYTHONPATH": path})


def ratios(rounds: Mapping[str, Sequence[Drained]]) -> str:
    """Each number of workers to one worker, and two processes to one."""
    rows = []
    for name, drains in rounds.items():
        base = _PROCESSES.format(1) if "processes" in name else _ONE
        steady, beside = ([drained.steady_per_s for drained in found] for found in (drains, rounds[base]))
        goal = GOALS.get(name)
        ratio = "-" if name == base else f"x {paired_ratio(steady, beside):.2f}"
        rows.append((name, median(steady), ratio, f"x {goal}" if goal else "-"))
    return table(("", "deliveries/s, steady", "to one", "goal"), rows)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--share", type=float, default=0.3, help="of a core, for each worker; 0: no limit")
    parser.add_argument("--workers", type=_numbers, default=[1, 2, 4], help="e.g. 1,2,4; 1 comes first")
    parser.add_argument("--subscriptions", type=int, default=200)
    parser.add_argument("--hosts", type=int, default=20, help="of the sinks")
    parser.add_argument("--events", type=int, default=100, help="to each subscription")
    parser.add_argument("--name", default="workers", help="of the JSON file in build/bench/")
    return parser.parse_args()


def _numbers(text: str) -> list[int]:
    numbers = [int(number) for number in text.split(",")]
    if numbers[0] != 1 or min(numbers) < 1:
        raise argparse.ArgumentTypeError("1 comes first: the others are compared with it")
    return numbers


if __name__ == "__main__":
    sys.exit(main())
