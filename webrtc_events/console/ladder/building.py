"""Builds a ladder from the entries of a trace."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from webrtc_events.console.ladder.entries import Attempt, AttemptOutcome, Item, read_entries
from webrtc_events.console.ladder.ladder import Ladder, Mark, Row, Shape, Span, SpanKind
from webrtc_events.console.ladder.lanes import Lanes
from webrtc_events.console.ladder.rows import Drawn, drawn
from webrtc_events.console.ladder.wording import count

__all__ = ["MAX_ROWS", "PAUSE_MS", "build_ladder", "ladder_of"]

MAX_ROWS = 1_000
"""Of a longer ladder the beginning and the end are drawn."""

PAUSE_MS = 1_000
"""So long without anything is worth a mark."""

_FIRST_ROWS = MAX_ROWS // 4


def ladder_of(stored: Iterable[object]) -> Ladder:
    """The ladder of a trace's entries, JSON objects as they are stored."""
    return build_ladder(read_entries(stored))


def build_ladder(items: Sequence[Item]) -> Ladder:
    lanes = Lanes(items)
    # Sorted by the time alone: what is of one millisecond stays in the order of the trace.
    all_rows = sorted(
        (found for item in items for found in drawn(item, lanes)), key=lambda found: found.row.at
    )
    shown, hidden = _bounded(all_rows, lanes)
    numbered = _numbered(shown)
    ended = _endings(numbered)
    return Ladder(
        lanes=tuple(replace(lane, ended_by=ended.get(index)) for index, lane in enumerate(lanes.all)),
        rows=tuple(found.row for found in numbered),
        spans=tuple(_spans(numbered)),
        hidden=hidden,
    )


def _bounded(found: list[Drawn], lanes: Lanes) -> tuple[list[Drawn], int]:
    """What is drawn, and how many entries have no row in it."""
    if len(found) <= MAX_ROWS:
        return found, 0
    first, last = found[:_FIRST_ROWS], found[_FIRST_ROWS - MAX_ROWS + 1 :]
    shown = {drawn_row.item.key for drawn_row in (*first, *last)}
    hidden = len({drawn_row.item.key for drawn_row in found} - shown)
    before = last[0]
    remark = Row(
        number=0,
        key="",
        at=before.row.at,
        shape=Shape.BREAK,
        mark=Mark.UNKNOWN,
        source=0,
        target=len(lanes.all) - 1,
        title=f"{count(hidden, 'entry', 'entries')} not drawn; the JSON file has them",
    )
    return [*first, Drawn(remark, before.item), *last], hidden


def _numbered(found: list[Drawn]) -> list[Drawn]:
    numbered: list[Drawn] = []
    before: int | None = None
    for number, drawn_row in enumerate(found, start=1):
        row = drawn_row.row
        since = None if before is None else row.at - before
        before = row.at
        pause = since if since is not None and since >= PAUSE_MS else None
        numbered.append(replace(drawn_row, row=replace(row, number=number, pause_ms=pause)))
    return numbered


def _endings(found: list[Drawn]) -> dict[int, int]:
    """The rows with which lanes are over: the last of each, if a subscription ends with it."""
    last: dict[int, Drawn] = {}
    for drawn_row in found:
        if isinstance(drawn_row.item.entry, Attempt) and drawn_row.row.key:
            last[drawn_row.row.target] = drawn_row
    return {lane: drawn_row.row.number for lane, drawn_row in last.items() if _ends(drawn_row)}


def _ends(found: Drawn) -> bool:
    attempt = found.item.entry
    if not isinstance(attempt, Attempt) or found.row.shape is Shape.REQUEST:
        return False
    if attempt.last:
        return attempt.outcome is not AttemptOutcome.RETRY
    return attempt.outcome in (AttemptOutcome.END, AttemptOutcome.REFUSED)


def _spans(found: list[Drawn]) -> list[Span]:
    spans: list[Span] = []
    busy: dict[str, Row] = {}
    waiting: dict[int, Row] = {}
    for drawn_row in found:
        row = drawn_row.row
        if not isinstance(drawn_row.item.entry, Attempt) or not row.key:
            continue
        if (since := waiting.pop(row.target, None)) is not None:
            spans.append(Span(row.target, SpanKind.WAIT, since.number, row.number))
        if row.shape is Shape.REQUEST:
            busy[row.key] = row
            continue
        if (began := busy.pop(row.key, None)) is not None:
            spans.append(Span(row.target, SpanKind.BUSY, began.number, row.number))
        if row.mark is Mark.RETRY:
            waiting[row.target] = row
    spans += [Span(lane, SpanKind.WAIT, row.number, None) for lane, row in waiting.items()]
    return spans
