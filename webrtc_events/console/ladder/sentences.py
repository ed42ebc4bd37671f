"""What a row of a ladder says, in words: for those who do not see it."""

from webrtc_events.console.ladder.ladder import Ladder, Row, Shape
from webrtc_events.console.ladder.wording import clock_time, count, date_time, duration

__all__ = ["answer_of", "description", "message_of", "sentence"]


def message_of(row: Row) -> str:
    """What is sent, with its number: `Ringing, #3, try 2, with an SDP offer`."""
    bodies = [f"with an SDP {body}" for body in row.bodies] if row.shape is not Shape.ANSWER else []
    return ", ".join([row.title, *row.facts, *bodies])


def answer_of(row: Row) -> str:
    """What came of it: `503 · 12 ms, again in 2.0 s`."""
    parts = [
        row.result or ("answer below" if row.shape is Shape.REQUEST else ""),
        row.consequence,
        *row.remarks,
    ]
    return ", ".join(part for part in parts if part)


def sentence(ladder: Ladder, row: Row) -> str:
    """One row, whole."""
    at = clock_time(row.at)
    if row.shape is Shape.BREAK:
        return ": ".join([at, ", ".join([row.title, *row.remarks])])
    source, target = ladder.lanes[row.source].name, ladder.lanes[row.target].name
    if row.shape is Shape.ANSWER:
        source, target = target, source
    if row.shape is Shape.NOTE:
        return f"{at}: {message_of(row)} for {target} was not sent: {answer_of(row)}"
    verb = "answer to" if row.shape is Shape.ANSWER else ""
    said = f"{at}: {source} to {target}: {verb} {message_of(row)}".replace("  ", " ")
    answer = answer_of(row)
    return f"{said}; {answer}" if answer else said


def description(ladder: Ladder) -> str:
    """Of the whole picture."""
    if not ladder.rows:
        return "Nothing has happened yet."
    names = ", ".join(lane.name for lane in ladder.lanes)
    lasted = duration(ladder.ended_at - ladder.began_at)
    return (
        f"Sequence diagram with {count(len(ladder.lanes), 'lane')}: {names}. "
        f"{count(len(ladder.rows), 'row')} from {date_time(ladder.began_at)}, over {lasted}."
    )
