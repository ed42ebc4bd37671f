"""How many entries each owner has, those with most first. Pure.

A change costs the same however many owners there are. To begin with those who have most takes a look at each
different count, of which there are few: 10,000 entries make 140 at most.
"""

from collections import OrderedDict
from collections.abc import Iterator

__all__ = ["OwnerCounts"]


class OwnerCounts:
    """Of those who have equally many, the one that was used last comes last."""

    def __init__(self) -> None:
        self._count: dict[str, int] = {}
        self._having: dict[int, OrderedDict[str, None]] = {}

    def add(self, owner: str, change: int) -> None:
        """It has that many more, or fewer."""
        before = self._count.pop(owner, 0)
        if before:
            having = self._having[before]
            del having[owner]
            if not having:
                del self._having[before]
        count = before + change
        if count:
            self._count[owner] = count
            self._having.setdefault(count, OrderedDict())[owner] = None

    def used(self, *owners: str) -> None:
        """Just now; each has some."""
        for owner in owners:
            self._having[self._count[owner]].move_to_end(owner)

    def most_first(self) -> Iterator[str]:
        """Nothing may be changed meanwhile."""
        for count in sorted(self._having, reverse=True):
            yield from self._having[count]
