"""Draws a ladder as SVG: heads, times and body, which a page shows apart and a file together.

Colours, fonts and lines are in `static/calls/ladder-drawing.css`.
"""

from collections.abc import Callable

from markupsafe import Markup

from webrtc_events.console.ladder.ladder import Ladder, Lane, LaneKind, Row, Shape, Span, SpanKind
from webrtc_events.console.ladder.layout import (
    HEAD_HEIGHT,
    MESSAGE_Y,
    REPLY_Y,
    SERVICE_HALF,
    TIMES_WIDTH,
    Layout,
    head_width,
    row_height,
)
from webrtc_events.console.ladder.messages import TITLE_PX, message
from webrtc_events.console.ladder.sentences import sentence
from webrtc_events.console.ladder.svg_elements import element, text
from webrtc_events.console.ladder.text_width import fitted, fitted_middle, width
from webrtc_events.console.ladder.wording import clock_time, duration

__all__ = ["Link", "body", "heads", "times", "times_head"]

Link = Callable[[Row], str | None]
"""The address of a row's details, if it has any."""

_LINE_PX = 10.5
_PAUSE_PX = 11.0
_BOTTOM = 10.0


def heads(ladder: Ladder, layout: Layout) -> Markup:
    """The names of the lanes, in `HEAD_HEIGHT` pixels."""
    return Markup("").join(map(_head, ladder.lanes, layout.centers))


def times_head() -> Markup:
    return text(12, HEAD_HEIGHT - 8, "Time (UTC)", "l-time")


def times(ladder: Ladder, layout: Layout) -> Markup:
    """When each row was, and the pauses between them, in `TIMES_WIDTH` pixels."""
    parts = []
    for row in ladder.rows:
        top = layout.tops[row.number - 1]
        shown = text(12, top + MESSAGE_Y + 4, clock_time(row.at), "l-time")
        parts.append(element("g", "l-when", _pause(row.pause_ms, top), shown, data_at=str(row.at)))
    return Markup("").join(parts)


def body(ladder: Ladder, layout: Layout, link: Link) -> Markup:
    """Lifelines, what lasts beside them, and the rows."""
    parts = []
    for lane, center in zip(ladder.lanes, layout.centers, strict=True):
        parts.append(_lifeline(lane, center, ladder, layout))
    parts += [_span(span, ladder, layout) for span in ladder.spans]
    parts += [_row(row, ladder, layout, link(row)) for row in ladder.rows]
    return Markup("").join(parts)


def _head(lane: Lane, center: float) -> Markup:
    wide = head_width(lane)
    room = wide - 16
    lines = [fitted_middle(words, room, _LINE_PX) for words in lane.lines[:2]]
    top = 41.0 - 8 * len(lines)
    parts = [
        element("title", "l-tip", " · ".join([lane.title, *lane.lines])),
        element(
            "rect",
            f"l-head l-head-{lane.kind.value}",
            x=center - wide / 2,
            y=6,
            width=wide,
            height=HEAD_HEIGHT - 6,
            rx=8,
        ),
        text(center, top + 5, fitted(lane.title, room, TITLE_PX), "l-title l-middle"),
    ]
    for number, words in enumerate(lines, start=1):
        parts.append(text(center, top + 5 + 16 * number, words, "l-line-of-head l-middle"))
    return element("g", "l-lane", *parts)


def _lifeline(lane: Lane, center: float, ladder: Ladder, layout: Layout) -> Markup:
    bottom = layout.height - _BOTTOM
    if lane.kind is LaneKind.SERVICE:
        return element(
            "rect", "l-service", x=center - SERVICE_HALF, y=0, width=2 * SERVICE_HALF, height=bottom
        )
    if lane.ended_by is None:
        return element("line", "l-life", x1=center, y1=0, x2=center, y2=bottom)
    row = ladder.rows[lane.ended_by - 1]
    bottom = layout.tops[row.number - 1] + row_height(row)
    cross = element(
        "path",
        "l-over",
        element("title", "l-tip", "The subscription is over"),
        d=f"M{center - 7:g} {bottom - 7:g}l14 14m0 -14l-14 14",
        data_at=str(row.at),
    )
    return element("line", "l-life", x1=center, y1=0, x2=center, y2=bottom) + cross


def _span(span: Span, ladder: Ladder, layout: Layout) -> Markup:
    x = layout.centers[span.lane]
    first = ladder.rows[span.first - 1]
    last = None if span.last is None else ladder.rows[span.last - 1]
    top = layout.message_y(first)
    bottom = layout.height - _BOTTOM if last is None else layout.message_y(last)
    shown_at = str((last or first).at)
    if span.kind is SpanKind.BUSY:
        height = max(bottom - top, 1)
        return element("rect", "l-busy", x=x - 4, y=top, width=8, height=height, data_at=shown_at)
    top += REPLY_Y - MESSAGE_Y if first.shape is Shape.EXCHANGE else 0
    return element("line", "l-wait", x1=x, y1=top + 5, x2=x, y2=max(bottom - 6, top + 6), data_at=shown_at)


def _row(row: Row, ladder: Ladder, layout: Layout, address: str | None) -> Markup:
    top = layout.tops[row.number - 1]
    height = row_height(row)
    name = sentence(ladder, row)
    parts = [
        _pause_line(row, top, layout),
        element(
            "rect",
            "l-hit",
            x=TIMES_WIDTH,
            y=top + 1,
            width=layout.width - TIMES_WIDTH - 4,
            height=height - 2,
            rx=5,
        ),
        message(row, layout),
    ]
    classes = f"l-row l-{row.mark.value}"
    at = str(row.at)
    if address is None:
        return element("g", classes, element("title", "l-tip", name), *parts, data_at=at)
    return element("a", classes, *parts, href=address, data_at=at, data_key=row.key, aria_label=name)


def _pause(ms: int | None, top: float) -> Markup:
    if ms is None:
        return Markup("")
    words = f"{duration(ms)} later"
    wide = min(width(words, _PAUSE_PX) + 14, TIMES_WIDTH - 6)
    box = element("rect", "l-pause-box", x=5, y=top - 27, width=wide, height=20, rx=10)
    return box + text(5 + wide / 2, top - 13, words, "l-pause-text l-middle")


def _pause_line(row: Row, top: float, layout: Layout) -> Markup:
    if row.pause_ms is None:
        return Markup("")
    return element("line", "l-pause", x1=TIMES_WIDTH, y1=top - 17, x2=layout.width - 12, y2=top - 17)
