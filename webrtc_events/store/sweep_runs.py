"""Runs of sweep.lua in many partitions: some at once, or one after the other while there is much to do.

A server runs what comes in one batch before it serves others. So a batch is of a few partitions, and of one
while there is much to do. Then the next is on its way, over another connection, before the one before is
answered: the store need not wait for this process, and serves others in between.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from webrtc_events.core.errors import Unavailable
from webrtc_events.store.keys import Partition
from webrtc_events.store.redis.begun import Begun
from webrtc_events.store.redis.scripts import Call, Scripts
from webrtc_events.store.script_steps import ScriptStep

__all__ = ["SweepAnswer", "sweep_each"]

_PARTITIONS_AT_ONCE = 8
# Of subscriptions: this many take the store some ms.
_MUCH = 25
# Of batches of one partition.
_UNDER_WAY = 2


class SweepAnswer(NamedTuple):
    """What sweep.lua answers for a partition, Unavailable for what cannot be reached; and when."""

    partition: Partition
    answer: Any
    at_s: float


def sweep_each(
    scripts: Scripts, partitions: Sequence[Partition], limit: int, now_s: Callable[[], float]
) -> Iterator[SweepAnswer]:
    """Each as it is answered: what a script did it says once.

    If a batch fails by a bug, what is on its way beside it still comes before that is raised.
    """
    batches = _Batches(scripts, partitions, limit, now_s)
    try:
        while batches.are_left:
            yield from batches.next()
    except Exception:
        # It is raised once nothing is on its way any more.
        while batches.are_under_way:
            yield from batches.next_answered()
        raise
    finally:
        batches.end()


class _Batch(NamedTuple):
    partitions: list[Partition]
    step: ScriptStep[list[Any]]
    begun: Begun | None


class _Batches:
    """`end` is to be called, whatever came."""

    def __init__(
        self, scripts: Scripts, partitions: Sequence[Partition], limit: int, now_s: Callable[[], float]
    ) -> None:
        self._scripts = scripts
        self._left = deque(partitions)
        self._limit = limit
        self._now_s = now_s
        self._size = _PARTITIONS_AT_ONCE
        self._under_way: deque[_Batch] = deque()

    @property
    def are_left(self) -> bool:
        return bool(self._left or self._under_way)

    @property
    def are_under_way(self) -> bool:
        return bool(self._under_way)

    def next(self) -> list[SweepAnswer]:
        """Of one batch, in the order of the partitions."""
        self._begin()
        return self.next_answered()

    def next_answered(self) -> list[SweepAnswer]:
        """Of one that was begun."""
        partitions, step, begun = self._under_way.popleft()
        found = step.run(begun)
        at_s = self._now_s()
        if begun is None and self._size == 1:
            # Of the next ones two can be under way.
            step.keep()
        touched = [int(answer[0]) for answer in found if not isinstance(answer, Unavailable)]
        if not touched:
            # An outage is waited for once more, and not with every batch.
            self._size = max(1, len(self._left))
        else:
            self._size = 1 if sum(touched) >= _MUCH else _PARTITIONS_AT_ONCE
        return [
            SweepAnswer(partition, answer, at_s) for partition, answer in zip(partitions, found, strict=True)
        ]

    def end(self) -> None:
        """What is under way is not waited for any more."""
        for batch in self._under_way:
            if batch.begun is not None:
                batch.step.end(batch.begun)

    def _begin(self) -> None:
        """At least one batch; of those of one partition two, if they need not be waited for."""
        while self._left and (not self._under_way or (self._size == 1 and len(self._under_way) < _UNDER_WAY)):
            partitions = [self._left.popleft() for _ in range(min(self._size, len(self._left)))]
            calls = [_call(partition, self._limit) for partition in partitions]
            step = ScriptStep(self._scripts, calls, _as_they_are)
            begun = step.begin() if self._size == 1 else None
            self._under_way.append(_Batch(partitions, step, begun))
            if begun is None:
                return
            begun.send()


def _call(partition: Partition, limit: int) -> Call:
    """Source: lua/sweep.lua."""
    return Call("sweep", [partition.ends], partition.tag, [limit])


def _as_they_are(answers: list[Any]) -> tuple[list[Any], None]:
    return answers, None
