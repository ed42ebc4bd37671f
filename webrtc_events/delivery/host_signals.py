"""What a sink's reply says about its host, whatever it means for the event. Pure.

| reply | sign |
| --- | --- |
| 429, 503 | Slower, for as long as its Retry-After says |
| any other 5xx | Erred |
| any other answer | Took |
| failure `dns`, `connect`, `tls`, `timeout`, `address_refused` | Silent |
| any other failure | none |

One host may serve many subscribers, each by a path of its own. So an error answer is no sign of a
host that is down, for it may be that of one path; nor does it ask for more speed. An answer that
breaks HTTP, or is too large, tells neither. What failed before any status line did so for every path.
"""

from dataclasses import dataclass

from webrtc_events.core.outcomes import SinkAnswer, SinkReply
from webrtc_events.delivery.retry_after import retry_after_ms

__all__ = ["SILENT_REASONS", "Erred", "Sign", "Silent", "Slower", "Took", "sign_of"]

SILENT_REASONS = frozenset({"dns", "connect", "tls", "timeout", "address_refused"})
"""Failures of a host, not of what was asked of it."""

_SLOWER = frozenset({429, 503})


@dataclass(frozen=True, slots=True)
class Took:
    """It answers, and could be asked more. `multiplexed`: many exchanges share a connection (HTTP/2)."""

    multiplexed: bool = False


@dataclass(frozen=True, slots=True)
class Erred:
    """It answers, but is not well, or that path of it is not."""


@dataclass(frozen=True, slots=True)
class Slower:
    """It asks for less, and for nothing at all for the next `pause_s` seconds."""

    pause_s: float


@dataclass(frozen=True, slots=True)
class Silent:
    """It does not answer."""


Sign = Took | Erred | Slower | Silent


def sign_of(reply: SinkReply, now_s: float) -> Sign | None:
    """None if it tells nothing. `now_s`: the store's time, seconds since the epoch, for Retry-After."""
    if not isinstance(reply, SinkAnswer):
        return Silent() if reply.reason in SILENT_REASONS else None
    if reply.status in _SLOWER:
        return Slower(retry_after_ms(reply.retry_after, now_s) / 1000)
    if 500 <= reply.status < 600:
        return Erred()
    return Took(reply.multiplexed)
