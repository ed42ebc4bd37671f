"""The dispatcher's calls to the store, and whether it answers; an outage may be of some of its nodes only.

While the store is at work, `StoreThread` lets the dispatcher's thread go on with its sinks.
"""

import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from webrtc_events.core.clock import Clock
from webrtc_events.core.errors import Unavailable
from webrtc_events.store.script_steps import ScriptStep

__all__ = ["REPEAT_S", "StoreAnswer", "StoreCalls", "StoreThread"]

REPEAT_S = 0.2
"""What the store did not answer is asked again after this."""

_OUTAGE_S = 3.0
_MIN_GRACE_S = 1.0

T = TypeVar("T")


class StoreAnswer(Generic[T]):
    """What came of a call."""

    __slots__ = ("_found", "error")

    def __init__(self, method: Callable[[], T]) -> None:
        self._found: T | None = None
        self.error: Exception | None = None
        try:
            self._found = method()
        except Exception as error:  # noqa: BLE001 (`get` raises it, where the answer is taken)
            self.error = error

    def get(self) -> T | None:
        """What the store answered; None for an outage. Raises what is none."""
        if self.error is not None and not isinstance(self.error, Unavailable):
            raise self.error
        return self._found


class StoreCalls:
    """Calls in the caller's thread. An answer is taken at once."""

    def __init__(self) -> None:
        self._outage: Unavailable | None = None
        self._answered = False

    def begin_round(self) -> None:
        self._outage, self._answered = None, False

    def start(self, method: Callable[[], T], take: Callable[[StoreAnswer[T]], None]) -> None:
        """Calls the store; `take` gets its answer, in the caller's thread, from here or from `collect`."""
        self._hand_over(StoreAnswer(method), take)

    def step(self, plan: Callable[[], ScriptStep[T]], take: Callable[[StoreAnswer[T]], None]) -> None:
        """The same for a step, which need not be waited for: see store_loop.py."""
        self.start(lambda: plan().run(), take)

    def collect(self) -> None:
        """Hands over the answers that have come since. Raises what is raised by who takes them."""

    def check(self) -> None:
        """
        Raises:
            Unavailable: the store did not answer, neither this call nor the others of late.
        """
        if self._outage is not None and not self._answered:
            raise self._outage

    def alive(self) -> bool:
        """Whether calls are made, or would be."""
        return True

    def close(self, grace_s: float) -> bool:
        """No more calls. False: one is still at work after `grace_s`, or a moment at least."""
        return grace_s >= 0

    def _hand_over(self, answer: StoreAnswer[T], take: Callable[[StoreAnswer[T]], None]) -> None:
        if isinstance(answer.error, Unavailable):
            self._outage = answer.error
        elif answer.error is None:
            self._answered = True
        take(answer)


class StoreThread(StoreCalls):
    """Calls in a thread, one after the other. `wake` is called from there when an answer has come.

    Answers come in later rounds than their calls, often one alone, and that of a node that is out says
    nothing of the others. So an outage is one once no call was answered for `_OUTAGE_S`, and until one is.
    The thread begins with the first call.
    """

    def __init__(self, wake: Callable[[], None], clock: Clock) -> None:
        super().__init__()
        self._wake = wake
        self._now_s = clock.monotonic
        self._silent_since_s: float | None = None
        self._calls: SimpleQueue[tuple[Callable[[], Any], Callable[[StoreAnswer[Any]], None]] | None]
        self._calls = SimpleQueue()
        self._answers: deque[tuple[StoreAnswer[Any], Callable[[StoreAnswer[Any]], None]]] = deque()
        self._thread = threading.Thread(target=self._run, name="dispatcher's store", daemon=True)

    def start(self, method: Callable[[], T], take: Callable[[StoreAnswer[T]], None]) -> None:
        if self._thread.ident is None:
            self._thread.start()
        self._calls.put((method, take))

    def begin_round(self) -> None:
        """What is known of the store is so in the next round too."""

    def collect(self) -> None:
        while self._answers:
            answer, take = self._answers.popleft()
            if answer.error is None:
                self._outage = self._silent_since_s = None
            elif isinstance(answer.error, Unavailable) and self._silent_since_s is None:
                self._silent_since_s = self._now_s()
            self._hand_over(answer, take)

    def check(self) -> None:
        if (
            self._outage is not None
            and self._silent_since_s is not None
            and self._now_s() - self._silent_since_s >= _OUTAGE_S
        ):
            raise self._outage

    def alive(self) -> bool:
        return self._thread.ident is None or self._thread.is_alive()

    def close(self, grace_s: float) -> bool:
        self._calls.put(None)
        if self._thread.ident is not None:
            # Whoever has used up the grace before finds a thread that only has to end.
            self._thread.join(max(grace_s, _MIN_GRACE_S))
        self.collect()
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            method, take = call
            self._answers.append((StoreAnswer(method), take))
            self._wake()
