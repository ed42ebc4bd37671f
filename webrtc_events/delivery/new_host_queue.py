"""What waits for a permit although its host was never asked. Pure.

Where a client has many new hosts that do not answer, the newest event has the best use of a permit: the
others are late already. So the newest goes first. What has waited for some seconds, or is one too many, is
given up. Source: the LIFO order under overload in Maurer, Fail at Scale, 2015.

Times are seconds of one monotonic clock.
"""

from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Generic, TypeVar

__all__ = ["MAX_WAIT_S", "NewHostQueue"]

T = TypeVar("T")

MAX_WAIT_S = 3.0
"""Then it still has the time for an exchange within its lease, should it get its permit after all."""


@dataclass(frozen=True, slots=True, eq=False)
class _Entry(Generic[T]):
    accepted_ms: int
    since_s: float
    task: T


class NewHostQueue(Generic[T]):
    """For at most `size` tasks, and at most `of_one` of one client."""

    def __init__(self, size: int, of_one: int) -> None:
        self._size = size
        self._of_one = of_one
        self._count = 0
        # Those of each client, the newest last; of the same moment, what came last.
        self._entries: dict[str, list[_Entry[T]]] = {}
        self._given_up: list[T] = []

    def __bool__(self) -> bool:
        return bool(self._entries or self._given_up)

    def add(self, client: str, accepted_ms: int, task: T, now_s: float) -> bool:
        """False: it is full. `accepted_ms`: since when the event is to be sent."""
        of_client = self._entries.get(client, [])
        if len(of_client) >= min(self._of_one, self._size - self._count):
            if not of_client or accepted_ms < of_client[0].accepted_ms:
                return False
            self._given_up.append(self._remove(client, 0))
        self._count += 1
        entries = self._entries.setdefault(client, [])
        insort(entries, _Entry(accepted_ms, now_s, task), key=attrgetter("accepted_ms"))
        return True

    def has_newer(self, client: str, accepted_ms: int) -> bool:
        """Whether something of that client goes before what is to be sent since then."""
        entries = self._entries.get(client)
        return entries is not None and entries[-1].accepted_ms > accepted_ms

    def given_up(self, now_s: float) -> list[T]:
        """What has waited in vain; it no longer waits."""
        for client in list(self._entries):
            late = [entry for entry in self._entries[client] if now_s - entry.since_s >= MAX_WAIT_S]
            for entry in late:
                self._given_up.append(self._remove(client, self._entries[client].index(entry)))
        found, self._given_up = self._given_up, []
        return found

    def next(self, may_go: Callable[[str], bool]) -> T | None:
        """The newest task of a client that may go; clients take turns."""
        client = next((name for name in self._entries if may_go(name)), None)
        return None if client is None else self._remove(client, -1)

    def clear(self) -> list[T]:
        """Everything that waits; nothing does any longer."""
        found = [entry.task for entries in self._entries.values() for entry in entries] + self._given_up
        self._entries.clear()
        self._given_up = []
        self._count = 0
        return found

    def _remove(self, client: str, index: int) -> T:
        entries = self._entries[client]
        entry = entries.pop(index)
        self._count -= 1
        # Other clients are looked at first from now on.
        del self._entries[client]
        if entries:
            self._entries[client] = entries
        return entry.task
