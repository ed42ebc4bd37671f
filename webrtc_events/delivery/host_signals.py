"""What a sink's reply says about its host, whatever it means for the event. Pure.

| reply | signal |
| --- | --- |
| 429, 503 | Throttled, for as long as its Retry-After says |
| any other 5xx | Error |
| any other answer | Healthy |
| failure `dns`, `connect`, `tls`, `timeout`, `address_refused` | Unreachable |
| failure `tunnel`: the egress proxy made none to it | Unreachable, not blamed |
| failure `proxy`: the egress proxy fails | none |
| any other failure | none |

One host may serve many subscribers, each by its own path. So an error answer is no signal of a host
that is down, for it may be that of one path; nor does it ask for more load. An answer that breaks
HTTP, or is too large, says neither. What failed before any status line did so for every path.
"""

from dataclasses import dataclass, field
from typing import Final

from webrtc_events.core.outcomes import SinkAnswer, SinkReply
from webrtc_events.core.retry_after import retry_after_ms

__all__ = [
    "UNREACHABLE_REASONS",
    "Error",
    "Healthy",
    "HostSignal",
    "Throttled",
    "Unreachable",
    "signal_of",
]

UNREACHABLE_REASONS: Final = frozenset({"dns", "connect", "tls", "timeout", "address_refused"})
"""Failures of a host, not of what was asked of it."""

_THROTTLED: Final = frozenset({429, 503})


@dataclass(frozen=True, slots=True)
class Healthy:
    """It answers and can take more. `multiplexed`: many exchanges share a connection (HTTP/2)."""

    multiplexed: bool = False


@dataclass(frozen=True, slots=True)
class Error:
    """It answers, but it is not well, or that path is not."""


@dataclass(frozen=True, slots=True)
class Throttled:
    """It asks for less, and for nothing at all for the next `pause_s` seconds."""

    pause_s: float


@dataclass(frozen=True, slots=True)
class Unreachable:
    """It does not answer. Not `blamed`: the egress proxy may be why. `reason`: of the failure, for people."""

    blamed: bool = True
    reason: str = field(default="", compare=False)


HostSignal = Healthy | Error | Throttled | Unreachable


_UNREACHABLE: Final = {reason: Unreachable(reason=reason) for reason in UNREACHABLE_REASONS}
_NO_TUNNEL: Final = Unreachable(blamed=False, reason="tunnel")
_HEALTHY: Final = (Healthy(), Healthy(multiplexed=True))


def signal_of(reply: SinkReply, now_s: float) -> HostSignal | None:
    """None if it says nothing. `now_s`: the store's time, seconds since the epoch, for Retry-After."""
    if not isinstance(reply, SinkAnswer):
        if reply.reason == "tunnel":
            return _NO_TUNNEL
        return _UNREACHABLE.get(reply.reason)
    if reply.status in _THROTTLED:
        return Throttled(retry_after_ms(reply.retry_after, now_s) / 1000)
    if 500 <= reply.status < 600:
        return Error()
    return _HEALTHY[reply.multiplexed]
