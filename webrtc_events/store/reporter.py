"""Says every few seconds what this process does: its counts, minute by minute, and its report."""

import logging
import os
import secrets
import socket
from collections.abc import Callable, Collection, Iterator
from importlib.metadata import version
from typing import Final

from webrtc_events.core.activity import Activity
from webrtc_events.core.clock import Clock
from webrtc_events.core.conditions import Health
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.loops import Loop
from webrtc_events.core.process_report import ProcessReport, WorkerReport
from webrtc_events.core.process_usage import cpu_s, memory_bytes
from webrtc_events.store.activity_log import counts_text, waiting_field
from webrtc_events.store.durability.watch import StoreWatch

__all__ = ["EVERY_S", "Reporter"]

log = logging.getLogger(__name__)

EVERY_S: Final = 3.0
"""How often it is said."""

_MINUTE_MS: Final = 60_000
# What could not be written for longer is shown nowhere any more.
_KEPT_MINUTES: Final = 60


class Reporter:
    """For one thread, that of `loop`, which is to be started, and stopped before the store is closed.

    Counts are kept here until they are written, and are written whole: what an outage held back comes later,
    in the minute in which it was counted, and an answer that was lost doubles nothing. A process that dies
    takes those of its last seconds with it. `still`: names of threads that do not come round. `worker`: what
    a worker has in hand; None of what is none.
    """

    def __init__(
        self,
        watch: StoreWatch,
        activity: Activity,
        clock: Clock,
        *,
        role: str,
        compiled: bool = False,
        still: Callable[[], Collection[str]] = tuple,
        worker: Callable[[], WorkerReport] | None = None,
    ) -> None:
        self.name = secrets.token_hex(8)
        self.loop = Loop("reporter", self._round, clock)
        self._watch = watch
        self._store = watch.store
        self._activity = activity
        self._clock = clock
        self._role = role
        self._compiled = compiled
        self._still = still
        self._worker = worker
        self._machine = socket.gethostname()
        self._version = version("webrtc-events")
        # By how much the store's time is ahead of the monotonic clock, ms.
        self._ahead_ms: int | None = None
        self._started_ms = 0
        self._seen = dict.fromkeys(activity.values(), 0)
        self._minutes: dict[int, dict[str, int]] = {}
        self._unwritten: set[int] = set()
        self._looked_in = 0
        self._used = (clock.monotonic(), cpu_s())

    def step(self) -> None:
        """Says it once.

        Raises:
            Unavailable: the store cannot be reached, or takes no writes. What was counted is kept.
        """
        now_ms = self._now_ms()
        minute = now_ms // _MINUTE_MS
        self._count(minute)
        values = {
            number: {self.name: counts_text(self._minutes[number])} for number in sorted(self._unwritten)
        }
        if self._worker is not None and minute != self._looked_in:
            # Every worker does, and the last one that does is as good as any.
            values.setdefault(minute, {}).update(waiting_field(self._store.backlog.subscriptions()))
            self._looked_in = minute
        store_ms = self._store.processes.say(self.name, self._report(now_ms), values)
        self._unwritten.clear()
        self._ahead_ms = store_ms - round(self._clock.monotonic() * 1000)

    def _round(self) -> None:
        self._try(self.step)
        self.loop.pause(EVERY_S)
        if self.loop.stopping and self._try(self.step):
            self._try(lambda: self._store.processes.leave(self.name))

    def _try(self, act: Callable[[], None]) -> bool:
        try:
            act()
        except Unavailable as error:
            # The store's watch, and whoever needs the store, say it loud enough.
            log.debug("cannot say what this process does: %s", error)
            return False
        return True

    def _now_ms(self) -> int:
        """The store's time, carried on by the monotonic clock."""
        monotonic_ms = round(self._clock.monotonic() * 1000)
        if self._ahead_ms is None:
            now_ms = self._store.processes.now_ms()
            self._ahead_ms = now_ms - monotonic_ms
            self._started_ms = now_ms
        return monotonic_ms + self._ahead_ms

    def _count(self, minute: int) -> None:
        """What was counted since the last time is of this minute."""
        values = self._activity.values()
        grown = {name: value - self._seen[name] for name, value in values.items() if value > self._seen[name]}
        self._seen = values
        if grown:
            of_minute = self._minutes.setdefault(minute, dict.fromkeys(values, 0))
            for name, count in grown.items():
                of_minute[name] += count
            self._unwritten.add(minute)
        for old in [number for number in self._minutes if number <= minute - _KEPT_MINUTES]:
            del self._minutes[old]
            self._unwritten.discard(old)

    def _troubles(self) -> Iterator[str]:
        for condition in (self._watch.writes(), self._watch.durability(), self._watch.clocks()):
            if condition.health is not Health.OK:
                yield condition.detail

    def _report(self, now_ms: int) -> ProcessReport:
        at_s, used_s = self._used
        self._used = now_s, now_used_s = self._clock.monotonic(), cpu_s()
        return ProcessReport(
            role=self._role,
            machine=self._machine,
            pid=os.getpid(),
            version=self._version,
            at_ms=now_ms,
            started_ms=self._started_ms,
            compiled=self._compiled,
            cpu=round((now_used_s - used_s) / (now_s - at_s), 3) if now_s > at_s else 0.0,
            memory_bytes=memory_bytes(),
            still=tuple(self._still()),
            troubles=tuple(self._troubles()),
            counts=self._seen,
            worker=None if self._worker is None else self._worker(),
        )
