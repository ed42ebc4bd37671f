"""How fast does one worker empty filled outboxes, and at what cost? `python bench/drain.py` measures it.

In every round each contender fills a store, then its worker starts, and what counts is the time from the
first arrival at the sink to the last. Contenders take turns, forth and back, so that a drift of the machine
counts for all: ratios are of rounds that ran one after the other. Store (Valkey, AOF), sink (nginx, TLS,
HTTP/1.1, answers 204) and worker are processes of their own. Nothing may be lost, and the service must keep
the order.

    --compare DIR   another checkout beside this one, run by DIR/.venv/bin/python, or by --python
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import Any

from harness.contenders import ROOT, Contender, service
from harness.draining import Drained, drain
from harness.job import Job
from harness.report import machine, median, paired_ratio, progress, show_machine, table, write_json
from harness.store import BenchStore
from sinks import certificates, free_ports, healthy_sinks

HEADS = (
    "",
    "deliveries/s",
    "worker CPU s/1,000",
    "store CPU s/1,000",
    "commands/delivery",
    "scripts/delivery",
    "round trips/delivery",
    "doubled",
    "overtaken",
)
SERVICE = "webrtc-events"


def main() -> int:
    options = _options()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        store = stack.enter_context(BenchStore.running(folder, options.fsync))
        ca_file, certificate = certificates(folder)
        ports = free_ports(options.hosts)
        stack.enter_context(healthy_sinks(folder, certificate, ports, http2=False))
        urls = [f"https://127.0.0.1:{port}" for port in ports]
        job = Job(str(store.socket), str(ca_file), urls, options.subscriptions, options.events)
        found = {"machine": machine(), "store": store.version, "options": vars(options)}
        show_machine(found["machine"])
        print(
            f"Valkey {store.version}, appendfsync {options.fsync}; {job.targets} subscriptions, sinks on "
            f"{options.hosts} host(s), {job.events} events of {len(job.notification(0, 1))} bytes each"
        )
        contenders = _contenders(options, job)
        rounds = _play(contenders, options.rounds, job, store, folder)
    found["load_at_end"] = machine()["load_1_min"]
    found["rounds"] = {name: [drained.as_json() for drained in drains] for name, drains in rounds.items()}
    print(table(HEADS, [(name, *_medians(drains)) for name, drains in rounds.items()]))
    found["ratios"] = _show_ratios(rounds)
    print(f"load {found['load_at_end']} at the end; {write_json(options.name, found)}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="of each contender")
    parser.add_argument("--subscriptions", type=int, default=200)
    parser.add_argument("--events", type=int, default=100, help="to each subscription")
    parser.add_argument("--hosts", type=int, default=1, help="of the sinks")
    parser.add_argument("--fsync", choices=("everysec", "always"), default="everysec", help="appendfsync")
    parser.add_argument("--compare", metavar="DIR", help="another checkout")
    parser.add_argument("--python", metavar="PATH", help="the interpreter of the other checkout")
    parser.add_argument("--worker", metavar="OPTIONS", default="", help="options of `webrtc-events worker`")
    parser.add_argument("--name", default="drain", help="of the JSON file in build/bench/")
    return parser.parse_args()


def _contenders(options: argparse.Namespace, job: Job) -> list[Contender]:
    worker = options.worker.split()
    found = [service(SERVICE, job, ROOT, options=worker)]
    if options.compare:
        folder = Path(options.compare).resolve()
        own = folder / ".venv" / "bin" / "python"
        python = options.python or (str(own) if own.exists() else sys.executable)
        found.append(service(f"{SERVICE} in {options.compare}", job, folder, python, worker))
    return found


def _play(
    contenders: Sequence[Contender], rounds: int, job: Job, store: BenchStore, folder: Path
) -> dict[str, list[Drained]]:
    found: dict[str, list[Drained]] = {contender.name: [] for contender in contenders}
    for number in range(rounds):
        for contender in contenders if number % 2 == 0 else reversed(contenders):
            drained = drain(contender, job, store, folder)
            found[contender.name].append(drained)
            progress(
                f"round {number + 1} of {rounds}: {contender.name} {drained.per_s:,.0f}/s, "
                f"CPU {drained.worker_cpu:.3f} and {drained.store_cpu:.3f} s/1,000"
            )
    return found


def _medians(drains: Sequence[Drained]) -> list[Any]:
    names = [field.name for field in fields(Drained) if field.name != "lost"]
    return [median(getattr(drained, name) for drained in drains) for name in names]


def _show_ratios(rounds: dict[str, list[Drained]]) -> dict[str, dict[str, float]]:
    """This checkout to each other contender, in deliveries/s and in CPU."""
    own, *others = rounds
    found = {}
    for other in others:
        pairs = {
            "deliveries/s": _ratio(rounds, own, other, "per_s"),
            "worker CPU": _ratio(rounds, own, other, "worker_cpu"),
            "store CPU": _ratio(rounds, own, other, "store_cpu"),
        }
        found[other] = pairs
        print(f"{own} to {other}: " + ", ".join(f"{name} x {ratio:.3f}" for name, ratio in pairs.items()))
    return found


def _ratio(rounds: dict[str, list[Drained]], one: str, other: str, figure: str) -> float:
    return paired_ratio(
        [getattr(drained, figure) for drained in rounds[one]],
        [max(1e-9, getattr(drained, figure)) for drained in rounds[other]],
    )


if __name__ == "__main__":
    sys.exit(main())
