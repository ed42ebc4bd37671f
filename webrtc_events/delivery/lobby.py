"""What waits for a place although its host was never asked. Pure.

Where a client has many new hosts that do not answer, the newest event has the best use of a place: the others
are late already. So the newest goes first. What has waited for some seconds, or is one too many, has to go.
Source: the LIFO order under overload in Maurer, Fail at Scale, 2015.

Times are seconds of one monotonic clock.
"""

from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

__all__ = ["Lobby"]

T = TypeVar("T")

_PATIENCE_S = 3.0


@dataclass(order=True, slots=True)
class _Guest(Generic[T]):
    accepted_ms: int
    number: int
    since_s: float = field(compare=False)
    what: T = field(compare=False)


class Lobby(Generic[T]):
    """For at most `size`, and at most `of_one` of one client."""

    def __init__(self, size: int, of_one: int) -> None:
        self._size = size
        self._of_one = of_one
        self._count = 0
        self._number = 0
        # Those of each client, the newest last.
        self._guests: dict[str, list[_Guest[T]]] = {}
        self._leaving: list[T] = []

    def __bool__(self) -> bool:
        return bool(self._guests or self._leaving)

    def add(self, client: str, accepted_ms: int, what: T, now_s: float) -> bool:
        """False: it is full. `accepted_ms`: since when the event is to be sent."""
        of_client = self._guests.get(client, [])
        if len(of_client) >= min(self._of_one, self._size - self._count):
            if not of_client or accepted_ms < of_client[0].accepted_ms:
                return False
            self._leaving.append(self._out(client, 0))
        self._number += 1
        self._count += 1
        insort(self._guests.setdefault(client, []), _Guest(accepted_ms, self._number, now_s, what))
        return True

    def has_newer(self, client: str, accepted_ms: int) -> bool:
        """Whether something of that client goes before what is to be sent since then."""
        guests = self._guests.get(client)
        return guests is not None and guests[-1].accepted_ms > accepted_ms

    def leaving(self, now_s: float) -> list[T]:
        """What has waited in vain."""
        for client in list(self._guests):
            late = [guest for guest in self._guests[client] if now_s - guest.since_s >= _PATIENCE_S]
            for guest in late:
                self._leaving.append(self._out(client, self._guests[client].index(guest)))
        found, self._leaving = self._leaving, []
        return found

    def next(self, may_go: Callable[[str], bool]) -> T | None:
        """The newest of some client whose turn it may be."""
        client = next((guest for guest in self._guests if may_go(guest)), None)
        return None if client is None else self._out(client, -1)

    def clear(self) -> list[T]:
        """Everything that waits; nothing does any longer."""
        found = [guest.what for guests in self._guests.values() for guest in guests] + self._leaving
        self._guests.clear()
        self._leaving = []
        self._count = 0
        return found

    def _out(self, client: str, index: int) -> T:
        guests = self._guests[client]
        guest = guests.pop(index)
        self._count -= 1
        # Other clients are looked at first from now on.
        del self._guests[client]
        if guests:
            self._guests[client] = guests
        return guest.what
