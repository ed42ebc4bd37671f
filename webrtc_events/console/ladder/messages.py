"""Draws a row of a ladder: what is sent from lane to lane, and what came of it."""

from collections.abc import Callable

from markupsafe import Markup

from webrtc_events.console.ladder.ladder import Row, Shape
from webrtc_events.console.ladder.layout import MESSAGE_Y, REPLY_Y, SERVICE_HALF, Layout
from webrtc_events.console.ladder.signs import sign
from webrtc_events.console.ladder.svg_elements import element, full_head, line, open_head, text
from webrtc_events.console.ladder.text_width import fitted, width

__all__ = ["TITLE_PX", "message"]

TITLE_PX = 13.0

_SMALL_PX = 11.5
_LABEL_PX = 10.5
_INSET = 16.0
_SIGN = 16.0
# A message that was lost ends so far before its lane.
_LOST = 22.0


def message(row: Row, layout: Layout) -> Markup:
    return _DRAWN[row.shape](row, layout)


def _arrow(row: Row, layout: Layout) -> Markup:
    y = layout.message_y(row)
    start, end = layout.centers[row.source], layout.centers[row.target] - SERVICE_HALF
    return (
        _title(row, layout) + line(start, end, y, "l-line") + full_head(end, y) + _result(row, layout, y + 17)
    )


def _exchange(row: Row, layout: Layout) -> Markup:
    y = layout.message_y(row)
    below = y + REPLY_Y - MESSAGE_Y
    answer = Markup("") if row.lost else _reply_line(row, layout, below)
    return _request(row, layout) + answer + _result(row, layout, below - 6)


def _request(row: Row, layout: Layout) -> Markup:
    y = layout.message_y(row)
    start, end = layout.centers[row.source] + SERVICE_HALF, layout.centers[row.target]
    if row.lost:
        return _title(row, layout) + _lost(start, end, y)
    return _title(row, layout) + line(start, end, y, "l-line") + full_head(end, y)


def _answer(row: Row, layout: Layout) -> Markup:
    y = layout.message_y(row)
    answer = Markup("") if row.lost else _reply_line(row, layout, y)
    return answer + _result(row, layout, y - 6)


def _note(row: Row, layout: Layout) -> Markup:
    y = layout.message_y(row)
    left, right = layout.column(row)
    box = element("rect", "l-note", x=left + 8, y=y - 21, width=right - left - 16, height=46, rx=4)
    return box + _title(row, layout) + _result(row, layout, y + 17)


def _break(row: Row, layout: Layout) -> Markup:
    y = layout.message_y(row)
    left = layout.centers[0]
    words = fitted(" · ".join([row.title, *row.remarks]), layout.width - left - 40, _SMALL_PX)
    box = element("rect", "l-note", x=left, y=y - 17, width=width(words, _SMALL_PX) + 20, height=26, rx=4)
    return box + text(left + 10, y, words, "l-result")


_DRAWN: dict[Shape, Callable[[Row, Layout], Markup]] = {
    Shape.ARROW: _arrow,
    Shape.EXCHANGE: _exchange,
    Shape.REQUEST: _request,
    Shape.ANSWER: _answer,
    Shape.NOTE: _note,
    Shape.BREAK: _break,
}


def _title(row: Row, layout: Layout) -> Markup:
    """What is sent, above its arrow; below it, at the right, a label for session descriptions."""
    left, right = layout.column(row)
    y = layout.message_y(row)
    facts = " ".join(row.facts)
    tail = element("tspan", "l-facts", facts, dx=6) if facts else Markup("")
    room = right - left - 2 * _INSET - (width(facts, _SMALL_PX) + 6 if facts else 0)
    title = text(
        left + _INSET, y - 6, Markup("{}{}").format(fitted(row.title, room, TITLE_PX), tail), "l-title"
    )
    if not row.bodies:
        return title
    wide = _label_width(row)
    x = right - _INSET - wide
    label = element("rect", "l-body", x=x, y=y + 6, width=wide, height=15, rx=7.5)
    return title + label + text(x + wide / 2, y + 17, _label(row), "l-label l-middle")


def _label(row: Row) -> str:
    """Source of the short form: RFC 3264, the offer/answer model."""
    return f"SDP {row.bodies[0]}" if len(row.bodies) == 1 else "SDP O/A"


def _label_width(row: Row) -> float:
    return width(_label(row), _LABEL_PX) + 10


def _result(row: Row, layout: Layout, y: float) -> Markup:
    """What came of it, with the sign of its mark; below that what the service does about it."""
    left, right = layout.column(row)
    x, room = left + _INSET + _SIGN, right - left - 2 * _INSET - _SIGN
    in_one = row.shape is Shape.NOTE
    words = " · ".join(filter(None, [row.result, row.consequence if in_one else "", *row.remarks]))
    beside = _label_width(row) + 6 if row.bodies and row.shape is not Shape.ANSWER else 0
    drawn = sign(row.mark, x - 11, y - 4) + text(x, y, fitted(words, room - beside, _SMALL_PX), "l-result")
    if row.consequence and not in_one:
        below = y + (16 if row.lost else 21)
        drawn += text(x, below, fitted(row.consequence, room, _SMALL_PX), "l-result")
    return drawn


def _reply_line(row: Row, layout: Layout, y: float) -> Markup:
    start, end = layout.centers[row.source] + SERVICE_HALF, layout.centers[row.target]
    return line(end, start, y, "l-line l-reply") + open_head(start, y)


def _lost(start: float, end: float, y: float) -> Markup:
    """A message without an answer does not reach its lane."""
    x = end - _LOST
    return line(start, x + 4, y, "l-line") + element(
        "path", "l-cross", d=f"M{x - 5:g} {y - 5:g}l10 10m0 -10l-10 10"
    )
