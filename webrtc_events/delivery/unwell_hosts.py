"""Which hosts are not well, for people. Pure.

Times are seconds of one monotonic clock.
"""

from collections import OrderedDict
from itertools import islice
from typing import Final

from webrtc_events.core.process_report import MAX_HOSTS, HostReport, HostState
from webrtc_events.delivery.host_health import PROMPT_S
from webrtc_events.delivery.host_records import HostRecord, HostRecords

__all__ = ["UnwellHosts"]

# Whatever waits for a host that is not well comes back to it within this time, or has waited in vain.
_KNOWN_S: Final = 900.0
# Of one that answers: how long ago that was is no matter after this.
_ANSWERS_KNOWN_S: Final = 60.0
# To look at one takes 5 us.
_MAX_LOOKED_AT: Final = 200
_WORST_FIRST: Final = tuple(HostState)


class UnwellHosts:
    """Remembers at most `max_hosts` that were not well when a request to them ended."""

    def __init__(self, max_hosts: int) -> None:
        self._max_hosts = max_hosts
        # By when a request to them ended, the latest last.
        self._names: OrderedDict[str, None] = OrderedDict()

    def note(self, host: HostRecord, now_s: float) -> None:
        """A request to it has ended."""
        health = host.health
        if health.response_s >= PROMPT_S or health.unreachable or health.cools_down(now_s):
            self._names[host.name] = None
            self._names.move_to_end(host.name)
            if len(self._names) > self._max_hosts:
                self._names.popitem(last=False)
        elif self._names:
            self._names.pop(host.name, None)

    def report(self, hosts: HostRecords, now_s: float) -> tuple[list[HostReport], int]:
        """Those that are not well, the worst first, at most `MAX_HOSTS`; about how many more there are."""
        found: list[HostReport] = []
        for name in list(islice(reversed(self._names), _MAX_LOOKED_AT)):
            state = _state(hosts[name], now_s) if name in hosts else None
            if state is None:
                del self._names[name]
            else:
                found.append(_report(hosts[name], state, now_s))
        # Of equals, those that were asked last.
        found.sort(key=lambda report: _WORST_FIRST.index(report.state))
        return found[:MAX_HOSTS], max(0, len(self._names) - MAX_HOSTS)


def _state(host: HostRecord, now_s: float) -> HostState | None:
    idle_s = 0.0 if host.requests.count else now_s - host.touched_s
    if host.health.unreachable and idle_s <= _KNOWN_S:
        return HostState.OPEN
    if host.health.cools_down(now_s):
        return HostState.THROTTLED
    if host.health.unreachable or idle_s > _ANSWERS_KNOWN_S:
        return None
    # What is neither has asked for less: the moment is over, and nothing came back since.
    return HostState.SLOW if host.response_s(now_s) >= PROMPT_S else HostState.THROTTLED


def _report(host: HostRecord, state: HostState, now_s: float) -> HostReport:
    if state is HostState.OPEN:
        seconds = now_s - host.health.unreachable_since_s
    else:
        throttled = state is HostState.THROTTLED
        seconds = host.health.cool_down_s(now_s) if throttled else host.response_s(now_s)
    return HostReport(host.name, state, round(seconds, 1), host.requests.count, host.health.limit)
