"""How many deliveries may be on their way to one host. Pure.

A host that does not answer keeps what is on its way to it until it times out. A limit for each
host, and another on what may wait for it, leave the rest of the courier to the others.
"""

from collections import deque
from typing import Generic, TypeVar

__all__ = ["HostGate"]

T = TypeVar("T")


class HostGate(Generic[T]):
    """Counts what is on its way to each host and keeps what waits for it, in order."""

    def __init__(self, *, in_flight: int, waiting: int) -> None:
        self._most_in_flight = in_flight
        self._most_waiting = waiting
        self._in_flight: dict[str, int] = {}
        self._waiting: dict[str, deque[T]] = {}

    def admit(self, host: str) -> bool:
        """Takes a place on the way to `host`, if one is free; to be given back by `release`."""
        count = self._in_flight.get(host, 0)
        if count >= self._most_in_flight:
            return False
        self._in_flight[host] = count + 1
        return True

    def release(self, host: str) -> None:
        count = self._in_flight[host] - 1
        if count:
            self._in_flight[host] = count
        else:
            del self._in_flight[host]

    def wait(self, host: str, what: T) -> bool:
        """Lets `what` wait for `host`; False if too much does already."""
        queue = self._waiting.setdefault(host, deque())
        if len(queue) >= self._most_waiting:
            return False
        queue.append(what)
        return True

    def next(self, host: str) -> T | None:
        """What has waited longest for `host`, if there is a place for it; it is for the caller to take."""
        queue = self._waiting.get(host)
        if queue is None or self._in_flight.get(host, 0) >= self._most_in_flight:
            return None
        what = queue.popleft()
        if not queue:
            del self._waiting[host]
        return what

    def clear(self) -> list[T]:
        """Everything that waits; nothing does any longer."""
        waiting = [what for queue in self._waiting.values() for what in queue]
        self._waiting.clear()
        return waiting
