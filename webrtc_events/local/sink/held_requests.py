"""The requests that hang or drip, of all servers of a sink: a bounded number, and all of them end at once."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

__all__ = ["MAX_HELD", "HeldRequest", "HeldRequests"]

MAX_HELD = 200


@dataclass(eq=False, slots=True)
class HeldRequest:
    """Made in the event loop of its server. `release` may be called from any thread."""

    released: asyncio.Event = field(default_factory=asyncio.Event)
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)

    def release(self) -> None:
        with suppress(RuntimeError):  # The loop has ended, and the request with it.
            self.loop.call_soon_threadsafe(self.released.set)


class HeldRequests:
    """At most 200 at a time: the oldest one ends when another comes."""

    def __init__(self, max_held: int = MAX_HELD) -> None:
        self._max_held = max_held
        self._lock = threading.Lock()
        self._held: dict[HeldRequest, None] = {}
        self._is_closed = False

    @contextmanager
    def hold(self) -> Iterator[HeldRequest]:
        """A request for the length of a block, which is to end when it is released."""
        held = HeldRequest()
        with self._lock:
            if len(self._held) >= self._max_held:
                oldest = next(iter(self._held))
                del self._held[oldest]
                oldest.release()
            self._held[held] = None
            if self._is_closed:
                held.release()
        try:
            yield held
        finally:
            with self._lock:
                self._held.pop(held, None)

    def __len__(self) -> int:
        with self._lock:
            return len(self._held)

    def close(self) -> None:
        """Ends them all, and those that are still to come."""
        with self._lock:
            self._is_closed = True
            for held in self._held:
                held.release()
