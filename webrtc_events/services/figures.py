"""What the store knows of the service: activity, backlog, processes and the store itself."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from webrtc_events.core.activity import COUNTS
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.process_report import ProcessReport, WorkerReport
from webrtc_events.services.sink_hosts import MAX_SHOWN, SinkHost, sink_hosts
from webrtc_events.store.activity_log import Minute
from webrtc_events.store.backlog import Waiting
from webrtc_events.store.node_status import StoreStatus, read_status
from webrtc_events.store.process_reports import Processes
from webrtc_events.store.store import Store

__all__ = ["MINUTES", "Figures", "Process", "read_figures"]

MINUTES: Final = 60
"""How many whole minutes are shown, before the one that goes on."""

_MINUTE_MS: Final = 60_000
# Three reports that did not come.
_MISSING_MS: Final = 10_000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Process:
    """`age_ms`: of its report. `last_minute`: what it counted in the last whole minute, by name."""

    name: str
    report: ProcessReport
    age_ms: int
    last_minute: Mapping[str, int]

    @property
    def missing(self) -> bool:
        """It said nothing for a while, and not that it ends: it was killed, it hangs, or it has no store."""
        return self.age_ms > _MISSING_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What is None could not be read. `store` None: the store does not answer, and nothing could.

    `workers`: how many share the partitions, also those of a release that reports nothing. `minutes`: the
    last is the one that goes on. `hosts`: see `sink_hosts`. `damaged`: reports and counts that cannot be
    read.
    """

    now_ms: int | None = None
    store: StoreStatus | None = None
    processes: Sequence[Process] | None = None
    workers: int | None = None
    minutes: Sequence[Minute] | None = None
    waiting: Waiting | None = None
    hosts: Sequence[SinkHost] = ()
    damaged: int = 0

    @property
    def more_hosts(self) -> int:
        """How many that are not well workers have not named."""
        return sum(worker.more_hosts for worker in _workers(self.processes or ()))

    def running(self, role: str) -> int | None:
        """How many processes of that role run; None: that is not known."""
        if self.processes is None:
            return None
        return sum(process.report.role == role and not process.missing for process in self.processes)

    def counted(self, name: str, minutes: int) -> int:
        """In that many of the last minutes, the one that goes on among them."""
        return sum(minute.counts.get(name, 0) for minute in (self.minutes or ())[-minutes:])

    @property
    def quiet(self) -> bool:
        """Nothing happened in all this time, and nothing waits."""
        if self.minutes is None or self.waiting is None:
            return False
        return not self.waiting.subscriptions and not any(self.counted(name, MINUTES + 1) for name in COUNTS)


def read_figures(store: Store, watermark: int, *, max_hosts: int = MAX_SHOWN) -> Figures:
    """`watermark`: see `read_status`; `max_hosts`: see `sink_hosts`.

    What cannot be read is left out; the figures say so.
    """
    status = _known(lambda: read_status(store.client, watermark))
    if status is None:
        # Each of the others would wait for it again.
        return Figures()
    said = _known(store.processes.read)
    now_ms = said.now_ms if said is not None else _known(store.processes.now_ms)
    minutes = None
    if now_ms is not None:
        last = now_ms // _MINUTE_MS
        minutes = _known(lambda: store.processes.minutes(last, MINUTES + 1))
    processes = None if said is None else _processes(said, minutes or ())
    waiting = _known(store.backlog.read)
    return Figures(
        now_ms=now_ms,
        store=status,
        processes=processes,
        workers=_known(store.workers.count),
        minutes=minutes,
        waiting=waiting,
        hosts=sink_hosts(_workers(processes or ()), waiting.hosts if waiting else {}, max_hosts),
        damaged=(said.damaged if said else 0) + sum(minute.damaged for minute in minutes or ()),
    )


def _workers(processes: Sequence[Process]) -> list[WorkerReport]:
    """What those that run have in hand."""
    reports = [process.report.worker for process in processes if not process.missing]
    return [report for report in reports if report is not None]


def _processes(said: Processes, minutes: Sequence[Minute]) -> list[Process]:
    """Those that are missing first, then by role, machine and number."""
    last = minutes[-2].by_process if len(minutes) > 1 else {}
    found = [
        Process(name, report, max(0, said.now_ms - report.at_ms), last.get(name, {}))
        for name, report in said.reports.items()
    ]
    return sorted(
        found,
        key=lambda process: (
            not process.missing,
            process.report.role,
            process.report.machine,
            process.report.pid,
        ),
    )


def _known(read: Callable[[], T]) -> T | None:
    try:
        return read()
    except Unavailable:
        return None
