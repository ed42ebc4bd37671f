"""SIGINT, SIGTERM and SIGHUP: the first signal asks a process to stop, the second to hurry."""

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

__all__ = ["StopSignals"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignals:
    """A context to enter in the main thread. Within it, no signal interrupts a statement."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._hurried = threading.Event()
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
        return self._asked.is_set()

    def hurried(self) -> bool:
        return self._hurried.is_set()

    def wait(self, seconds: float) -> bool:
        """Waits until asked to stop, `seconds` at most; returns whether it was asked."""
        return self._asked.wait(seconds)

    def finish(self, action: Callable[[], object]) -> None:
        """Runs `action` to its end, or until the second signal."""
        thread = threading.Thread(target=action, name="stopping", daemon=True)
        thread.start()
        while thread.is_alive() and not self._hurried.is_set():
            thread.join(0.05)

    def _notice(self, _signal: int, _frame: FrameType | None) -> None:
        (self._hurried if self._asked.is_set() else self._asked).set()
