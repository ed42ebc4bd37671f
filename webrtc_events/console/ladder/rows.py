"""What an entry of a trace looks like in a ladder: one row, or two where a request took long."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from webrtc_events.console.ladder.entries import Accepted, Attempt, AttemptOutcome, Gap, Item, Unreadable
from webrtc_events.console.ladder.ladder import Mark, Row, Shape
from webrtc_events.console.ladder.lanes import Lanes
from webrtc_events.console.ladder.wording import count, duration

__all__ = ["SLOW_MS", "Drawn", "drawn"]

SLOW_MS = 1_000
"""A request that took as long has its answer in another row."""

_SESSION_STATUS = "session-status"
_HANDSHAKE = "handshake"
# What a sink's side failed with, as core/outcomes calls its outcome.
_CONSEQUENCES = {
    AttemptOutcome.DROP: "given up",
    AttemptOutcome.END: "ends",
    AttemptOutcome.REFUSED: "not activated",
    AttemptOutcome.AGREED: "activated",
    AttemptOutcome.UNKNOWN: "unknown outcome",
}


@dataclass(frozen=True, slots=True)
class Drawn:
    """A row that has no number yet, and the entry that it is for."""

    row: Row
    item: Item


def drawn(item: Item, lanes: Lanes) -> Iterator[Drawn]:
    """The rows of an entry, not in any order among those of others."""
    match item.entry:
        case Accepted() as accepted:
            yield Drawn(_arrow(item, accepted, lanes), item)
        case Attempt() as attempt:
            for row in _attempt(item, attempt, lanes):
                yield Drawn(row, item)
        case Gap(count=missing):
            text = (
                "entries were not kept here"
                if missing is None
                else f"{count(missing, 'entry', 'entries')} not kept here"
            )
            yield Drawn(_break(item, lanes, text), item)
        case Unreadable(kind=kind):
            text = f"entry of an unknown kind: {kind}" if kind else "unreadable entry"
            yield Drawn(_break(item, lanes, text), item)


def _break(item: Item, lanes: Lanes, text: str) -> Row:
    return Row(
        number=0,
        key=item.key,
        at=item.at,
        shape=Shape.BREAK,
        mark=Mark.UNKNOWN,
        source=0,
        target=len(lanes.all) - 1,
        title=text,
        remarks=_remarks(item),
    )


def _arrow(item: Item, accepted: Accepted, lanes: Lanes) -> Row:
    if accepted.duplicate:
        result = "duplicate"
    elif accepted.subscriptions is None:
        result = ""
    else:
        result = (
            f"for {count(accepted.subscriptions, 'subscription')}"
            if accepted.subscriptions
            else "for no subscription"
        )
    return Row(
        number=0,
        key=item.key,
        at=item.at,
        shape=Shape.ARROW,
        mark=Mark.DUPLICATE if accepted.duplicate else Mark.ACCEPTED,
        source=lanes.of_gateway(accepted),
        target=lanes.service,
        title=_named(accepted.type, accepted.status) or "event",
        facts=_numbered(accepted.sequence),
        result=result,
        bodies=accepted.bodies,
        remarks=_remarks(item),
    )


def _attempt(item: Item, attempt: Attempt, lanes: Lanes) -> Iterator[Row]:
    row = Row(
        number=0,
        key=item.key,
        at=_began(item, attempt),
        shape=Shape.EXCHANGE,
        mark=Mark(attempt.outcome.value),
        source=lanes.service,
        target=lanes.of_sink(attempt),
        title=_title(attempt),
        facts=(*_numbered(attempt.sequence), *_tries(attempt)),
        result=_result(attempt),
        consequence=_consequence(attempt),
        lost=attempt.http is None,
        bodies=attempt.bodies,
        remarks=_remarks(item),
    )
    if attempt.channel and attempt.outcome is AttemptOutcome.DELIVERED:
        yield replace(row, at=item.at, shape=Shape.ARROW, result="written", lost=False)
    elif attempt.ms is None and attempt.http is None:
        yield replace(row, at=item.at, shape=Shape.NOTE)
    elif item.at - row.at < SLOW_MS:
        yield row
    else:
        yield replace(row, shape=Shape.REQUEST, result="", consequence="", remarks=())
        yield replace(row, at=item.at, shape=Shape.ANSWER)


def _began(item: Item, attempt: Attempt) -> int:
    """When the request began. Milliseconds are rounded: no event is sent before it is accepted."""
    began = max(item.at - (attempt.ms or 0), 0)
    if attempt.accepted_at is not None and attempt.accepted_at <= item.at:
        began = max(began, attempt.accepted_at)
    return began


def _title(attempt: Attempt) -> str:
    if attempt.last:
        return "subscription-ended"
    if attempt.type == _HANDSHAKE:
        return "OPTIONS"
    return _named(attempt.type, attempt.status) or "notification"


def _named(event_type: str, status: str) -> str:
    """Events of a session are told apart by its status, the others by their type."""
    return status if status and event_type in ("", _SESSION_STATUS) else event_type


def _numbered(sequence: int | None) -> tuple[str, ...]:
    return () if sequence is None else (f"#{sequence}",)


def _tries(attempt: Attempt) -> tuple[str, ...]:
    return () if attempt.attempt is None or attempt.attempt < 2 else (f"try {attempt.attempt}",)


def _result(attempt: Attempt) -> str:
    parts = [str(attempt.http)] if attempt.http is not None else [_reason(attempt) or "no answer"]
    if attempt.ms is not None:
        parts.append(duration(attempt.ms))
    return " · ".join(parts)


def _consequence(attempt: Attempt) -> str:
    if attempt.outcome is AttemptOutcome.DELIVERED:
        return ""
    if attempt.outcome is AttemptOutcome.RETRY:
        if attempt.delay_ms is None:
            return "tried again"
        return f"again in {duration(attempt.delay_ms)}" if attempt.delay_ms else "again at once"
    words = _CONSEQUENCES[attempt.outcome]
    # Without an answer the reason is the result.
    return words if attempt.http is None or not attempt.reason else f"{words}, {_reason(attempt)}"


def _reason(attempt: Attempt) -> str:
    return attempt.reason.replace("_", " ").lower()


def _remarks(item: Item) -> tuple[str, ...]:
    remarks = []
    if item.repeated:
        remarks.append("recorded twice")
    if item.guessed:
        remarks.append("time unknown")
    return tuple(remarks)
