"""Which partitions a dispatcher asks for what is due, when, and for how much. Pure.

Those are asked that were noticed, that gave all they were asked for, and once in a while all. Where most
of what was claimed had to go back at once, because its hosts are busy or silent, less is asked for, and
only after a rest: a claim in vain takes time from the others. A partition that is noticed is asked at once
all the same. Where most could be used, more is asked for again.

Times are seconds of one monotonic clock.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

__all__ = ["ClaimSchedule"]

# One of them is of those that are due for longest, the other of whoever's turn it is.
_FEWEST = 2
# What is claimed at once is begun at once, while sinks that answered wait.
_MOST_AT_ONCE = 256
_IN_VAIN_PER_S = 500


class ClaimSchedule:
    """Not thread-safe but for `notice`. A partition is asked for at most `claims_at_once`."""

    def __init__(self, partitions: int, claims_at_once: int) -> None:
        self._partitions = partitions
        self._claims_at_once = claims_at_once
        self._noticed: deque[int] = deque()
        self._fresh: set[int] = set()
        self._eager: set[int] = set()
        self._cursor = 0
        self._most = claims_at_once
        self._rest_until_s = float("-inf")

    def notice(self, partition: int) -> None:
        """Something became due there. From any thread."""
        self._noticed.append(partition)

    def ask(self, partitions: Iterable[int]) -> None:
        """They may have something due."""
        self._eager.update(partitions)

    def ask_all(self) -> None:
        self._eager.update(range(self._partitions))

    def wait_s(self, now_s: float) -> float:
        """How long there is nothing to ask for; infinite if that is not known."""
        if self._noticed or self._fresh:
            return 0.0
        return max(0.0, self._rest_until_s - now_s) if self._eager else float("inf")

    def next(self, room: int, now_s: float, *, most: int) -> tuple[list[int], int]:
        """Which to ask for how many each, when there is room for so many in all.

        No more are asked than that, and no more than `most`.
        """
        while self._noticed:
            self._fresh.add(self._noticed.popleft())
        wanted = self._fresh if now_s < self._rest_until_s else self._fresh | self._eager
        if room <= 0 or most <= 0 or not wanted:
            return [], 0
        numbers = sorted(wanted, key=lambda number: (number - self._cursor) % self._partitions)
        if len(numbers) > min(room, most):
            numbers = numbers[: min(room, most)]
            # The others are asked first next time.
            self._cursor = (numbers[-1] + 1) % self._partitions
        share = min(room, max(_MOST_AT_ONCE, len(numbers))) // len(numbers)
        return numbers, min(share, self._most)

    def asked(
        self, numbers: Sequence[int], share: int, found: Mapping[int, int], in_vain: int, now_s: float
    ) -> None:
        """What they gave: how many claims each, and how many of all went back at once."""
        self._fresh.difference_update(numbers)
        self._eager.difference_update(numbers)
        # A partition that gave all it was asked for may have more.
        self._eager.update(number for number, count in found.items() if count >= share)
        if 2 * in_vain > sum(found.values()):
            self._most = max(_FEWEST, min(share, self._most) // 2)
            self._rest_until_s = now_s + in_vain / _IN_VAIN_PER_S
        elif found:
            self._most = min(2 * self._most, self._claims_at_once)
            self._rest_until_s = now_s
