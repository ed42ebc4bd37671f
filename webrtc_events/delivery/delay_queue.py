"""A queue of items that wait for their moments, the earliest first. Pure."""

import heapq
import itertools
import math
from typing import Generic, TypeVar

__all__ = ["DelayQueue"]

T = TypeVar("T")


class DelayQueue(Generic[T]):
    """Moments are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, T]] = []
        self._order = itertools.count()

    @property
    def next_s(self) -> float | None:
        """The earliest moment; None if nothing waits."""
        return self._heap[0][0] if self._heap else None

    def put(self, item: T, until_s: float) -> None:
        heapq.heappush(self._heap, (until_s, next(self._order), item))

    def due(self, now_s: float) -> list[T]:
        """What has waited long enough; it no longer waits."""
        found = []
        while self._heap and self._heap[0][0] <= now_s:
            found.append(heapq.heappop(self._heap)[2])
        return found

    def clear(self) -> list[T]:
        """Everything that waits; nothing does any longer."""
        return self.due(math.inf)
