"""A value that is read at most every so often, however many ask for it."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from webrtc_events.core.clock import Clock

__all__ = ["Cached"]

T = TypeVar("T")


class Cached(Generic[T]):
    """Reads by `read`, and anew when the value is `for_s` seconds old. Who asks meanwhile waits for it."""

    def __init__(self, read: Callable[[], T], clock: Clock, for_s: float) -> None:
        self._read = read
        self._clock = clock
        self._for_s = for_s
        self._lock = threading.Lock()
        self._kept: tuple[T, float] | None = None

    def get(self) -> T:
        """Raises what `read` raises, which is not kept."""
        with self._lock:
            if self._kept is None or self._clock.monotonic() >= self._kept[1]:
                value = self._read()
                # From when it is there: a store that is slow is not asked all the more.
                self._kept = value, self._clock.monotonic() + self._for_s
            return self._kept[0]
