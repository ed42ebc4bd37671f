"""What do N workers and M masters carry, and what is busy first? `python bench/scale_model.py` computes it.

From the CPU that one delivery costs a worker and the store, as bench/drain.py measured it, and that an
accepted event costs the API and the store, as bench/api.py did. A simulation says how much of the cores is
lost while one waits for another: harness/simulation.py. Each event goes to one subscription, and the masters
carry both its acceptance and its delivery.

    --check FILE    compares with measured drains of several workers, as bench/workers.py keeps them, and
                    fails if one is further off than --tolerance
"""

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.contenders import SERVICE
from harness.report import BUILD, finish, machine, median, table
from harness.simulation import Costs, simulate

BATCHES = "publish, batches of 100"
_NUMBER = "{:,.0f}"
# Of a core, so that waits stay short and one of several may fail.
_BUSY = 0.7


def main() -> int:
    options = _options()
    if options.check:
        return check(json.loads(options.check.read_text()), options.tolerance)
    costs, api_s = _costs(options)
    report = {"machine": machine(), "costs": vars(costs) | {"api_s": api_s}, "options": vars(options)}
    worker, store, accept, api = (
        f"{cost * 1000:.3f} s" for cost in (costs.worker_s, costs.store_s, costs.accept_s, api_s)
    )
    print(f"For 1,000 deliveries: worker {worker}, store {store}")
    print(f"For 1,000 accepted events: API {api}, store {accept}")
    finish(options.name, report, [_carried(costs, options), _way(costs, api_s, options.goal)])
    return 0


def _costs(options: argparse.Namespace) -> tuple[Costs, float]:
    """As given, or else as measured last."""
    drain, api = (_measured(f"{name}.json") for name in ("drain", "api"))
    drains = drain.get("rounds", {}).get(SERVICE, [])
    batches = api.get("rounds", {}).get(BATCHES, {}).get(SERVICE, [])
    return (
        Costs(
            worker_s=_cost(options.worker, "--worker", drains, "worker_cpu"),
            store_s=_cost(options.store, "--store", drains, "store_cpu"),
            accept_s=_cost(options.accept, "--accept", batches, "store_cpu"),
            round_trip_s=options.round_trip_ms / 1000,
        ),
        _cost(options.api, "--api", batches, "api_cpu"),
    )


def _measured(name: str) -> dict[str, Any]:
    path = BUILD / name
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def _cost(given: float | None, option: str, rounds: Sequence[Mapping[str, float]], figure: str) -> float:
    """In s, for one; figures are for 1,000."""
    if given is not None:
        return given / 1000
    if not rounds:
        raise SystemExit(f"{option} is not measured yet: run bench/drain.py and bench/api.py, or give it")
    return median(figures[figure] for figures in rounds) / 1000


def _carried(costs: Costs, options: argparse.Namespace) -> str:
    """Deliveries/s of events that are accepted meanwhile, for numbers of workers and masters."""
    rows = []
    for masters in options.masters:
        found = [
            simulate(costs, workers=workers, masters=masters, partitions=options.partitions)
            for workers in options.workers
        ]
        rows.append(
            (_count(masters, "master"), *(f"{_NUMBER.format(run.per_s)} ({run.saturated})" for run in found))
        )
    heads = (
        f"deliveries/s, {options.partitions} partitions",
        *(_count(count, "worker") for count in options.workers),
    )
    return table(heads, rows)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number > 1)}"


def _way(costs: Costs, api_s: float, goal: int) -> str:
    """What it takes to carry `goal` events/s, each to one subscription."""
    store_s = costs.store_s + costs.accept_s
    rows = [
        (name, f"{each_s * 1000:.3f} s", f"{math.ceil(goal * each_s / _BUSY):,}")
        for name, each_s in (("API processes", api_s), ("masters", store_s), ("workers", costs.worker_s))
    ]
    return table((f"{goal:,} events/s", "CPU for 1,000", f"how many, {_BUSY:.0%} busy"), rows)


def check(found: Mapping[str, Any], tolerance: float) -> int:
    """Compares what was measured of 1, 2, 4 ... workers with what is computed from the one."""
    held = {name: rounds for name, rounds in found["rounds"].items() if "processes" not in name}
    one = held["1 worker"]
    costs = Costs(
        *(median(drained[figure] for drained in one) / 1000 for figure in ("worker_cpu", "store_cpu"))
    )
    rows, worst = [], 0.0
    for name, rounds in held.items():
        workers = int(name.split()[0])
        computed = simulate(costs, workers=workers, masters=1, share=found["options"]["share"]).per_s
        measured = median(drained["steady_per_s"] for drained in rounds)
        worst = max(worst, abs(computed / measured - 1))
        rows.append((name, measured, computed, f"{computed / measured - 1:+.0%}"))
    print(table(("", "measured, deliveries/s", "computed", "off by"), rows))
    if worst > tolerance:
        print(f"one is off by more than {tolerance:.0%}", file=sys.stderr)
    return int(worst > tolerance)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, of in (
        ("worker", "a worker, for deliveries"),
        ("store", "the store, for deliveries"),
        ("accept", "the store, for accepted events"),
        ("api", "the API, for accepted events"),
    ):
        parser.add_argument(f"--{name}", type=float, metavar="S", help=f"CPU of {of}, s for 1,000")
    parser.add_argument("--round-trip-ms", type=float, default=0.3, help="between a worker and a master")
    parser.add_argument("--workers", type=_numbers, default=[1, 2, 4, 8, 16, 32, 64])
    parser.add_argument("--masters", type=_numbers, default=[1, 3, 6, 12])
    parser.add_argument("--partitions", type=int, default=64)
    parser.add_argument("--goal", type=int, default=1_000_000, help="events/s to be carried")
    parser.add_argument("--check", type=Path, metavar="FILE")
    parser.add_argument("--tolerance", type=float, default=0.15)
    parser.add_argument("--name", default="scale_model", help="of the JSON file in build/bench/")
    return parser.parse_args()


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())
