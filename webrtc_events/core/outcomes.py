"""An exchange with a sink: the request, the reply, and the outcome for the event. No I/O.

What is made for every delivery is a struct of msgspec: a frozen dataclass takes seven times as long to make.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import msgspec

from webrtc_events.core.model import TerminationReason

__all__ = [
    "DELIVERED",
    "PROXY_REASONS",
    "Agreed",
    "Delivered",
    "Drop",
    "End",
    "Outcome",
    "Refused",
    "Retry",
    "ScheduledRetry",
    "SinkAnswer",
    "SinkFailure",
    "SinkReply",
    "SinkRequest",
    "SinkResult",
]


class SinkRequest(msgspec.Struct, frozen=True):
    """One request to a sink: POST of a notification, or OPTIONS without a body: does it agree to any?

    `client`: the owner of the subscription; clients share what is scarce. `reads_body`: of a POST whose
    answer is what was asked for, such as a token.
    """

    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    method: Literal["POST", "OPTIONS"] = "POST"
    client: str = ""
    reads_body: bool = False

    def __repr__(self) -> str:
        # Headers and body may hold what is nobody's to read.
        return f"SinkRequest(url={self.url!r}, method={self.method!r}, client={self.client!r})"


class SinkAnswer(msgspec.Struct, frozen=True):
    """A sink's answer, as far as its final head; its `body` is kept where the request `reads_body` only.

    `multiplexed`: many exchanges share the connection that it came by (HTTP/2). `allowed_origin` and
    `allowed_rate` are its WebHook-Allowed-Origin and -Rate, cut off beyond the length of any valid value;
    of several, all of them, joined by commas.
    """

    status: int
    retry_after: str | None
    elapsed_ms: int
    multiplexed: bool = False
    allowed_origin: str | None = None
    allowed_rate: str | None = None
    body: bytes = b""

    def __repr__(self) -> str:
        # The body may be a token.
        return f"SinkAnswer(status={self.status}, elapsed_ms={self.elapsed_ms})"


@dataclass(frozen=True, slots=True)
class SinkFailure:
    """No final status line. `reason` is one of a small set, fit for logs and metrics.

    `detail` is libcurl's words, or the system's, in one line. A sink may have chosen some of them.
    """

    reason: str
    detail: str
    elapsed_ms: int

    @property
    def by_proxy(self) -> bool:
        """Whether the egress proxy may be to blame: then it does not count against the sink."""
        return self.reason in PROXY_REASONS


PROXY_REASONS = frozenset({"proxy", "tunnel"})
"""Of failures that the egress proxy may be to blame for."""

SinkReply = SinkAnswer | SinkFailure


@dataclass(frozen=True, slots=True)
class Delivered:
    """The sink took the event."""


DELIVERED = Delivered()


@dataclass(frozen=True, slots=True)
class Retry:
    """Try the same event again after `delay_ms`; later events wait behind it."""

    delay_ms: int
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Drop:
    """Give this event up, keep it as a dead letter, go on with the next."""

    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class End:
    """The sink's answer ends the subscription; `notify`: its end is still sent to the sink."""

    reason: TerminationReason
    notify: bool


@dataclass(frozen=True, slots=True)
class Agreed:
    """The sink agrees to notifications; `rate`: how many a minute, None for no limit."""

    rate: int | None


@dataclass(frozen=True, slots=True)
class Refused:
    """The sink does not agree to notifications."""

    reason: str
    detail: str = ""


Outcome = Delivered | Retry | Drop | End | Agreed | Refused


@dataclass(frozen=True, slots=True)
class ScheduledRetry:
    """The event with that outbox number is due again after `delay_ms`, `failed_attempts` made so far."""

    delay_ms: int
    failed_attempts: int
    number: int


class SinkResult(StrEnum):
    """What a sink did with the events of one claim. Source of the values: lua/settle.lua."""

    NOT_ASKED = ""
    DELIVERED = "delivered"
    FAILED = "failed"
