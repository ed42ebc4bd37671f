"""The hosts of sinks that something waits for, or that are not well, as the store and workers see them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from webrtc_events.core.process_report import HostReport, HostState, WorkerReport
from webrtc_events.store.backlog import HostWaiting

__all__ = ["MAX_SHOWN", "SinkHost", "sink_hosts"]

MAX_SHOWN: Final = 60
_NOTHING: Final = HostWaiting(0, 0)
_WORST_FIRST: Final = (*HostState, None)


@dataclass(frozen=True, slots=True)
class SinkHost:
    """`state`: the worst that a worker says; None: it is well, or no worker had to do with it lately.

    `seconds`: the longest of what workers say, see `HostReport`. `workers`: how many say that it is not well.
    `limit`: the smallest that one of them has for it now; None: none says.
    """

    host: str
    state: HostState | None
    seconds: float
    in_flight: int
    workers: int
    waiting: HostWaiting
    limit: int | None = None


def sink_hosts(
    workers: Sequence[WorkerReport], waiting: Mapping[str, HostWaiting], max_shown: int = MAX_SHOWN
) -> list[SinkHost]:
    """The worst first, then those that most waits for. At most `max_shown`."""
    said: dict[str, list[HostReport]] = {}
    for worker in workers:
        for report in worker.hosts:
            said.setdefault(report.host, []).append(report)
    found = [_host(name, said.get(name, []), waiting.get(name, _NOTHING)) for name in {**said, **waiting}]
    found.sort(key=lambda host: (_WORST_FIRST.index(host.state), -host.waiting.events, host.host))
    return found[:max_shown]


def _host(name: str, reports: Sequence[HostReport], waiting: HostWaiting) -> SinkHost:
    state = min((report.state for report in reports), key=_WORST_FIRST.index, default=None)
    return SinkHost(
        host=name,
        state=state,
        seconds=max((report.seconds for report in reports if report.state is state), default=0.0),
        in_flight=sum(report.in_flight for report in reports),
        workers=len(reports),
        waiting=waiting,
        limit=min((report.limit for report in reports if report.limit is not None), default=None),
    )
