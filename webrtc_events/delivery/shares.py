"""How much of what a dispatcher has one client may have. Pure.

| who asks | may have |
| --- | --- |
| a client | four times what it leaves of all; eight times, for a host that has none of it |
| its hosts that are not prompt | twice what they leave of the half that is theirs, less a reserve |
| its hosts that were never asked | of the reserve too, a sixteenth of what is left within 250 ms |
| those of them that were passed over | half as many of them |

A client that is alone may have most of it, and the more clients there are the less each has. The last
sixteenth is for clients that have little, so whoever comes finds something left. Source: Choudhury and
Hahne, Dynamic Queue Length Thresholds, 1998.

A new host that is well answers soon. So only the young are counted against that part: those that were
asked a moment ago. Of hosts that turn out unreachable ever fewer are asked in a second, but some always are.

Times are seconds of one monotonic clock.
"""

from enum import Enum, auto
from typing import Final

__all__ = ["SHARE", "Account", "HostStanding", "Pool"]

SHARE: Final = 16
"""A host may have one part in this many of what is left, less a reserve of one part of all."""

# Times what is left: of all, for a host that has none of it, and of the half of hosts that are not prompt.
_MAX: Final = 4
_MAX_FIRST: Final = 8
_MAX_OTHERS: Final = 2
_RESERVE: Final = 4
# So slowly that what is left is not used up before the first requests to unreachable hosts time out.
_YOUNG: Final = 16
# The last of these parts of all is for clients that have little.
_LAST: Final = 16
_LITTLE: Final = 8
# An answer that takes longer comes from a host that is not well, or far away.
_YOUNG_S: Final = 0.25


class HostStanding(Enum):
    """What a host owes.

    PROMPT: it answers soon. NEW: it was never asked, so it owes nothing. PASSED_OVER: the same, but there was
    no permit when it came. OWING: it answers slowly, failed, or has yet to answer.
    """

    PROMPT = auto()
    NEW = auto()
    PASSED_OVER = auto()
    OWING = auto()


# In 3.11 a member of an enumeration is looked up by a function.
_PROMPT: Final = HostStanding.PROMPT


class Account:
    """What one client has of a pool: in all, for hosts that are not prompt, and for new ones, since when."""

    __slots__ = ("others", "used", "young")

    def __init__(self) -> None:
        self.used = 0
        self.others = 0
        self.young: dict[object, float] = {}

    def young_at(self, now_s: float) -> int:
        while self.young:
            oldest, since_s = next(iter(self.young.items()))
            if now_s - since_s < _YOUNG_S:
                break
            del self.young[oldest]
        return len(self.young)


class Pool:
    """Permits, or entries of queues, of which hosts that are not prompt may take half."""

    __slots__ = ("_half", "_others_used", "_size", "_used")

    def __init__(self, size: int) -> None:
        self._size = size
        self._half = (size + 1) // 2
        self._used = 0
        self._others_used = 0

    def room(self, *, prompt: bool) -> int:
        left = self._size - self._used
        return left if prompt else min(left, self._half - self._others_used)

    @property
    def room_of_one(self) -> int:
        """How many more there are before one client alone has all that it may."""
        return max(0, self._size * _MAX // (_MAX + 1) - self._used)

    def share(self, *, prompt: bool) -> int:
        """How many one host may have."""
        room = self._size - self._used if prompt else self.room(prompt=False)
        share = (room - self._size // SHARE) // SHARE
        return share if share >= 1 else max(min(room, 1), share)

    def may_take(self, account: Account, standing: HostStanding, now_s: float, *, first: bool) -> bool:
        """Whether one more may go to a host of that client. `first`: the host has none yet."""
        prompt = standing is _PROMPT
        if prompt or not self.may_have(account, prompt=False, first=first):
            return self.may_have(account, prompt=prompt, first=first)
        spare = _MAX_OTHERS * self.room(prompt=False) - account.others
        more = spare > self._half // _RESERVE
        if standing is HostStanding.OWING:
            return more
        young = account.young_at(now_s)
        if standing is HostStanding.NEW:
            return young < max(1, spare // _YOUNG)
        # Those that were passed over are many: they leave something to the one that comes.
        return young < max(more, spare // (2 * _YOUNG))

    def may_have(self, account: Account, *, prompt: bool, first: bool = False) -> bool:
        """The same, where nothing is kept for new hosts."""
        left = self._size - self._used
        room = left if prompt else self.room(prompt=False)
        used = account.used
        if used >= _LITTLE and room <= (self._size if prompt else self._half) // _LAST:
            return False
        if used >= (_MAX_FIRST if first else _MAX) * left:
            return False
        return prompt or account.others < _MAX_OTHERS * room

    def take(self, account: Account, *, prompt: bool) -> None:
        self._used += 1
        account.used += 1
        self._others_used += not prompt
        account.others += not prompt

    def give(self, account: Account, *, prompt: bool) -> None:
        self._used -= 1
        account.used -= 1
        self._others_used -= not prompt
        account.others -= not prompt
