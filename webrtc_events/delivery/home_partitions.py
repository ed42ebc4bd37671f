"""Which partitions a worker asks at once, where several workers share a store. Pure.

If all asked at once for whatever became due, all but one would ask in vain, and the one that is ahead would
take everything, however busy it is. So each partition is at home with one of the running workers, which asks
at once. The others ask a moment later: for what that one has no room for, or has left behind.
"""

from collections.abc import Sequence

__all__ = ["AWAY_S", "HomePartitions"]

AWAY_S = 0.25
"""How much later the others ask."""


class HomePartitions:
    """Those of the worker `name`: all of them until it knows of others."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._place, self._workers = 0, 1

    @property
    def workers(self) -> int:
        """How many share the partitions."""
        return self._workers

    def share(self, running: Sequence[str]) -> None:
        """These workers are running. Each has every N-th partition, so that none has more than another."""
        names = sorted(set(running))
        if self.name in names:
            self._place, self._workers = names.index(self.name), len(names)
        else:
            # It is running, whatever the store knows.
            self._place, self._workers = 0, 1

    def __contains__(self, partition: object) -> bool:
        return isinstance(partition, int) and partition % self._workers == self._place
