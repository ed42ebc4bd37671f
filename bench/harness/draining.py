"""One drain by one contender, measured: from the first arrival at the sink to the last."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sinks import arrivals_file, forget_arrivals

from harness.arrivals import Arrivals, verdict
from harness.contenders import Contender
from harness.job import Job
from harness.processes import clean_environ, cpu_s, run_logged, started, tail
from harness.store import BenchStore

__all__ = ["Drained", "drain", "fill"]

_FILL_S = 600.0
_DRAIN_S = 900.0
_SETTLE_S = 10.0


@dataclass(frozen=True)
class Drained:
    """CPU in s for 1,000 deliveries; commands, scripts and round trips of the store for one delivery.

    `steady_per_s` leaves out the first and the last fifth, in which not all workers may be busy.
    """

    per_s: float
    steady_per_s: float
    worker_cpu: float
    store_cpu: float
    commands: float
    scripts: float
    round_trips: float
    lost: int
    doubled: int
    overtaken: int

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def drain(contender: Contender, job: Job, store: BenchStore, folder: Path) -> Drained:
    """Fills, starts the worker, waits until all has come.

    Raises:
        RuntimeError: something is lost, or out of order though the contender promises order.
    """
    store.empty()
    forget_arrivals(folder)
    if contender.fill:
        fill(contender, folder)
    count = job.targets * job.events
    log = folder / "worker.log"
    arrivals = Arrivals(arrivals_file(folder))
    with started(contender.work, contender.environ, log, contender.cwd) as process:

        def failed() -> str | None:
            over = process.poll() is not None and process.returncode != 0
            return f"{contender.name} has ended\n{tail(log)}" if over else None

        arrivals.wait(1, _DRAIN_S, failed)
        begun, cpu_before, store_before = time.time(), cpu_s(process.pid), store.counters()
        arrivals.wait(count, _DRAIN_S, failed)
        # What came last is settled too.
        time.sleep(0.2)
        worker_cpu, used = cpu_s(process.pid) - cpu_before, store.counters().since(store_before)
        if contender.ordered:
            _await_settled(store)
    came = arrivals.all()
    found = verdict([event for _, event in came], job.targets, job.events)
    if found.lost or (contender.ordered and (found.overtaken or found.doubled)):
        raise RuntimeError(f"{contender.name}: {found}\n{tail(log)}")
    # The samples began a moment after the first arrival.
    sampled = max(1, sum(moment >= begun for moment, _ in came))
    return Drained(
        per_s=_rate([moment for moment, _ in came]),
        steady_per_s=_rate(sorted(moment for moment, _ in came)[len(came) // 5 : -(len(came) // 5) or None]),
        worker_cpu=worker_cpu / sampled * 1000,
        store_cpu=used.cpu_s / sampled * 1000,
        commands=used.commands / sampled,
        scripts=used.scripts / sampled,
        round_trips=used.round_trips / sampled,
        lost=found.lost,
        doubled=found.doubled,
        overtaken=found.overtaken,
    )


def _rate(moments: Sequence[float]) -> float:
    return len(moments) / max(0.001, moments[-1] - moments[0])


def _await_settled(store: BenchStore) -> None:
    until = time.monotonic() + _SETTLE_S
    while left := store.outboxes():
        if time.monotonic() > until:
            raise RuntimeError(f"{left} outboxes still hold what has arrived")
        time.sleep(0.1)


def fill(contender: Contender, folder: Path) -> None:
    """Fills its queue with the job's events."""
    environ, fault = clean_environ(contender.environ), f"{contender.name} cannot fill its queue"
    run_logged(contender.fill, environ, contender.cwd, folder / "fill.log", _FILL_S, fault)
