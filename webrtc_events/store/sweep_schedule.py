"""The schedule of sweeps: which partitions have something due by now, and which are swept anyway. Pure.

A look (`Expiry.look`) says when the next thing ends in each partition. Of the others a few are swept in each
round, the longest unswept first: each within `WHOLE_ROUND_S`, for what has no moment, and for its time. A
partition's time is learned from each sweep, and passes like the monotonic clock meanwhile. Where a sweep
finds that a store's clock was set, all are swept in the next round.

Moments of partitions are ms of their time; others are seconds of one monotonic clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

__all__ = ["WHOLE_ROUND_S", "Look", "SweepSchedule"]

WHOLE_ROUND_S = 64.0
"""Within this every partition is swept, whatever is due there."""

# An answer that came late looks like a clock that was set a little.
_STEP_MS = 1000.0


@dataclass(frozen=True, slots=True)
class Look:
    """When the next end of a partition is due, ms, None for never; whether it has work without a moment."""

    next_end_ms: float | None
    has_more: bool


class SweepSchedule:
    """For one thread. `round_s`: how long after another a round comes."""

    def __init__(self, partitions: int, round_s: float) -> None:
        self._swept_anyway = ceil(partitions * round_s / WHOLE_ROUND_S)
        # Longest unswept first; how far the time of each is ahead of the monotonic clock, ms, if it is known.
        self._ahead_ms: dict[int, float | None] = dict.fromkeys(range(partitions))

    def due(self, looks: Mapping[int, Look], now_s: float) -> list[int]:
        """The numbers of those to be swept, in their order. One that was not looked at is among them."""
        anyway = set(list(self._ahead_ms)[: self._swept_anyway])
        return sorted(
            number
            for number, ahead_ms in self._ahead_ms.items()
            if number in anyway or ahead_ms is None or _is_due(looks.get(number), ahead_ms + now_s * 1000)
        )

    def swept(self, ahead_ms: Mapping[int, float | None]) -> bool:
        """These were: how far the time of each is ahead of the monotonic clock, ms; None: it was not reached.

        Returns whether some clock was set: then the time of none is known any more.
        """
        was_set = False
        for number, latest_ms in ahead_ms.items():
            former_ms = self._ahead_ms.pop(number)
            self._ahead_ms[number] = latest_ms
            if former_ms is not None and latest_ms is not None:
                was_set = was_set or abs(latest_ms - former_ms) > _STEP_MS
        if was_set:
            self._ahead_ms = dict.fromkeys(self._ahead_ms)
        return was_set


def _is_due(look: Look | None, time_ms: float) -> bool:
    return look is None or look.has_more or (look.next_end_ms is not None and look.next_end_ms <= time_ms)
