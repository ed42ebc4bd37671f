"""Findings as people read them, and as one JSON document."""

import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import click

from webrtc_events.cli.doctor.findings import Finding, Level, exit_status
from webrtc_events.cli.tables import width
from webrtc_events.core.plain_text import printable

__all__ = ["as_document", "shown"]

_MARKS: Final = {Level.OK: "ok", Level.WARNING: "WARNING", Level.ERROR: "ERROR"}
_COLOURS: Final = {Level.OK: "green", Level.WARNING: "yellow", Level.ERROR: "red"}
_HEAD: Final = 19
_WIDEST: Final = 110
_MAX: Final = 1000


def shown(findings: Iterable[Finding]) -> Iterator[str]:
    """A line of what was found, in more lines where the terminal is narrow, and one of what to do."""
    columns = min(width(), _WIDEST if sys.stdout.isatty() else 10 * _MAX)
    for finding in findings:
        mark = click.style(f"{_MARKS[finding.level]:<8}", fg=_COLOURS[finding.level])
        first, *rest = _wrapped(finding.text, columns)
        yield f"{mark} {finding.area:<{_HEAD - 9}}{first}"
        yield from (" " * _HEAD + line for line in rest)
        if finding.action:
            first, *rest = _wrapped(f"-> {finding.action}", columns)
            yield " " * _HEAD + first
            yield from (" " * (_HEAD + 3) + line for line in rest)


def _wrapped(text: str, columns: int) -> list[str]:
    room = max(30, columns - _HEAD - 3)
    return textwrap.wrap(printable(text, _MAX), room, break_long_words=False, break_on_hyphens=False) or [""]


def as_document(findings: Sequence[Finding]) -> dict[str, Any]:
    counts = {str(level): sum(finding.level is level for finding in findings) for level in Level}
    return {
        "status": exit_status(list(findings)),
        "counts": counts,
        "findings": [finding.document() for finding in findings],
    }
