"""A call as a ladder of characters: a lane for each participant, a line for each message."""

import textwrap
from collections.abc import Iterator
from typing import Final

from webrtc_events.console.ladder.ladder import Ladder, LaneKind, Row, Shape
from webrtc_events.console.ladder.sentences import answer_of, message_of
from webrtc_events.console.ladder.wording import clock_time, duration

__all__ = ["ladder_lines"]

_LANE: Final = 7
_TIME: Final = 14
# With more, lanes leave no room for words.
_MAX_DRAWN: Final = 7
_MIN_WORDS: Final = 24
_DEEP: Final = 4
_MAX_WORDS: Final = 100
_LETTERS: Final = {LaneKind.GATEWAY: "G", LaneKind.SERVICE: "E", LaneKind.SINK: "S", LaneKind.OTHERS: "O"}


def ladder_lines(ladder: Ladder, columns: int) -> Iterator[str]:
    """A legend of the lanes, then the rows. Texts of a ladder are safe to print."""
    if not ladder.rows:
        yield "Nothing has happened yet."
        return
    names = _names(ladder)
    for name, lane in zip(names, ladder.lanes, strict=True):
        words = "  ".join([f"{name:<4}{lane.kind:<8}", lane.title, *lane.lines]).rstrip()
        yield from textwrap.wrap(words, columns, subsequent_indent=" " * _DEEP, break_on_hyphens=False)
    yield ""
    is_drawn = len(names) <= _MAX_DRAWN
    if is_drawn:
        yield " " * _TIME + "".join(f"{name:<{_LANE}}" for name in names).rstrip()
    for row in ladder.rows:
        if row.pause_ms is not None:
            yield f"{'':{_TIME}}{duration(row.pause_ms)} later"
        yield from _row_lines(row, names, columns, is_drawn=is_drawn)


def _names(ladder: Ladder) -> list[str]:
    """E is the service (what the events pass), G1… are gateways, S1… sinks."""
    counts: dict[str, int] = {}
    found = []
    for lane in ladder.lanes:
        letter = _LETTERS[lane.kind]
        counts[letter] = counts.get(letter, 0) + 1
        found.append(letter if lane.kind is LaneKind.SERVICE else f"{letter}{counts[letter]}")
    return found


def _row_lines(row: Row, names: list[str], columns: int, *, is_drawn: bool) -> Iterator[str]:
    head = f"{clock_time(row.at):<{_TIME}}" + (_drawn(row, len(names)) if is_drawn else _in_words(row, names))
    said = message_of(row)
    answer = answer_of(row)
    words = f"{said}: {answer}" if answer else said
    room = min(columns, len(head) + _MAX_WORDS) - len(head)
    indent = len(head)
    if room < _MIN_WORDS:
        yield head.rstrip()
        indent, head = _TIME + _DEEP, ""
        room = max(_MIN_WORDS, min(columns, indent + _MAX_WORDS) - indent)
    first, *rest = textwrap.wrap(words, room) or [""]
    yield f"{head:<{indent}}{first}".rstrip()
    for line in rest:
        yield " " * indent + line


def _drawn(row: Row, lanes: int) -> str:
    line = list(("|" + " " * (_LANE - 1)) * lanes)
    source, target = row.source * _LANE, row.target * _LANE
    if row.shape is Shape.NOTE:
        line[target] = "*"
    elif row.shape is not Shape.BREAK:
        for place in range(min(source, target) + 1, max(source, target)):
            line[place] = "." if row.shape is Shape.ANSWER else "-"
        if row.shape is Shape.ANSWER:
            line[min(source, target) + 1] = "<"
        else:
            line[max(source, target) - 1] = "x" if row.lost else ">"
    return "".join(line)


def _in_words(row: Row, names: list[str]) -> str:
    if row.shape is Shape.BREAK:
        return ""
    source, target = names[row.source], names[row.target]
    if row.shape is Shape.ANSWER:
        source, target = target, source
    return f"{source + ' -> ' + target:<12}"
