"""Wake-ups are heard where sinks and the store are awaited: none takes its way through another thread."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from webrtc_events.core.clock import Clock
from webrtc_events.core.errors import Unavailable
from webrtc_events.delivery.claim_schedule import ClaimSchedule
from webrtc_events.delivery.store_calls import StoreAnswer, StoreCalls
from webrtc_events.sinks.client import SinkClient
from webrtc_events.store.redis.wakeups import Opened, Subscriber, Wakeups

__all__ = ["WakeupListener"]

# What cannot be listened to is tried again after this.
_PAUSE_S: Final = 0.5


class WakeupListener:
    """For the thread of a dispatcher, whose `schedule` is told. Connections are opened by `calls`.

    What may have been missed while nobody listened counts as noticed.
    """

    def __init__(
        self,
        wakeups: Wakeups,
        calls: StoreCalls,
        *,
        sink: SinkClient[Any],
        schedule: ClaimSchedule,
        clock: Clock,
    ) -> None:
        self._wakeups = wakeups
        self._calls = calls
        self._sink = sink
        self._schedule = schedule
        self._now_s = clock.monotonic
        self._is_opening = False
        self._found: Opened | None = None
        self._next_s = float("-inf")

    def listen(self) -> None:
        """Sees to the connections, each round. What they carry comes while the sink is polled."""
        if self._wakeups.is_current or self._is_opening or self._now_s() < self._next_s:
            return
        self._next_s = self._now_s() + _PAUSE_S
        self._is_opening = True
        self._calls.start(partial(self._open, self._wakeups.opening()), self._opened)

    def wait_s(self, now_s: float) -> float:
        """How long `listen` has nothing to do, as far as is known; infinite if that depends on the store."""
        if self._wakeups.is_current or self._is_opening:
            return float("inf")
        return self._next_s - now_s

    def _open(self, opening: Callable[[], Opened]) -> None:
        """
        Raises:
            Unavailable: none could be opened, so that this does not count as an answer of the store.
        """
        self._found = found = opening()
        if found.trouble is not None and not found.subscribers:
            raise Unavailable("The store cannot be listened to at the moment.") from found.trouble

    def _opened(self, answer: StoreAnswer[None]) -> None:
        self._is_opening = False
        opened, self._found = self._found, None
        if opened is None:
            self._wakeups.not_opened()
            answer.get()
            return
        over, new = self._wakeups.take(opened)
        for subscriber in over:
            self._end(subscriber)
        for subscriber in new:
            self._sink.watch(subscriber.fd, partial(self._hear, subscriber))
        for number in self._wakeups.missed():
            self._schedule.notice(number)

    def _hear(self, subscriber: Subscriber) -> None:
        numbers = self._wakeups.numbers_in(subscriber)
        if numbers is None:
            self._end(subscriber)
        else:
            for number in numbers:
                self._schedule.notice(number)
        # What broke is opened anew by the next round.
        self._sink.interrupt()

    def _end(self, subscriber: Subscriber) -> None:
        self._sink.forget(subscriber.fd)
        subscriber.close()
