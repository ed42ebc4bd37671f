"""The schedule of claims: which partitions a dispatcher asks, when, for how much. Pure.

Those are asked that were noticed, that gave all they were asked for, that have something due by then, and
once in a while all. Those at home with another worker are asked a moment later. Where most of what was
claimed was deferred at once, because its hosts are busy or unreachable, less is asked for, and only after a
pause: a claim in vain takes time from the others. A partition that is noticed is asked at once all the same.
Where most could be used, more is asked for again.

Few that were noticed take turns with many others, and either is asked for little at a time: so an event does
not wait while a backlog, or the ends of many subscriptions, are claimed and begun.

Times are seconds of one monotonic clock.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from heapq import heappop, heappush
from math import ceil
from typing import NamedTuple

from webrtc_events.delivery.home_partitions import AWAY_S, HomePartitions

__all__ = ["HORIZON_S", "ClaimSchedule"]

# One of them is of those that are due for longest, the other of the client that is next in turn.
_MIN_SHARE = 2
# What is claimed at once is begun at once, while sinks that answered wait.
_MAX_AT_ONCE = 256
# While few that were noticed take turns with many others, and for so long after; of one of the others.
_MAX_IN_TURN = 32
_IN_TURNS_S = 1.0
_SHARE_IN_TURN = 8
_DEFERRED_PER_S = 500
HORIZON_S = 10.0
"""What is due later than this is not kept in mind: it is found when all partitions are asked."""

# What becomes due by and by is claimed together, this much of it.
_SOON_S = 0.2
# Moments this close together are one.
_MOMENT_S = 0.05


class _Rotation:
    """Who is next: whoever is behind those that were asked last, if not all were."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._cursor = 0

    def next(self, wanted: Iterable[int], at_most: int) -> list[int]:
        numbers = sorted(wanted, key=lambda number: (number - self._cursor) % self._partitions)
        if len(numbers) > at_most:
            numbers = numbers[:at_most]
            self._cursor = (numbers[-1] + 1) % self._partitions
        return numbers


class _Turn(NamedTuple):
    """Which may be asked now, by which rotation: at most `at_once` of them, for `subscriptions` in all."""

    partitions: set[int]
    rotation: _Rotation
    at_once: int
    subscriptions: int


class ClaimSchedule:
    """Not thread-safe but for `notice`. A partition is asked for at most `claims_at_once`.

    `home`: which partitions are asked for at once.
    """

    def __init__(self, partitions: int, claims_at_once: int, home: HomePartitions) -> None:
        self._partitions = partitions
        self.home = home
        # Those at home elsewhere that are to be asked later: once for all that was noticed by then.
        self._away: set[int] = set()
        self._claims_at_once = claims_at_once
        self._noticed: deque[int] = deque()
        self._fresh: set[int] = set()
        self._eager: set[int] = set()
        # By moment, in multiples of _MOMENT_S; the heap has those moments.
        self._later: dict[int, set[int]] = {}
        self._moments: list[int] = []
        # Each goes on by itself: those that take turns with each other must not skip each other.
        self._rotation, self._rotation_of_others = _Rotation(partitions), _Rotation(partitions)
        self._max_share = claims_at_once
        self._pause_until_s = self._in_turns_until_s = float("-inf")
        self._others_are_next = False

    def notice(self, partition: int) -> None:
        """Something became due there. From any thread."""
        self._noticed.append(partition)

    def ask(self, partitions: Iterable[int], now_s: float) -> None:
        """They may have something due."""
        for partition in partitions:
            if partition in self.home:
                self._eager.add(partition)
            else:
                self._ask_away(partition, now_s)

    def _ask_away(self, partition: int, now_s: float) -> None:
        if partition not in self._away:
            self._away.add(partition)
            self.ask_later(partition, AWAY_S, now_s)

    def ask_later(self, partition: int, delay_s: float, now_s: float) -> None:
        """It has something due once the delay is over."""
        if delay_s > HORIZON_S:
            return
        moment = ceil((now_s + delay_s) / _MOMENT_S)
        if moment not in self._later:
            self._later[moment] = set()
            heappush(self._moments, moment)
        self._later[moment].add(partition)

    def ask_soon(self, delays_s: Mapping[int, float], now_s: float) -> None:
        """The next is due there after this. At home elsewhere, others know."""
        for partition, delay_s in delays_s.items():
            if partition in self.home:
                self.ask_later(partition, max(delay_s, _SOON_S), now_s)

    def wait_s(self, now_s: float) -> float:
        """How long there is nothing to ask for; infinite if that is not known."""
        if self._noticed or self._fresh:
            return 0.0
        if self._eager:
            return max(0.0, self._pause_until_s - now_s)
        return max(0.0, self._moments[0] * _MOMENT_S - now_s) if self._moments else float("inf")

    def next(self, room: int, now_s: float, *, max_partitions: int) -> tuple[list[int], int]:
        """Which are asked now, and for how many subscriptions each.

        `room`: for how many there is room in all.
        """
        while self._noticed:
            noticed = self._noticed.popleft()
            if noticed in self.home:
                self._fresh.add(noticed)
            else:
                self._ask_away(noticed, now_s)
        while self._moments and self._moments[0] * _MOMENT_S <= now_s:
            due = self._later.pop(heappop(self._moments))
            self._eager |= due
            self._away -= due
        if room <= 0 or max_partitions <= 0:
            return [], 0
        turn = self._turn(now_s)
        if not turn.partitions:
            return [], 0
        numbers = turn.rotation.next(turn.partitions, min(room, max_partitions, turn.at_once))
        # Now: what becomes due there while they are asked may not be in the answer.
        self._fresh.difference_update(numbers)
        self._eager.difference_update(numbers)
        share = min(room, max(turn.subscriptions, len(numbers))) // len(numbers)
        return numbers, min(share, self._max_share)

    def _turn(self, now_s: float) -> _Turn:
        """Whose turn it is. Where they take turns, it is the others' the next time."""
        if now_s < self._pause_until_s:
            return self._turn_of_all(self._fresh)
        others = self._eager - self._fresh
        outnumbered = len(self._fresh) < len(others)
        if self._fresh and outnumbered:
            self._in_turns_until_s = now_s + _IN_TURNS_S
        if not outnumbered or now_s >= self._in_turns_until_s:
            return self._turn_of_all(self._fresh | others)
        others_now = self._others_are_next or not self._fresh
        self._others_are_next = not others_now
        if others_now:
            return _Turn(others, self._rotation_of_others, _MAX_IN_TURN // _SHARE_IN_TURN, _MAX_IN_TURN)
        return _Turn(self._fresh, self._rotation, _MAX_IN_TURN // _MIN_SHARE, _MAX_IN_TURN)

    def _turn_of_all(self, partitions: set[int]) -> _Turn:
        return _Turn(partitions, self._rotation, self._partitions, _MAX_AT_ONCE)

    def asked(self, share: int, found: Mapping[int, int], deferred: int, now_s: float) -> None:
        """What they gave: how many claims each, and how many of all were deferred at once."""
        # A partition that gave all it was asked for may have more.
        self.ask((number for number, count in found.items() if count >= share), now_s)
        if 2 * deferred > sum(found.values()):
            self._max_share = max(_MIN_SHARE, min(share, self._max_share) // 2)
            self._pause_until_s = now_s + deferred / _DEFERRED_PER_S
        elif found:
            self._max_share = min(2 * self._max_share, self._claims_at_once)
            self._pause_until_s = now_s
