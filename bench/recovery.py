"""What does a failure cost? `python bench/recovery.py` measures two.

kill    One worker drains filled outboxes and is killed (SIGKILL) in the middle; another starts at once. How
        long does nothing arrive, when are all subscriptions served again, how many events are sent again, is
        any lost, or overtaken by a later one?
outage  The sinks are away while the outboxes are full and the worker tries; then they come back. How soon
        does the first event arrive, and how fast is the backlog drained, beside a drain without an outage?
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.arrivals import Arrivals, verdict
from harness.contenders import SERVICE, Contender, service
from harness.draining import fill
from harness.job import Job
from harness.processes import kill, started, tail
from harness.report import finish, machine, median, paired_ratio, progress, show_machine, table
from harness.store import BenchStore
from sinks import arrivals_file, certificates, forget_arrivals, free_ports, healthy_sinks

_WAIT_S = 300.0


@dataclass(frozen=True)
class Killed:
    """`gap_s`: from the last arrival before the kill to the next. `repeated`: events that came again.

    `all_on_s`: from the kill until something has come for each subscription.
    """

    gap_s: float
    all_on_s: float
    repeated: int
    lost: int
    overtaken: int


@dataclass(frozen=True)
class Backlog:
    """`first_s`, `last_s`: from the return of the sinks to the first and the last arrival."""

    per_s: float
    first_s: float
    last_s: float
    lost: int
    overtaken: int


class Bench:
    """A store and a job; the sinks run when a measurement says so."""

    def __init__(self, stack: ExitStack, options: argparse.Namespace) -> None:
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        self.store = stack.enter_context(BenchStore.running(self.folder))
        ca_file, self._certificate = certificates(self.folder)
        self._ports = free_ports(options.hosts)
        urls = tuple(f"https://127.0.0.1:{port}" for port in self._ports)
        self.job = Job(
            str(self.store.socket),
            str(ca_file),
            str(self.folder / "posts.ndjson"),
            urls,
            options.subscriptions,
            options.events,
        )
        path = self.folder / "job.json"
        self.job.write(path)
        self.service: Contender = service(SERVICE, self.job, path)
        self.arrivals = Arrivals(arrivals_file(self.folder))
        self._log = self.folder / "worker.log"

    @contextmanager
    def sinks(self) -> Iterator[None]:
        with healthy_sinks(self.folder, self._certificate, self._ports, http2=False):
            yield

    @contextmanager
    def worker(self) -> "Iterator[int]":
        with started(self.service.work, self.service.environ, self._log) as process:
            yield process.pid

    def fill(self) -> int:
        """Empties and fills the store; returns how many events are to come."""
        self.store.empty()
        arrivals_file(self.folder).touch()
        forget_arrivals(self.folder)
        self.arrivals = Arrivals(arrivals_file(self.folder))
        fill(self.service, self.folder)
        return self.job.targets * self.job.events

    def wait(self, count: int) -> None:
        """Returns once as many different events have come."""
        # To read all of them again and again would take time from what is measured.
        self.arrivals.wait(count, _WAIT_S)
        until = time.monotonic() + _WAIT_S
        while len({event for _, event in self.arrivals.all()}) < count:
            if time.monotonic() > until:
                raise RuntimeError(f"not all of {count:,} have come after {_WAIT_S:.0f} s\n{tail(self._log)}")
            time.sleep(0.1)


def killed(bench: Bench) -> Killed:
    count = bench.fill()
    with bench.sinks():
        with bench.worker() as pid:
            bench.arrivals.wait(count // 3, _WAIT_S)
            kill(pid)
        killed_at = time.time()
        with bench.worker():
            bench.wait(count)
    came = bench.arrivals.all()
    before = max(moment for moment, _ in came if moment <= killed_at)
    after: dict[str, float] = {}
    for moment, event in came:
        if moment > killed_at:
            after.setdefault(event.rpartition(".")[0], moment)
    found = verdict(firsts(came), bench.job.targets, bench.job.events)
    return Killed(
        gap_s=min(after.values()) - before,
        all_on_s=max(after.values()) - killed_at,
        repeated=len(came) - count,
        lost=found.lost,
        overtaken=found.overtaken,
    )


def backlog(bench: Bench, outage_s: float) -> Backlog:
    """Without an outage, the worker starts on sinks that are there."""
    count = bench.fill()
    with ExitStack() as stack:
        if not outage_s:
            stack.enter_context(bench.sinks())
        stack.enter_context(bench.worker())
        if outage_s:
            time.sleep(outage_s)
            stack.enter_context(bench.sinks())
        back_at = time.time()
        bench.wait(count)
    came = bench.arrivals.all()
    found = verdict(firsts(came), bench.job.targets, bench.job.events)
    first, last = came[0][0], came[-1][0]
    return Backlog(count / (last - first), first - back_at, last - back_at, found.lost, found.overtaken)


def firsts(came: Sequence[tuple[float, str]]) -> list[str]:
    """The events in the order in which each came for the first time."""
    return list(dict.fromkeys(event for _, event in came))


def main() -> int:
    options = _options()
    report: dict[str, Any] = {"machine": machine(), "options": vars(options)}
    show_machine(report["machine"])
    kills, backlogs, drains = [], [], []
    with ExitStack() as stack:
        bench = Bench(stack, options)
        for number in range(1, options.rounds + 1):
            kills.append(killed(bench))
            progress(f"round {number} of {options.rounds}: {kills[-1]}")
            drains.append(backlog(bench, 0.0))
            backlogs.append(backlog(bench, options.outage))
            progress(f"round {number} of {options.rounds}: {drains[-1].per_s:,.0f}/s, {backlogs[-1]}")
    report |= {
        "kill": [asdict(killing) for killing in kills],
        "outage": [asdict(outage) for outage in backlogs],
        "drain": [asdict(drain) for drain in drains],
    }
    finish(options.name, report, [_kill_table(kills), _outage_table(drains, backlogs)])
    return int(any(found.lost or found.overtaken for found in (*kills, *backlogs, *drains)))


def _kill_table(kills: Sequence[Killed]) -> str:
    row = (
        "kill -9 of the worker",
        *(median(figures[name] for figures in map(asdict, kills)) for name in _KILL),
    )
    return table(
        ("", "nothing arrives for, s", "all served again after, s", "sent again", "lost", "overtaken"), [row]
    )


_KILL = ("gap_s", "all_on_s", "repeated", "lost", "overtaken")


def _outage_table(drains: Sequence[Backlog], backlogs: Sequence[Backlog]) -> str:
    rates = [[drain.per_s for drain in found] for found in (backlogs, drains)]
    rows = [
        (name, *(median(figures[figure] for figures in map(asdict, found)) for figure in _OUTAGE), ratio)
        for name, found, ratio in (
            ("no outage", drains, "-"),
            ("after an outage", backlogs, f"x {paired_ratio(*rates):.2f}"),
        )
    ]
    heads = ("", "deliveries/s", "first after s", "last after s", "lost", "overtaken", "rate to that without")
    return table(heads, rows)


_OUTAGE = ("per_s", "first_s", "last_s", "lost", "overtaken")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--subscriptions", type=int, default=1000)
    parser.add_argument("--events", type=int, default=100, help="to each subscription")
    parser.add_argument("--hosts", type=int, default=20, help="of the sinks")
    parser.add_argument("--outage", type=float, default=20.0, help="of the sinks, s")
    parser.add_argument("--name", default="recovery", help="of the JSON file in build/bench/")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
