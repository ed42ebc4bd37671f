"""The only place that reads time.

Decisions that several hosts must agree on (leases, deadlines, expiry) use the store's
own clock, never this one; this one measures spans within a process and judges tokens.
"""

import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol

__all__ = ["Clock", "SystemClock", "format_time", "parse_time"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_SECOND = timedelta(seconds=1)
_FIRST = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MS
_LAST = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MS


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

    # The functions themselves: the time is read several times for each delivery.
    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)
    sleep = staticmethod(time.sleep)


def parse_time(text: str) -> int:
    """Milliseconds since the epoch of an RFC 3339 date-time with a zone.

    A leap second (`:60`) is taken as the last second of its minute. Fractions beyond
    milliseconds are cut.

    Raises:
        ValueError: `text` is no such date-time, or lies outside the years 1 to 9999 in UTC.
    """
    head, _, tail = text.upper().partition("T")
    if tail[6:8] == "60":
        tail = f"{tail[:6]}59{tail[8:]}"
    moment = datetime.fromisoformat(f"{head}T{tail}")
    if moment.tzinfo is None:
        raise ValueError(f"no time zone in {text!r}")
    ms = (moment - _EPOCH) // _MS
    if not _FIRST <= ms <= _LAST:
        raise ValueError(f"{text!r} is out of range")
    return ms


def format_time(ms: int) -> str:
    """RFC 3339 in UTC with milliseconds, of milliseconds since the epoch (years 1 to 9999)."""
    seconds, rest = divmod(ms, 1000)
    return f"{_format_second(seconds)}.{rest:03d}Z"


@lru_cache(maxsize=256)
def _format_second(seconds: int) -> str:
    """Most of what is written at a time is of the same few seconds."""
    return (_EPOCH + seconds * _SECOND).replace(tzinfo=None).isoformat(timespec="seconds")
