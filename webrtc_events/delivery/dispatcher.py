"""Delivery, round by round: settle what is finished, claim what is due, wait for sinks.

A claim is worked off as a task: its events one after the other, so that order holds, while
many tasks share one thread. Settles and claims may be under way while sinks are waited for: their answers
are taken in the next round (store_calls.py).
"""

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

from webrtc_events.core.activity import Activity
from webrtc_events.core.channel_urls import NO_CHANNELS, ChannelUrls
from webrtc_events.core.clock import Clock
from webrtc_events.core.log_masking import Masking
from webrtc_events.core.process_report import WorkerReport
from webrtc_events.core.settings import Settings
from webrtc_events.delivery.attempt_notes import AttemptNotes
from webrtc_events.delivery.attempts import AttemptLog, Attempts
from webrtc_events.delivery.channel_delivery import ChannelDelivery
from webrtc_events.delivery.claim_schedule import ClaimSchedule
from webrtc_events.delivery.claiming import Claimer
from webrtc_events.delivery.hastening import Hastener
from webrtc_events.delivery.held_bytes import HeldBytes, HeldLimits
from webrtc_events.delivery.home_partitions import HomePartitions
from webrtc_events.delivery.host_limiter import HostLimiter
from webrtc_events.delivery.host_limits import HostLimits
from webrtc_events.delivery.host_records import HostRecords
from webrtc_events.delivery.notifications import NotificationWriter
from webrtc_events.delivery.rate_limit import RateLimiter
from webrtc_events.delivery.settling import Settler
from webrtc_events.delivery.sink_tokens import SinkTokens
from webrtc_events.delivery.store_calls import REPEAT_S, StoreAnswer, StoreCalls
from webrtc_events.delivery.task_runner import TaskRunner
from webrtc_events.delivery.tasks import DeliveryTask
from webrtc_events.delivery.wakeup_listener import WakeupListener
from webrtc_events.delivery.worker_count import WorkerCount
from webrtc_events.sinks.client import SinkClient
from webrtc_events.sinks.limits import SinkLimits
from webrtc_events.store.redis.wakeups import Wakeups
from webrtc_events.store.store import Store

__all__ = ["Dispatcher", "DispatcherOptions", "DispatcherSettings"]

log = logging.getLogger(__name__)

# One in so many looks is at all partitions, the others are at those at home here.
_LOOKS = 5
# How often it is written down what is in hand, for people. Less than from look to look, at which it rests.
_REPORT_S = 1.0


@dataclass(frozen=True, slots=True)
class DispatcherSettings:
    """What a deployment sets of a dispatcher.

    `channels`: the sinks that are no web servers. `logged`: how attempts are.
    """

    partitions: int
    held: HeldLimits
    logged: AttemptLog
    channels: ChannelUrls = NO_CHANNELS

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            settings.partitions,
            HeldLimits.of(settings),
            AttemptLog(Masking.of(settings).text, settings.log_deliveries),
            ChannelUrls(settings.channels_url),
        )


@dataclass(frozen=True, slots=True)
class DispatcherOptions:
    """How much one dispatcher takes on. `poll_s` bounds how late a lost wake-up is seen.

    `events_per_claim`: of one subscription; a crash may repeat that many. A partition is asked for at most
    `claims_at_once`: each claim is a script that holds up the store.
    """

    hosts: HostLimits = field(default_factory=HostLimits)
    events_per_claim: int = 16
    claims_at_once: int = 50
    poll_s: float = 1.5
    limits: SinkLimits = field(default_factory=SinkLimits)

    @classmethod
    def of(cls, settings: Settings, descriptors: int) -> Self:
        """For a process that may have that many sockets open."""
        return cls(HostLimits.of(settings.sink_in_flight, settings.sink_connections, descriptors))


class Dispatcher:
    """Delivers. Not thread-safe but for `notice` and `report`; one thread calls `step` over and over.

    `notes`: for traces of calls. `report`: what was in hand a moment ago.
    """

    report = WorkerReport()
    _next_poll = _next_look_at_all = _next_repeat = _next_report = 0.0
    _listener: WakeupListener | None = None

    def __init__(
        self,
        *,
        store: Store,
        sink: SinkClient[Any],
        writer: NotificationWriter,
        settings: DispatcherSettings,
        clock: Clock,
        random: Callable[[], float],
        options: DispatcherOptions,
        activity: Activity,
        calls: StoreCalls | None = None,
        notes: AttemptNotes | None = None,
    ) -> None:
        self._store, self._sink, self._clock, self._partitions = store, sink, clock, settings.partitions
        self._poll_s, self._repeat_s = options.poll_s, min(options.poll_s, REPEAT_S)
        self._home, self._workers = HomePartitions(secrets.token_hex(8)), WorkerCount(options.poll_s)
        self._schedule = schedule = ClaimSchedule(settings.partitions, options.claims_at_once, self._home)
        held, self._calls = HeldBytes(settings.held), calls or StoreCalls()
        self._limiter: HostLimiter[DeliveryTask] = HostLimiter(options.hosts, random)
        self._hastener = Hastener(store, self._calls, limiter=self._limiter, schedule=schedule, clock=clock)
        attempts = Attempts(clock, activity, settings.logged, random, notes, writer.spans)
        channels = ChannelDelivery(settings.channels, writer, attempts, clock)
        self._settler = Settler(
            store, self._calls, self._hastener, activity, channels, held=held, schedule=schedule, clock=clock
        )
        self._runner = TaskRunner(
            sink=sink,
            writer=writer,
            limiter=self._limiter,
            returns=self._hastener.returns,
            rate_limiter=RateLimiter(store),
            attempts=attempts,
            channels=channels,
            tokens=SinkTokens(writer.tokens, activity, random, settings.logged.mask),
            held=held,
            clock=clock,
            exchange_ms=options.limits.total_ms,
            finished=self._settler.add,
        )
        self._claimer = Claimer(
            store,
            self._calls,
            schedule=schedule,
            held=held,
            runner=self._runner,
            clock=clock,
            partitions=settings.partitions,
            events=options.events_per_claim,
        )

    @property
    def idle(self) -> bool:
        """Nothing is in flight, no claim is under way, and nothing waits to be settled."""
        parts = (self._runner, self._claimer, self._settler, self._hastener)
        return all(part.idle for part in parts)

    @property
    def circuits(self) -> dict[str, int]:
        """See `HostLimiter.circuits`; any thread may ask."""
        return self._limiter.circuits

    @property
    def hosts(self) -> HostRecords:
        """For other threads, see `HostLimiter`."""
        return self._limiter.records

    def alive(self) -> bool:
        """Whether its calls to the store are made. Its rounds are those of who calls `step`."""
        return self._calls.alive()

    def notice(self, partition: int) -> None:
        """Something became due in that partition. May be called from any thread."""
        self._schedule.notice(partition)
        self._sink.wake()

    def hear(self, wakeups: Wakeups) -> None:
        """From now on `step` listens to them; whoever made them closes them once there are no more steps."""
        self._listener = WakeupListener(
            wakeups, self._calls, sink=self._sink, schedule=self._schedule, clock=self._clock
        )

    def leave(self) -> None:
        """Others ask at once for what was at home here; if the store does not answer, within seconds."""
        self._calls.start(lambda: self._store.workers.leave(self._home.name), _left)

    def step(self, *, claiming: bool = True) -> None:
        """One round: settle, claim, wait for sinks a little. Without claiming, tasks end early.

        Raises:
            Unavailable: the store does not answer, see `StoreCalls.check`. Nothing is lost: what could
                not be settled is kept, and the lease guards it.
        """
        self._runner.draining = not claiming
        self._calls.begin_round()
        try:
            self._calls.collect()
            self._repeat()
            self._settler.settle()
            if claiming:
                self._listen()
                self._poll()
                self._hastener.hasten()
                self._claimer.claim()
            else:
                self._runner.finish_waiting()
        finally:
            self._runner.resume()
            self._runner.flush()
            # Whatever the store does: sinks that have answered are listened to.
            for task, reply in self._sink.poll(self._wait_s()):
                self._runner.replied(task, reply)
            self._runner.flush()
            self._report()
        self._settler.settle()
        self._calls.check()

    def close(self, grace_s: float) -> bool:
        """Once idle. False: a call to the store is still at work after `grace_s`."""
        return self._calls.close(grace_s)

    def _listen(self) -> None:
        if self._listener is not None:
            self._listener.listen()

    def _repeat(self) -> None:
        """What the store did not answer."""
        now_s = self._clock.monotonic()
        if now_s >= self._next_repeat:
            self._next_repeat = now_s + self._repeat_s
            self._settler.repeat_unanswered()
            self._runner.resume_overdue()

    def _report(self) -> None:
        now_s = self._clock.monotonic()
        if now_s >= self._next_report:
            self._next_report = now_s + _REPORT_S
            hosts, more = self._limiter.unwell(now_s)
            self.report = WorkerReport(self._runner.claimed, self._sink.in_flight, tuple(hosts), more)

    def _poll(self) -> None:
        """Every `poll_s` its own partitions are looked at, now and then all: a hint may have been lost."""
        now_s = self._clock.monotonic()
        if now_s >= self._next_poll and self._claimer.idle:
            self._next_poll = now_s + self._poll_s
            self._share_partitions()
            self._claimer.look(self._to_look_at(now_s))

    def _to_look_at(self, now_s: float) -> list[int]:
        if now_s < self._next_look_at_all:
            return [number for number in range(self._partitions) if number in self._home]
        self._next_look_at_all = now_s + _LOOKS * self._poll_s
        return [*range(self._partitions)]

    def _share_partitions(self) -> None:
        """With the workers that are running; while the store does not say who is, with nobody."""
        self._calls.start(lambda: self._store.workers.beat(self._home.name), self._shared)

    def _shared(self, running: StoreAnswer[list[str]]) -> None:
        self._home.share(running.get() or ())
        if running.error is not None:
            self._workers.missed()
        elif before := self._workers.heard(self._home.workers, self._clock.monotonic()):
            log.info("workers=%d share the partitions, before=%d", self._home.workers, before)

    def _wait_s(self) -> float:
        """What finished without any POST must be settled before a wait, and more may be due at once."""
        if self._settler.has_finished:
            return 0.0
        now_s = self._clock.monotonic()
        # With nothing in hand nothing is to be repeated: the next look is what a round is for, or a wake-up.
        rests_s = self._next_poll - now_s if self.idle else self._repeat_s
        waits_s = [rests_s, self._runner.wait_s(now_s)]
        if not self._runner.draining:
            waits_s += [self._claimer.wait_s(now_s), self._hastener.wait_s(now_s)]
            waits_s += [] if self._listener is None else [self._listener.wait_s(now_s)]
        return max(0.0, min(waits_s))


def _left(answer: StoreAnswer[None]) -> None:
    answer.get()
    if answer.error is not None:
        log.warning("cannot say that this worker stops: the store does not answer; others notice it soon")
