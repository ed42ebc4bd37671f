"""The only place that reads time.

Decisions that several hosts must agree on (leases, deadlines, expiry) use the store's
own clock, never this one; this one measures spans within a process and judges tokens.
"""

import time
from datetime import UTC, datetime
from typing import Protocol

__all__ = ["Clock", "SystemClock", "format_time", "parse_time"]


class Clock(Protocol):
    """What the service may know about time."""

    def now(self) -> float:
        """Wall-clock time, seconds since the Unix epoch."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; never goes back."""

    def sleep(self, seconds: float) -> None:
        """Blocks the calling thread for `seconds`."""


class SystemClock:
    """The host's clock."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def parse_time(text: str) -> int:
    """Milliseconds since the epoch of an RFC 3339 date-time with a zone.

    A leap second (`:60`) is taken as the last second of its minute. Fractions beyond
    microseconds are cut.

    Raises:
        ValueError: `text` is no such date-time, or lies outside the years 1 to 9999.
    """
    head, _, tail = text.upper().partition("T")
    if tail[6:8] == "60":
        tail = f"{tail[:6]}59{tail[8:]}"
    moment = datetime.fromisoformat(f"{head}T{tail}")
    if moment.tzinfo is None:
        raise ValueError(f"no time zone in {text!r}")
    try:
        return round(moment.astimezone(UTC).timestamp() * 1000)
    except OverflowError as error:
        raise ValueError(f"{text!r} is out of range") from error


def format_time(ms: int) -> str:
    """RFC 3339 in UTC with milliseconds, of milliseconds since the epoch."""
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"
