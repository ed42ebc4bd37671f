"""Which paths of hosts hang, which answer, and when one that hangs may be tried again. Pure.

A path is a sink's whole URL, by its hash: two that share one are taken for the same. Times are seconds of one
monotonic clock.
"""

from typing import Final

__all__ = ["KnownPaths"]


class _Latest:
    """A moment for each of the latest paths: of `size` at least, and of twice as many at most."""

    __slots__ = ("_size", "earlier", "latest")

    def __init__(self, size: int) -> None:
        self._size: Final = size
        self.latest: dict[int, float] = {}
        self.earlier: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self.latest) + len(self.earlier)

    def get(self, path: int) -> float:
        """Infinite if there is none."""
        moment_s = self.latest.get(path)
        return self.earlier.get(path, float("inf")) if moment_s is None else moment_s

    def put(self, path: int, moment_s: float) -> None:
        if path not in self.latest and len(self.latest) >= self._size:
            self.earlier, self.latest = self.latest, {}
        self.latest[path] = moment_s

    def discard(self, path: int) -> None:
        self.latest.pop(path, None)
        self.earlier.pop(path, None)


class KnownPaths:
    """Of each kind the latest `size` at least, and twice as many at most."""

    def __init__(self, size: int) -> None:
        # When each has its turn; infinite if it has none yet.
        self._slow = _Latest(size)
        self._answering = _Latest(size)

    def __len__(self) -> int:
        """How many are remembered, for those who check that they are bounded."""
        return len(self._slow) + len(self._answering)

    def hangs(self, path: int) -> None:
        """A request to it hangs."""
        self._slow.put(path, self._slow.get(path))
        self._answering.discard(path)

    def answers(self, path: int, *, in_time: bool) -> None:
        """It has answered. One that did so late need not hang the next time, and is no path to rely on."""
        if in_time and path not in self._answering.latest:
            self._answering.put(path, 0.0)
        if self._slow.latest or self._slow.earlier:
            self._slow.discard(path)

    def is_slow(self, path: int) -> bool:
        """Whether the latest that is known is that it hangs."""
        return path in self._slow.latest or path in self._slow.earlier

    def is_answering(self, path: int) -> bool:
        """Whether the latest that is known is that it answers in time."""
        return path in self._answering.latest or path in self._answering.earlier

    def turn_s(self, path: int) -> float:
        """When a slow path has its turn; infinite if it has none yet."""
        return self._slow.get(path)

    def give_turn(self, path: int, moment_s: float) -> None:
        self._slow.put(path, moment_s)

    def take_turn(self, path: int) -> None:
        """It goes now, and has no turn until it is given another."""
        self._slow.put(path, float("inf"))
