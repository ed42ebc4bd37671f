"""How values look on a page: times, spans, sizes, counts; as filters of the templates."""

from typing import Any

from flask import Flask

from webrtc_events.core.clock import format_time
from webrtc_events.core.event_names import version_name

__all__ = ["count", "moment", "register_display", "size", "span"]

_SPANS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s"))
_SIZES = ((1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB"))
_NONE = "—"


def moment(ms: int | None) -> str:
    """`2026-03-10 09:00:00`, in UTC, of ms since the epoch."""
    return _NONE if ms is None else format_time(ms)[:19].replace("T", " ")


def span(ms: int | None) -> str:
    """`4 min`, `12 s`, `350 ms`: one unit, rounded down."""
    if ms is None:
        return _NONE
    found = next(((unit_ms, unit) for unit_ms, unit in _SPANS if ms >= unit_ms), (1, "ms"))
    return f"{max(0, ms) // found[0]} {found[1]}"


def size(value: int | None) -> str:
    """`1.2 kB`, of bytes."""
    if value is None:
        return _NONE
    found = next(((unit_bytes, unit) for unit_bytes, unit in _SIZES if value >= unit_bytes), None)
    return f"{value} B" if found is None else f"{value / found[0]:.1f} {found[1]}"


def count(value: int | None) -> str:
    """`12,345`"""
    return _NONE if value is None else f"{value:,}"


def register_display(app: Flask) -> None:
    """`{{ ms|moment }}`, `{{ ms|span }}`, `{{ bytes|size }}`, `{{ number|grouped }}`,
    `{{ contract|version }}`.
    """
    for show in (moment, span, size):
        app.add_template_filter(show)
    # Jinja's own `count` is the length of a list.
    app.add_template_filter(count, "grouped")
    app.add_template_filter(version_name, "version")
    app.jinja_env.finalize = _legible


def _legible(value: Any) -> Any:
    """What is no text in the store, such as half of a character, is none on a page either."""
    if not isinstance(value, str) or value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "replace").decode()
    return value
