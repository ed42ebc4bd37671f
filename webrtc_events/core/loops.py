"""Threads that do the same over and over."""

import logging
import threading
from collections.abc import Callable

from webrtc_events.core.clock import Clock
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.log_limit import LineLimit

__all__ = ["Loop"]

log = logging.getLogger(__name__)

_TRACEBACKS_A_MINUTE = 4
_PAUSE_S = 0.5
# A thread that has not come round for this long counts as dead for readiness.
_STALE_S = 30.0


class Loop:
    """A thread that does `work` over and over until it is asked to stop.

    A store that does not answer, or a bug in one round, pauses the loop; it never ends it. One that
    has failed by a bug for as long as `_STALE_S` is not alive, whatever its thread does.
    """

    def __init__(self, name: str, work: Callable[[], None], clock: Clock) -> None:
        self._name = name
        self._work = work
        self._clock = clock
        self._stopping = threading.Event()
        self._came_round = clock.monotonic()
        # A bug comes back with every round; who looks for it needs its traceback now and then.
        self._limit = LineLimit(clock, _TRACEBACKS_A_MINUTE)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def pause(self, seconds: float) -> None:
        """Waits, but not longer than until the loop is asked to stop."""
        self._stopping.wait(seconds)

    def ask_to_stop(self) -> None:
        """Makes the current round the last one."""
        self._stopping.set()

    @property
    def stopping(self) -> bool:
        """Whether the current round is the last one."""
        return self._stopping.is_set()

    def join(self, grace_s: float) -> bool:
        """Waits for the last round; False if it did not end within `grace_s`."""
        if not self.started:
            return True
        self._thread.join(grace_s)
        return not self._thread.is_alive()

    @property
    def started(self) -> bool:
        return self._thread.ident is not None

    def alive(self) -> bool:
        return self._thread.is_alive() and self._clock.monotonic() - self._came_round < _STALE_S

    def _run(self) -> None:
        failing = False
        while not self._stopping.is_set():
            try:
                self._work()
            except Unavailable as error:
                if not failing:
                    log.warning("%s waits for the store: %s", self._name, error.__cause__ or error)
                failing = True
                # It is the store that is away, not this thread: it goes on once the store is back.
                self._came_round = self._clock.monotonic()
                self.pause(_PAUSE_S)
            except Exception:
                if self._limit.admit("failed") is not None:
                    log.exception("%s failed in one round and goes on", self._name)
                self.pause(_PAUSE_S)
            else:
                if failing:
                    log.info("%s has the store back", self._name)
                failing = False
                self._came_round = self._clock.monotonic()
