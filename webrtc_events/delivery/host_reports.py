"""Which hosts are not well, for people. Pure.

Times are seconds of one monotonic clock.
"""

from collections.abc import Iterable

from webrtc_events.core.process_report import MAX_HOSTS, HostReport, HostState
from webrtc_events.delivery.host_records import PROMPT_S, HostRecord

__all__ = ["unwell_hosts"]

# Whatever waits for a host that is not well comes back to it within this time, or has waited in vain.
_KNOWN_S = 900.0
# How long ago a slow answer was is no matter after this.
_SLOW_KNOWN_S = 60.0
_WORST_FIRST = tuple(HostState)


def unwell_hosts(latest_first: Iterable[HostRecord], now_s: float) -> tuple[list[HostReport], int]:
    """Those that are not well, the worst first, and how many more there are beyond `MAX_HOSTS`.

    `latest_first`: by when they were last needed.
    """
    found: list[HostReport] = []
    for host in latest_first:
        idle_s = now_s - host.touched_s
        if idle_s > _KNOWN_S and not host.permits:
            break
        state = _state(host, now_s, idle_s)
        if state is not None:
            seconds = round(_seconds(host, state, now_s), 1)
            found.append(HostReport(host.name, state, seconds, len(host.permits)))
    # Of equals, those that were needed last.
    found.sort(key=lambda report: _WORST_FIRST.index(report.state))
    return found[:MAX_HOSTS], max(0, len(found) - MAX_HOSTS)


def _state(host: HostRecord, now_s: float, idle_s: float) -> HostState | None:
    if host.health.unreachable:
        return HostState.OPEN
    if host.health.cools_down(now_s):
        return HostState.THROTTLED
    if host.response_s(now_s) >= PROMPT_S and (host.permits or idle_s <= _SLOW_KNOWN_S):
        return HostState.SLOW
    return None


def _seconds(host: HostRecord, state: HostState, now_s: float) -> float:
    if state is HostState.OPEN:
        return now_s - host.health.unreachable_since_s
    return host.health.cool_down_s(now_s) if state is HostState.THROTTLED else host.response_s(now_s)
