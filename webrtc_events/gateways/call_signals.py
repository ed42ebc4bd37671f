"""What an adapter reports of a leg of a call: the inputs of `media_session`. Values only."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from webrtc_events.gateways.sip_addresses import UNKNOWN, Party

__all__ = [
    "Acknowledged",
    "Answered",
    "Cancelled",
    "Failed",
    "HungUp",
    "Invited",
    "LegFacts",
    "Lost",
    "Mark",
    "Provisional",
    "Reanswered",
    "Reoffered",
    "Rerefused",
    "Side",
    "Signal",
]


class Side(StrEnum):
    """A party of the call."""

    ORIGINATOR = "originator"
    RECEIVER = "receiver"


@dataclass(frozen=True, slots=True)
class LegFacts:
    """Which leg of a session a signal is of, and what is known of it.

    `registration` is that of our endpoint, None where none is ours; `side`: which party our endpoint is, None
    where that is unknown. What a later signal knows completes what an earlier one knew.
    """

    name: str
    registration: str | None = None
    side: Side | None = None
    originator: Party = UNKNOWN
    receiver: Party = UNKNOWN


@dataclass(frozen=True, slots=True)
class Mark:
    """What the events of a signal are marked with.

    `event_id` is unique for each signal within `source`, and the same whenever the gateway repeats it.
    `time_ms`: when it happened, by the gateway's clock, since the epoch.
    """

    source: str
    event_id: str
    time_ms: int


@dataclass(frozen=True, slots=True)
class Invited:
    """An INVITE that begins a call; `offer` is its SDP."""

    offer: str | None = None


@dataclass(frozen=True, slots=True)
class Provisional:
    """A 1xx response; `answer` is its SDP: early media."""

    code: int
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """The 2xx response to the INVITE; `sdp` answers the offer, or is one where the INVITE had none."""

    sdp: str | None = None


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The ACK; `answer` is its SDP, where the 2xx response had the offer."""

    answer: str | None = None


@dataclass(frozen=True, slots=True)
class Reoffered:
    """A re-INVITE, or an UPDATE with SDP, by that party."""

    by: Side | None
    offer: str | None = None


@dataclass(frozen=True, slots=True)
class Reanswered:
    """The 2xx response to it."""

    answer: str | None = None


@dataclass(frozen=True, slots=True)
class Rerefused:
    """Another final response to it: the session goes on as it was."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A CANCEL."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A final response to the INVITE of 300 or above."""

    code: int
    phrase: str = ""


@dataclass(frozen=True, slots=True)
class HungUp:
    """A BYE, by that party; None where it is unknown."""

    by: Side | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Lost:
    """The gateway no longer knows the call: it crashed, say. `reason` is for people."""

    reason: str


Signal: TypeAlias = (
    Invited
    | Provisional
    | Answered
    | Acknowledged
    | Reoffered
    | Reanswered
    | Rerefused
    | Cancelled
    | Failed
    | HungUp
    | Lost
)
