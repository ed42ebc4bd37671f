"""Hears wake-ups as a dispatcher does (delivery/wakeup_listener.py), for whoever waits for them."""

import select
from types import TracebackType

from webrtc_events.core.errors import Unavailable
from webrtc_events.store.redis.wakeups import Subscriber
from webrtc_events.store.store import Store

__all__ = ["Hearing"]


class Hearing:
    """Listens from the first call of `numbers` until the end of the block."""

    def __init__(self, store: Store) -> None:
        self._wakeups = store.claims.wakeups()
        self._subscribers: dict[int, Subscriber] = {}

    def __enter__(self) -> "Hearing":
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self._wakeups.close()

    def numbers(self, timeout_s: float) -> set[int]:
        """Of which partitions something came; empty after `timeout_s`.

        Raises:
            Unavailable: no node can be listened to.
        """
        self._listen()
        poller = select.poll()
        for fd in self._subscribers:
            poller.register(fd, select.POLLIN)
        found: set[int] = set()
        for fd, _ in poller.poll(timeout_s * 1000):
            found |= self._heard(self._subscribers[fd])
        return found

    def missed(self) -> list[int]:
        return self._wakeups.missed()

    def _listen(self) -> None:
        if self._wakeups.is_current:
            return
        opened = self._wakeups.opening()()
        over, new = self._wakeups.take(opened)
        for subscriber in over:
            self._end(subscriber)
        self._subscribers |= {subscriber.fd: subscriber for subscriber in new}
        if opened.trouble is not None and not self._subscribers:
            raise Unavailable("The store cannot be listened to.") from opened.trouble

    def _heard(self, subscriber: Subscriber) -> set[int]:
        numbers = self._wakeups.numbers_in(subscriber)
        if numbers is None:
            self._end(subscriber)
        return numbers or set()

    def _end(self, subscriber: Subscriber) -> None:
        del self._subscribers[subscriber.fd]
        subscriber.close()
