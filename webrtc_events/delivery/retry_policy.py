"""What a sink's reply means for the event and its subscription. Pure.

| reply | outcome |
| --- | --- |
| 2xx | Delivered |
| 404, 408, 425, 429, 5xx | Retry `http_<status>` |
| 410 | End NETWORK_TERMINATED, the subscriber is not notified |
| 401 to a delivery with the subscriber's own token | End ACCESS_TOKEN_EXPIRED, the subscriber is notified |
| 401 to one with a token that was fetched for it | Retry `http_401`, see sink_tokens.py |
| 401 without one | Drop `refused` |
| any other answer | Drop `refused` |
| failure (`dns`, `connect`, `tls`, `timeout`, `too_large`, ...) | Retry, its reason and detail |
| failure `proxy`: the egress proxy fails | Retry, after a second at most: proxy_circuit.py paces it |
| failure `tunnel`: the egress proxy reaches no sink there | Retry, as for any failure |
| a Retry when nothing is left of the event's time | Drop `deadline_exceeded` |

A refused address is retried too: names may come to point elsewhere, and the deadline bounds it.
Delays are exponential with full jitter, so that sinks that failed together are not asked together.
A sink's Retry-After (RFC 9110, 10.2.3) is the least delay. No delay goes beyond the deadline.
"""

from collections.abc import Callable
from typing import Final, TypeGuard

from webrtc_events.core.model import TerminationReason
from webrtc_events.core.outcomes import DELIVERED, Drop, End, Outcome, Retry, SinkAnswer, SinkReply
from webrtc_events.core.retry_after import retry_after_ms

__all__ = ["decide", "is_delivered", "retry_or_drop"]

_RETRYABLE: Final = frozenset({404, 408, 425, 429, *range(500, 600)})
_FIRST_DELAY_MS: Final = 1_000
_MAX_DELAY_MS: Final = 60_000
# From this attempt on the delay no longer grows; it also keeps the shift small.
_LAST_GROWTH: Final = 7


def decide(
    reply: SinkReply,
    *,
    attempt: int,
    remaining_ms: int,
    credentialed: bool,
    fetched: bool = False,
    random: Callable[[], float],
    now_s: float,
) -> Outcome:
    """The outcome of one delivery attempt.

    Args:
        reply: the sink's answer, or why there is none.
        attempt: the attempt just made, counted from 1.
        remaining_ms: what is left until the event's deadline; may be negative.
        credentialed: whether the request carried an access token that the subscriber gave.
        fetched: whether it carried one that was fetched from the subscriber's token server.
        random: uniform in [0, 1).
        now_s: the store's time, seconds since the epoch, for a Retry-After that is a date.
    """
    if not isinstance(reply, SinkAnswer):
        # The proxy's failures are no matter of this event, and must not hold it up once the proxy is back.
        growth = 1 if reply.reason == "proxy" else attempt
        return retry_or_drop(reply.reason, reply.detail, _backoff_ms(growth, random), remaining_ms)
    if is_delivered(reply):
        return DELIVERED
    if reply.status == 410:
        return End(TerminationReason.NETWORK_TERMINATED, notify=False)
    if reply.status == 401 and credentialed:
        return End(TerminationReason.ACCESS_TOKEN_EXPIRED, notify=True)
    if reply.status not in _RETRYABLE and not (reply.status == 401 and fetched):
        return Drop("refused", f"HTTP {reply.status}")
    delay_ms = max(_backoff_ms(attempt, random), retry_after_ms(reply.retry_after, now_s))
    return retry_or_drop(f"http_{reply.status}", "", delay_ms, remaining_ms)


def is_delivered(reply: SinkReply) -> TypeGuard[SinkAnswer]:
    """Whether the sink took the event."""
    return isinstance(reply, SinkAnswer) and 200 <= reply.status < 300


def retry_or_drop(reason: str, detail: str, delay_ms: int, remaining_ms: int) -> Retry | Drop:
    """A retry after the delay, the deadline at the latest; a drop where nothing is left of it."""
    if remaining_ms <= 0:
        return Drop("deadline_exceeded", f"{reason}: {detail}" if detail else reason)
    return Retry(min(delay_ms, remaining_ms), reason, detail)


def _backoff_ms(attempt: int, random: Callable[[], float]) -> int:
    """Uniform in [0, min(60 s, 1 s * 2**(attempt - 1))]."""
    longest_ms = min(_MAX_DELAY_MS, _FIRST_DELAY_MS << (min(attempt, _LAST_GROWTH) - 1))
    return round(random() * longest_ms)
