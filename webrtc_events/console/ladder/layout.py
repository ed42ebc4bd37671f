"""Where the lanes and rows of a ladder are, in pixels."""

from dataclasses import dataclass

from webrtc_events.console.ladder.ladder import Ladder, Lane, LaneKind, Mark, Row, Shape

__all__ = [
    "HEAD_HEIGHT",
    "MESSAGE_Y",
    "REPLY_Y",
    "SERVICE_HALF",
    "TIMES_WIDTH",
    "Layout",
    "head_width",
    "laid_out",
    "row_height",
]

TIMES_WIDTH = 128.0
"""Of the times at the left, which a page keeps in sight."""

HEAD_HEIGHT = 76.0

MESSAGE_Y = 26.0
"""From the top of a row to its arrow."""

REPLY_Y = 52.0
"""From the top of an exchange to the arrow of its answer."""

SERVICE_HALF = 4.0
"""Half of the width of the service's bar."""

_HEAD_WIDTHS = {
    LaneKind.GATEWAY: 150.0,
    LaneKind.SERVICE: 136.0,
    LaneKind.SINK: 222.0,
    LaneKind.OTHERS: 180.0,
}
# Between the heads of two lanes.
_GUTTER = 20.0
# Between two lanes: what is written there has room.
_DISTANCE = 244.0
_MARGIN = 12.0
_TOP = 10.0
_BOTTOM = 30.0
_PAUSE_HEIGHT = 34.0
_CONSEQUENCE_HEIGHT = 17.0
_HEIGHTS = {
    Shape.ARROW: 46.0,
    Shape.EXCHANGE: 62.0,
    Shape.REQUEST: 38.0,
    Shape.ANSWER: 36.0,
    Shape.NOTE: 56.0,
    Shape.BREAK: 40.0,
}


@dataclass(frozen=True, slots=True)
class Layout:
    """`centers`: of the lanes. `tops`: of the rows, below marks of pauses. `height` is without the heads."""

    width: float
    height: float
    centers: tuple[float, ...]
    tops: tuple[float, ...]

    def message_y(self, row: Row) -> float:
        return self.tops[row.number - 1] + MESSAGE_Y

    def column(self, row: Row) -> tuple[float, float]:
        """Between which x the texts of a row may go: the gap beside the lane that is not the service's."""
        first = row.source if row.mark in (Mark.ACCEPTED, Mark.DUPLICATE) else row.target - 1
        return self.centers[first], self.centers[first + 1]


def head_width(lane: Lane) -> float:
    return _HEAD_WIDTHS[lane.kind]


def row_height(row: Row) -> float:
    height = _HEIGHTS[row.shape]
    return (
        height + _CONSEQUENCE_HEIGHT
        if row.consequence and row.shape in (Shape.EXCHANGE, Shape.ANSWER)
        else height
    )


def laid_out(ladder: Ladder) -> Layout:
    centers: list[float] = []
    at = TIMES_WIDTH + _MARGIN + head_width(ladder.lanes[0]) / 2
    for index, lane in enumerate(ladder.lanes):
        if index:
            heads = (head_width(ladder.lanes[index - 1]) + head_width(lane)) / 2
            at += max(heads + _GUTTER, _DISTANCE)
        centers.append(at)
    tops: list[float] = []
    y = _TOP
    for row in ladder.rows:
        if row.pause_ms is not None:
            y += _PAUSE_HEIGHT
        tops.append(y)
        y += row_height(row)
    width = centers[-1] + head_width(ladder.lanes[-1]) / 2 + _MARGIN
    return Layout(width, y + _BOTTOM, tuple(centers), tuple(tops))
