"""Plays the calls of one simulation: each event when it is due, through the publisher."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from webrtc_events.core.clock import Clock
from webrtc_events.local.demo.http_client import ApiError
from webrtc_events.local.demo.publish_results import LineResult, LineStatus
from webrtc_events.local.demo.publisher import EventPublisher
from webrtc_events.local.local_error import LocalError, UnreachableError
from webrtc_events.local.simulation.call_copies import CallCopies
from webrtc_events.local.simulation.progress import Progress, State
from webrtc_events.local.simulation.request import SimulationRequest
from webrtc_events.local.simulation.timetable import Due, Timetable

__all__ = ["Connect", "Player", "StopRequest"]

_BATCH = 50
_SESSIONS = 20
# Batches in a row that got no answer that says anything of their events.
_GIVE_UP_AFTER = 5


class StopRequest(Protocol):
    """`threading.Event`, or what a test has in its place."""

    def set(self) -> None: ...

    def is_set(self) -> bool: ...

    def wait(self, timeout: float) -> bool:
        """Waits for `set`, at most `timeout` seconds; whether it came."""


Connect = Callable[[Clock], EventPublisher]
"""Makes a publisher that sends what it is given, and sleeps by the given clock before it tries again."""


class _Stopped(Exception):
    """Somebody asked to stop while the publisher waited to try again."""


class _StoppableClock:
    """Its `sleep` ends when a stop is asked for."""

    def __init__(self, clock: Clock, stop: StopRequest) -> None:
        self._stop = stop
        self.now = clock.now
        self.monotonic = clock.monotonic

    def sleep(self, seconds: float) -> None:
        """
        Raises:
            _Stopped: a stop was asked for.
        """
        if self._stop.wait(seconds):
            raise _Stopped


class Player:
    """`run` once, in a thread; `stop` and `progress` from any other.

    An event that is refused, or a batch that is not answered, counts as failed, and the rest goes on. Only a
    service that answers nothing of use five times in a row, or is not there at the first event, ends a
    simulation early.
    """

    def __init__(
        self, name: str, request: SimulationRequest, copies: CallCopies, clock: Clock, stop: StopRequest
    ) -> None:
        offsets_s = copies.offsets_s
        self._name = name
        self._request = request
        self._copies = copies
        self._clock = clock
        self._stop = stop
        self._timetable = Timetable(offsets_s, calls=request.calls, rate=request.rate, speed=request.speed)
        self._events = request.calls * len(offsets_s)
        self._lock = threading.Lock()
        self._state = State.RUNNING
        self._started_at_ms = round(clock.now() * 1000)
        self._started_s = clock.monotonic()
        self._ended_s: float | None = None
        self._behind_s = 0.0
        self._calls_started = 0
        self._accepted = 0
        self._failed = 0
        self._notifications = 0
        self._message = ""
        self._sessions: deque[str] = deque(maxlen=_SESSIONS)
        self._unanswered = 0
        self._is_reached = False

    def run(self, connect: Connect) -> None:
        """Returns when the simulation is over."""
        try:
            self._play(connect(_StoppableClock(self._clock, self._stop)))
        except _Stopped:
            self._end(State.STOPPED)
        except BaseException as error:
            self._end(State.FAILED, f"a fault of the simulation itself: {error!r}")
            raise

    def stop(self) -> None:
        """Sends nothing more. What was sent already is accepted or not."""
        with self._lock:
            if self._state is State.RUNNING:
                self._state = State.STOPPING
        self._stop.set()

    def progress(self) -> Progress:
        with self._lock:
            until_s = self._clock.monotonic() if self._ended_s is None else self._ended_s
            return Progress(
                id=self._name,
                request=self._request,
                state=self._state,
                started_at_ms=self._started_at_ms,
                elapsed_s=until_s - self._started_s,
                behind_s=self._behind_s,
                calls_started=self._calls_started,
                events=self._events,
                accepted=self._accepted,
                failed=self._failed,
                notifications=self._notifications,
                message=self._message,
                registration=self._copies.registration,
                sessions=tuple(self._sessions),
            )

    def _play(self, publisher: EventPublisher) -> None:
        while not self._stop.is_set():
            elapsed_s = self._clock.monotonic() - self._started_s
            due = self._timetable.take(elapsed_s, _BATCH)
            if due:
                self._begin(due, elapsed_s)
                self._send(publisher, due)
                if self._unanswered >= _GIVE_UP_AFTER:
                    return self._end(State.FAILED, f"gave up: {self._message}")
                continue
            next_s = self._timetable.next_s
            if next_s is None:
                return self._end(State.FINISHED)
            self._stop.wait(next_s - elapsed_s)
        return self._end(State.STOPPED)

    def _begin(self, due: Sequence[Due], elapsed_s: float) -> None:
        begun = [entry.call for entry in due if entry.event == 0]
        with self._lock:
            self._behind_s = elapsed_s - due[0].at_s
            self._calls_started += len(begun)
            self._sessions.extendleft(self._copies.session(call) for call in begun)

    def _send(self, publisher: EventPublisher, due: Sequence[Due]) -> None:
        try:
            results = publisher.publish_batch([self._copies.event(entry.call, entry.event) for entry in due])
        except LocalError as error:
            with self._lock:
                self._failed += len(due)
                is_absent = isinstance(error, UnreachableError) and not self._is_reached
                self._unanswered += _GIVE_UP_AFTER if is_absent else 1
                self._message = _words(error)
        else:
            self._count(results)

    def _count(self, results: Sequence[LineResult]) -> None:
        with self._lock:
            self._is_reached = True
            self._unanswered = 0
            for result in results:
                self._notifications += result.subscriptions
                if result.status is LineStatus.REJECTED:
                    self._failed += 1
                    self._message = f"an event was rejected: {result.message}"
                else:
                    # A duplicate was accepted at an attempt whose answer was lost.
                    self._accepted += 1

    def _end(self, state: State, message: str | None = None) -> None:
        with self._lock:
            self._ended_s = self._clock.monotonic()
            self._state = state
            self._message = self._message if message is None else message


def _words(error: LocalError) -> str:
    """Without the number of the line, which a file would have."""
    return str(error.__cause__ if isinstance(error.__cause__, ApiError) else error)
