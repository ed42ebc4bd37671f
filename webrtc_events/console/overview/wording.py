"""Numbers, spans and sizes as people read them."""

from webrtc_events.core.clock import format_time

__all__ = ["clock_time", "count", "percent", "plural", "size", "span"]

_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_SIZES = ("B", "kB", "MB", "GB", "TB")


def count(number: int) -> str:
    """1,234,567."""
    return f"{number:,}"


def plural(number: int, one: str, more: str | None = None) -> str:
    """1 host, 1,234 hosts."""
    return f"{number:,} {one if number == 1 else more or f'{one}s'}"


def span(seconds: float) -> str:
    """850 ms, 2.5 s, 12 s, 3 min 20 s, 2 h 5 min: two units at most."""
    if seconds < 1:
        return f"{round(seconds * 1000)} ms"
    if seconds < 10:
        return f"{seconds:.1f} s".replace(".0 ", " ")
    left, parts = round(seconds), list[str]()
    for length, unit in _UNITS:
        number, left = divmod(left, length)
        if number or parts:
            parts.append(f"{number} {unit}" if number else "")
        if len(parts) == 2:
            break
    return " ".join(filter(None, parts))


def size(number: int) -> str:
    """740 B, 1.2 MB: in thousands."""
    amount, unit = float(number), 0
    while amount >= 1000 and unit < len(_SIZES) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{amount:.0f} {_SIZES[unit]}" if amount >= 100 or not unit else f"{amount:.1f} {_SIZES[unit]}"


def percent(share: float) -> str:
    """0 %, 0.4 %, 93 %, of a share of 1."""
    value = 100 * share
    return f"{value:.1f} %" if 0 < value < 9.95 else f"{value:.0f} %"


def clock_time(ms: int, *, seconds: bool = False) -> str:
    """10:31 or 10:31:05, UTC."""
    return format_time(ms)[11 : 19 if seconds else 16]
