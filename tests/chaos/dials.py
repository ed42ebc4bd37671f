"""Clocks of running processes, turned from outside through a file."""

import mmap
import struct
import time
from pathlib import Path
from typing import Self

__all__ = ["Dials", "TurnedClock"]

_FORMAT = struct.Struct("<dd")


class Dials:
    """A context. Seconds to add to the wall clock, and to time itself, as store and processes see it."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(_FORMAT.pack(0.0, 0.0))
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), _FORMAT.size)

    def set(self, *, wall_s: float | None = None, time_s: float | None = None) -> None:
        """None leaves a dial as it is."""
        was_wall_s, was_time_s = _FORMAT.unpack(self._shared[:])
        new = (was_wall_s if wall_s is None else wall_s, was_time_s if time_s is None else time_s)
        self._shared[:] = _FORMAT.pack(*new)

    @property
    def wall_s(self) -> float:
        return float(_FORMAT.unpack(self._shared[:])[0])

    @property
    def time_s(self) -> float:
        return float(_FORMAT.unpack(self._shared[:])[1])

    def close(self) -> None:
        self._shared.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class TurnedClock:
    """The host's clock with what the dials add. A `Clock`."""

    def __init__(self, dials: Dials) -> None:
        self._dials = dials

    def now(self) -> float:
        return time.time() + self._dials.wall_s + self._dials.time_s

    def monotonic(self) -> float:
        return time.monotonic() + self._dials.time_s

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)
