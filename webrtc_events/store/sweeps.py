"""What time does, partition by partition, in steps between which the store serves others."""

from collections.abc import Sequence
from typing import Any

from webrtc_events.core.errors import Unavailable
from webrtc_events.store.keys import Partition
from webrtc_events.store.redis.scripts import Call, Scripts

__all__ = ["sweep"]

_AT_ONCE = 8
# Of subscriptions: so many take the store some ms.
_MUCH = 25


def sweep(scripts: Scripts, partitions: Sequence[Partition], limit: int) -> list[Any]:
    """What sweep.lua answers for each; Unavailable for what cannot be reached.

    A server runs what comes in one batch before it serves others. So a batch is of a few partitions, and of
    one while there is much to do.
    """
    answers: list[Any] = []
    few = _AT_ONCE
    while left := partitions[len(answers) :]:
        found = scripts.run_some([Call("sweep", [each.ends], each.tag, [limit]) for each in left[:few]])
        answers += found
        done = [int(answer[0]) for answer in found if not isinstance(answer, Unavailable)]
        # An outage is waited for once more, and not with every few.
        few = (1 if sum(done) >= _MUCH else _AT_ONCE) if done else len(left)
    return answers
