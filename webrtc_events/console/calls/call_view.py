"""The ladder of a call as pages show it: facts, drawing, the same as a table, each entry in full."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from webrtc_events.console.calls.call_facts import Fact, call_facts, parties
from webrtc_events.console.calls.entry_details import Details, details
from webrtc_events.console.ladder.building import build_ladder
from webrtc_events.console.ladder.drawing import body, heads, times, times_head
from webrtc_events.console.ladder.entries import Item, read_entries
from webrtc_events.console.ladder.ladder import Ladder, Row, Shape
from webrtc_events.console.ladder.layout import HEAD_HEIGHT, TIMES_WIDTH, laid_out
from webrtc_events.console.ladder.sentences import answer_of, description, message_of, sentence
from webrtc_events.console.ladder.wording import clock_time

__all__ = ["CallView", "TableRow", "call_view"]


@dataclass(frozen=True, slots=True)
class TableRow:
    """`css`: the class of its mark. `address` of its details, None without any."""

    number: int
    time: str
    source: str
    target: str
    message: str
    answer: str
    css: str
    address: str | None


@dataclass(frozen=True, slots=True)
class CallView:
    """`heads`, `body`, `times` and `times_head` are what is inside of SVG elements.

    Times take the first `times_width` of `width` pixels.
    """

    items: Sequence[Item]
    ladder: Ladder
    facts: list[Fact]
    width: float
    times_width: float
    head_height: float
    body_height: float
    heads: Markup
    body: Markup
    times_head: Markup
    times: Markup
    description: str
    table: list[TableRow]
    entries: Sequence[object]

    def entry(self, key: str) -> tuple[str, str, Details] | None:
        """What it is, in a few words and in a sentence, and all that it holds; None: it is there no more."""
        for item, entry in zip(self.items, self.entries, strict=True):
            if item.key == key:
                return *self._named(item, self._last_rows()), details(entry)
        return None

    def all_entries(self) -> list[tuple[str, str, str, Details]]:
        """Each with its key, as `entry` has it."""
        rows = self._last_rows()
        return [
            (item.key, *self._named(item, rows), details(entry))
            for item, entry in zip(self.items, self.entries, strict=True)
        ]

    def _last_rows(self) -> dict[str, Row]:
        """Of each entry the row that says what came of it."""
        return {row.key: row for row in self.ladder.rows}

    def _named(self, item: Item, rows: Mapping[str, Row]) -> tuple[str, str]:
        row = rows.get(item.key)
        if row is None:
            return f"Entry {item.number}", f"{clock_time(item.at)}, not drawn"
        return " ".join([row.title, *row.facts]), sentence(self.ladder, row)


def call_view(entries: Sequence[object], shown: Sequence[object], address: Callable[[str], str]) -> CallView:
    """Of the entries of a trace. `shown`: the same ones as they are shown, masked or not.

    `address` gives that of an entry's details by its key.
    """
    items = read_entries(entries)
    ladder = build_ladder(items)
    layout = laid_out(ladder)

    def link(row: Row) -> str | None:
        return address(row.key) if row.key else None

    return CallView(
        items=items,
        ladder=ladder,
        facts=[*parties(shown), *call_facts(items)],
        width=layout.width,
        times_width=TIMES_WIDTH,
        head_height=HEAD_HEIGHT,
        body_height=layout.height,
        heads=heads(ladder, layout),
        body=body(ladder, layout, link),
        times_head=times_head(),
        times=times(ladder, layout),
        description=description(ladder),
        table=[_table_row(ladder, row, link(row)) for row in ladder.rows],
        entries=shown,
    )


def _table_row(ladder: Ladder, row: Row, address: str | None) -> TableRow:
    names = [ladder.lanes[row.source].name, ladder.lanes[row.target].name]
    if row.shape is Shape.BREAK:
        names = ["", ""]
    elif row.shape is Shape.ANSWER:
        names.reverse()
    return TableRow(
        number=row.number,
        time=clock_time(row.at),
        source=names[0],
        target=names[1],
        message=message_of(row),
        answer=answer_of(row),
        css=f"is-{row.mark.value}",
        address=address,
    )
