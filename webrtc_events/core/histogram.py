"""How values are spread, as plain numbers: how many were within each of a few bounds, and their sum."""

import threading
from bisect import bisect_left
from collections.abc import Sequence

__all__ = ["Histogram", "SharedHistogram"]


class Histogram:
    """Of values of one unit. One thread observes; any thread may read.

    `bounds`: upper bounds, inclusive, in order. `counts` has one number for each of them, and a last one for
    what is above all. `total` is the sum of the values.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class SharedHistogram(Histogram):
    """Several threads observe."""

    __slots__ = ("_lock",)

    def __init__(self, bounds: Sequence[float]) -> None:
        super().__init__(bounds)
        self._lock = threading.Lock()

    def observe(self, value: float) -> None:
        with self._lock:
            self.counts[bisect_left(self.bounds, value)] += 1
            self.total += value
