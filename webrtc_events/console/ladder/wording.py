"""How times, durations and counts are written in a ladder."""

from webrtc_events.core.clock import format_time

__all__ = ["clock_time", "count", "date_time", "duration"]

_SECOND = 1_000
_MINUTE = 60 * _SECOND
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR


def duration(ms: int) -> str:
    """`12 ms`, `2.5 s`, `2 min 05 s`, `1 h 02 min`, `3 d 4 h`."""
    if ms < _SECOND:
        return f"{ms} ms"
    if ms < _MINUTE:
        return f"{ms // 100 / 10:.1f} s"
    if ms < _HOUR:
        return f"{ms // _MINUTE} min {ms % _MINUTE // _SECOND:02d} s"
    if ms < _DAY:
        return f"{ms // _HOUR} h {ms % _HOUR // _MINUTE:02d} min"
    return f"{ms // _DAY:,} d {ms % _DAY // _HOUR} h"


def clock_time(at: int) -> str:
    """`09:14:02.318`, in UTC, of ms since the epoch."""
    return format_time(at)[11:23]


def date_time(at: int) -> str:
    """`2026-03-10 09:14:02.318 UTC`"""
    text = format_time(at)
    return f"{text[:10]} {text[11:23]} UTC"


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 entry`, `2 entries`; `many` is `one` with an s if it is not given."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
