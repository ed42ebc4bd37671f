"""Tables for people: columns as wide as what is in them, in a terminal of any width, safe to print."""

import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Final

import click

from webrtc_events.core.plain_text import printable

__all__ = ["MAX_CELL", "echo_lines", "labelled", "table", "width"]

MAX_CELL: Final = 200
"""Characters of a cell: what others wrote may have any length."""

_GAP: Final = "  "
_INDENT: Final = 4
# The widths are those of so many rows; a longer cell behind them pushes the rest of its row.
_MEASURED: Final = 50
_UNBOUNDED: Final = 100_000


def width() -> int:
    """Of the terminal that is printed to; without one, a line is as long as it is."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else _UNBOUNDED


def table(
    heads: Sequence[str], rows: Iterable[Sequence[object]], columns: int | None = None
) -> Iterator[str]:
    """Lines, as rows come; nothing without rows.

    A row that is wider than `columns` goes on in indented lines. In a pipe it never is: a row is a line.
    """
    room = width() if columns is None else columns
    given = ([printable(_cell(value), MAX_CELL) for value in row] for row in rows)
    first = list(islice(given, _MEASURED))
    if not first:
        return
    widths = [max(map(len, column)) for column in zip(heads, *first, strict=True)]
    groups = list(_groups(widths, room))
    for row in chain([heads], first, given):
        for number, group in enumerate(groups):
            cells = [f"{row[column]:<{widths[column]}}" for column in group]
            yield (" " * (_INDENT if number else 0) + _GAP.join(cells)).rstrip()


def _groups(widths: Sequence[int], room: int) -> Iterator[list[int]]:
    """The columns of each line that a row takes."""
    group: list[int] = []
    used = 0
    for column, wide in enumerate(widths):
        if group and used + len(_GAP) + wide > room:
            yield group
            group, used = [], _INDENT
        used += wide + (len(_GAP) if group else 0)
        group.append(column)
    yield group


def _cell(value: object) -> str:
    return "-" if value is None or value == "" else str(value)


def labelled(facts: Iterable[tuple[str, object]]) -> Iterator[str]:
    """`label:   value`, one a line, the values under each other; what is None has no line."""
    shown = [(label, value) for label, value in facts if value is not None]
    wide = max((len(label) for label, _ in shown), default=0) + 1
    for label, value in shown:
        yield f"{label + ':':<{wide}}  {printable(_cell(value), 10 * MAX_CELL)}"


def echo_lines(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line)
