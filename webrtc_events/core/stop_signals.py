"""SIGINT, SIGTERM and SIGHUP: the first signal asks a process to stop, the second to hurry."""

import signal
import threading
from collections.abc import Callable
from itertools import count
from types import FrameType, TracebackType
from typing import Any, Self

__all__ = ["StopSignals"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignals:
    """A context to enter in the main thread. Within it, no signal interrupts a statement.

    A signal comes between any two steps of the main thread, in a `wait` of it too. An Event's `set` would
    wait there for the lock that the Event's own `wait` holds, for ever. To release a plain lock waits for
    nothing.
    """

    def __init__(self) -> None:
        self._came = count()
        self._is_asked = False
        self._is_hurried = False
        # Released once it is asked.
        self._running = threading.Lock()
        self._running.acquire()
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            self._previous[number] = signal.signal(number, self._notice)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def asked(self) -> bool:
        return self._is_asked

    def hurried(self) -> bool:
        return self._is_hurried

    def wait(self, seconds: float) -> bool:
        """Waits until asked to stop, `seconds` at most; returns whether it was asked."""
        if not self._running.acquire(timeout=max(0.0, seconds)):
            return False
        # For others that wait.
        self._running.release()
        return True

    def finish(self, action: Callable[[], object]) -> None:
        """Runs `action` to its end, or until the second signal."""
        thread = threading.Thread(target=action, name="stopping", daemon=True)
        thread.start()
        while thread.is_alive() and not self._is_hurried:
            thread.join(0.05)

    def _notice(self, _signal: int, _frame: FrameType | None) -> None:
        # Another may come in the middle of this: only one is the first.
        if next(self._came):
            self._is_hurried = True
        else:
            self._is_asked = True
            self._running.release()
