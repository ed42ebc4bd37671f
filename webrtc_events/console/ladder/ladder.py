"""The values of a ladder: lanes, rows between them, and what lasts beside a lane."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Ladder", "Lane", "LaneKind", "Mark", "Row", "Shape", "Span", "SpanKind"]


class LaneKind(StrEnum):
    """`OTHERS`: all sinks, or gateways, that have no room to stand alone."""

    GATEWAY = "gateway"
    SERVICE = "service"
    SINK = "sink"
    OTHERS = "others"


@dataclass(frozen=True, slots=True)
class Lane:
    """A participant. `title` and `lines` head it; `name` is what sentences call it.

    `ended_by`: the number of the row with which its subscription is over, None while it goes on.
    """

    kind: LaneKind
    title: str
    lines: tuple[str, ...]
    name: str
    ended_by: int | None = None


class Shape(StrEnum):
    """How a row is drawn.

    `ARROW`: one message. `EXCHANGE`: a request and, below it, its answer. `REQUEST` and `ANSWER`: the
    halves of an exchange that took long, since other rows may lie between. `NOTE`: something at a lane,
    without a message. `BREAK`: a remark over all lanes.
    """

    ARROW = "arrow"
    EXCHANGE = "exchange"
    REQUEST = "request"
    ANSWER = "answer"
    NOTE = "note"
    BREAK = "break"


class Mark(StrEnum):
    """What became of it; each has a colour, a line and a sign."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    DELIVERED = "delivered"
    RETRY = "retry"
    DROP = "drop"
    END = "end"
    AGREED = "agreed"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the ladder, from the lane with index `source` to that of `target`.

    `number` counts from 1. `at`: ms since the epoch. `key` names its entry, and is empty for a remark on
    several. `title` says what is sent, `facts` qualify it, `result` is the answer, and `consequence` what
    the service does about it. `lost`: it had no answer. `bodies`: the session descriptions that it carries.
    `pause_ms`: the time since the row before, if that is worth a mark. `remarks`: what a reader should know
    about the entry itself.
    """

    number: int
    key: str
    at: int
    shape: Shape
    mark: Mark
    source: int
    target: int
    title: str
    facts: tuple[str, ...] = ()
    result: str = ""
    consequence: str = ""
    lost: bool = False
    bodies: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    pause_ms: int | None = None


class SpanKind(StrEnum):
    """`BUSY`: a request is under way. `WAIT`: the service waits before it tries again."""

    BUSY = "busy"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Span:
    """What lasts at a lane, from row to row by their numbers; `last` is None while nothing has ended it."""

    lane: int
    kind: SpanKind
    first: int
    last: int | None


@dataclass(frozen=True, slots=True)
class Ladder:
    """`hidden`: entries that are counted in a row of their place, and not drawn."""

    lanes: tuple[Lane, ...]
    rows: tuple[Row, ...]
    spans: tuple[Span, ...]
    hidden: int

    @property
    def began_at(self) -> int:
        return self.rows[0].at if self.rows else 0

    @property
    def ended_at(self) -> int:
        return self.rows[-1].at if self.rows else 0
