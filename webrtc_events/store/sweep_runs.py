"""Runs of sweep.lua in many partitions: some at once, or one after the other while there is much to do.

A server runs what comes in one batch before it serves others. So a batch is of a few partitions, and of one
while there is much to do. Then the next is on its way, over another connection, before the one before is
answered: the store need not wait for this process, and serves others in between.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from webrtc_events.core.errors import Unavailable
from webrtc_events.store.keys import Partition
from webrtc_events.store.redis.begun import Begun
from webrtc_events.store.redis.scripts import Call, Scripts
from webrtc_events.store.script_steps import ScriptStep

__all__ = ["sweep_each"]

_PARTITIONS_AT_ONCE = 8
# Of subscriptions: this many take the store some ms.
_MUCH = 25
# Of batches of one partition.
_UNDER_WAY = 2


def sweep_each(
    scripts: Scripts, partitions: Sequence[Partition], limit: int, now_s: Callable[[], float]
) -> tuple[list[Any], list[float]]:
    """What sweep.lua answers for each, Unavailable for what cannot be reached; and when."""
    batches = _Batches(scripts, partitions, limit)
    answers: list[Any] = []
    answered_s: list[float] = []
    try:
        while len(answers) < len(partitions):
            found = batches.next()
            answers += found
            answered_s += [now_s()] * len(found)
    finally:
        batches.end()
    return answers, answered_s


class _Batches:
    """`end` is to be called, whatever came."""

    def __init__(self, scripts: Scripts, partitions: Sequence[Partition], limit: int) -> None:
        self._scripts = scripts
        self._left = deque(partitions)
        self._limit = limit
        self._size = _PARTITIONS_AT_ONCE
        self._under_way: deque[tuple[ScriptStep[list[Any]], Begun | None]] = deque()

    def next(self) -> list[Any]:
        """The answers of one batch, in the order of the partitions."""
        self._begin()
        step, begun = self._under_way.popleft()
        found = step.run(begun)
        if begun is None and self._size == 1:
            # Of the next ones two can be under way.
            step.keep()
        touched = [int(answer[0]) for answer in found if not isinstance(answer, Unavailable)]
        if not touched:
            # An outage is waited for once more, and not with every batch.
            self._size = max(1, len(self._left))
        else:
            self._size = 1 if sum(touched) >= _MUCH else _PARTITIONS_AT_ONCE
        return found

    def end(self) -> None:
        """What is under way is not waited for any more."""
        for step, begun in self._under_way:
            if begun is not None:
                step.end(begun)

    def _begin(self) -> None:
        """At least one batch; of those of one partition two, if they need not be waited for."""
        while self._left and (not self._under_way or (self._size == 1 and len(self._under_way) < _UNDER_WAY)):
            count = min(self._size, len(self._left))
            calls = [_call(self._left.popleft(), self._limit) for _ in range(count)]
            step = ScriptStep(self._scripts, calls, _as_they_are)
            begun = step.begin() if self._size == 1 else None
            self._under_way.append((step, begun))
            if begun is None:
                return
            begun.send()


def _call(partition: Partition, limit: int) -> Call:
    """Source: lua/sweep.lua."""
    return Call("sweep", [partition.ends], partition.tag, [limit])


def _as_they_are(answers: list[Any]) -> tuple[list[Any], None]:
    return answers, None
