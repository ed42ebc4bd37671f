"""When each event of a simulation is due."""

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Due", "Timetable"]


@dataclass(frozen=True, slots=True, order=True)
class Due:
    """`at_s` is in seconds since the start; `call` and `event` count from 0."""

    at_s: float
    call: int
    event: int


class Timetable:
    """Gives each event of `calls` calls once, by its time, and those of a call in their order.

    `offsets_s` are the moments of a call's events, in seconds since its first. It holds one entry for each
    call that has begun and is not over.
    """

    def __init__(self, offsets_s: Sequence[float], *, calls: int, rate: float, speed: float) -> None:
        self._offsets_s = [0.0 if speed == math.inf else offset_s / speed for offset_s in offsets_s]
        self._calls = calls
        self._rate = rate
        self._waiting = [Due(0.0, 0, 0)]

    @property
    def next_s(self) -> float | None:
        """When the next event is due; None after the last."""
        return self._waiting[0].at_s if self._waiting else None

    def take(self, elapsed_s: float, max_events: int) -> list[Due]:
        """What is due by now, at most `max_events`. Nothing is taken twice."""
        taken: list[Due] = []
        while self._waiting and self._waiting[0].at_s <= elapsed_s and len(taken) < max_events:
            due = heapq.heappop(self._waiting)
            taken.append(due)
            self._follow(due)
        return taken

    def _follow(self, due: Due) -> None:
        """Enters what comes after an event: its call's next one, and after a first one the next call."""
        begun_s = due.call / self._rate
        if due.event + 1 < len(self._offsets_s):
            offset_s = self._offsets_s[due.event + 1]
            heapq.heappush(self._waiting, Due(begun_s + offset_s, due.call, due.event + 1))
        if due.event == 0 and due.call + 1 < self._calls:
            heapq.heappush(self._waiting, Due((due.call + 1) / self._rate, due.call + 1, 0))
