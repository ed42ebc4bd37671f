"""Delivery: claim what is due, POST each event as a notification, settle the outcome.

A claim is worked off as a task: its events one after the other, so that order holds, while
many tasks share one thread. Which task may go to its host, and when, is for the gate to say
(hosts.py); a task that may not go back to the store, untouched.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from webrtc_events.core.clock import Clock
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.log_masking import Masking
from webrtc_events.core.model import Agreed, Claim, Delivered, Outcome, SinkReply
from webrtc_events.core.one_line import key_values
from webrtc_events.core.settings import Settings
from webrtc_events.delivery.claim_schedule import ClaimSchedule
from webrtc_events.delivery.delay_queue import DelayQueue
from webrtc_events.delivery.held_bytes import HeldBytes, HeldLimits
from webrtc_events.delivery.host_limiter import Away, HostLimiter, HostLimits
from webrtc_events.delivery.host_signals import sign_of
from webrtc_events.delivery.notifications import Notification, NotificationWriter, Skipped
from webrtc_events.delivery.retry_policy import decide
from webrtc_events.delivery.sink_validation import judge
from webrtc_events.delivery.tasks import DeliveryTask
from webrtc_events.sinks.client import Sink, SinkLimits
from webrtc_events.store.keys import Partition, partition_of_subscription
from webrtc_events.store.settlements import SettleOutcome, SinkConduct
from webrtc_events.store.store import Store

__all__ = ["Dispatcher", "DispatcherOptions"]

log = logging.getLogger(__name__)

# A task waits up to so long for its turn at a sink that allows so many notifications a minute; for a
# later one its subscription is claimed again, so long ahead of it.
_PATIENCE_MS = 1_000
_AHEAD_MS = 500
# A turn that was missed by so much is lost: the next may have been taken.
_TURN_LASTS_S = 0.1
# After so long it is seen whether a host that is new may be asked.
_NEW_WAIT_S = 0.02
# For so long no turn is asked for when the store did not answer.
_STORE_AWAY_S = 1.0

_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class DispatcherOptions:
    """How much one dispatcher takes on. `poll_s` bounds how late a lost wake-up or a retry is seen.

    A partition is asked for at most `claims_at_once`: each claim is a script that holds up the store.
    """

    hosts: HostLimits = field(default_factory=HostLimits)
    events_per_claim: int = 8
    claims_at_once: int = 50
    poll_s: float = 0.2
    limits: SinkLimits = field(default_factory=SinkLimits)

    @classmethod
    def of(cls, settings: Settings, descriptors: int) -> Self:
        """For a process that may have so many sockets open."""
        return cls(HostLimits.of(settings.sink_in_flight, settings.sink_connections, descriptors))


class Dispatcher:
    """Delivers. Not thread-safe but for `notice`; `step` is called over and over by one thread."""

    def __init__(
        self,
        *,
        store: Store,
        sink: Sink[Any],
        writer: NotificationWriter,
        settings: Settings,
        clock: Clock,
        random: Callable[[], float],
        options: DispatcherOptions,
    ) -> None:
        self._store = store
        self._sink = sink
        self._writer = writer
        self._mask = Masking.of(settings).text
        self._partition_count = settings.partitions
        self._clock = clock
        self._random = random
        self._options = options
        self._partitions = [Partition(number) for number in range(settings.partitions)]
        self._schedule = ClaimSchedule(settings.partitions, options.claims_at_once)
        self._next_poll = 0.0
        self._sent_away = 0
        self._tasks: set[DeliveryTask] = set()
        self._limiter: HostLimiter[DeliveryTask] = HostLimiter(options.hosts, random)
        self._delayed: DelayQueue[DeliveryTask] = DelayQueue()
        self._held = HeldBytes(HeldLimits.of(settings))
        self._no_turns_until_s = float("-inf")
        self._finished: list[DeliveryTask] = []
        self._unanswered: list[DeliveryTask] = []
        self._outage: Unavailable | None = None
        self._answered = False
        self._draining = False

    @property
    def idle(self) -> bool:
        """Nothing is on its way and nothing waits to be settled."""
        return not self._tasks and not self._finished and not self._unanswered

    def notice(self, partition: int) -> None:
        """Something became due in that partition. May be called from any thread."""
        self._schedule.notice(partition)
        self._sink.wake()

    def step(self, *, claiming: bool = True) -> None:
        """One round: settle, claim, wait for sinks a little. Without claiming, tasks end early.

        Raises:
            Unavailable: whatever was asked of the store in this round, it did not answer. Nothing
                is lost: what could not be settled is kept, and the lease guards it.
        """
        self._draining = not claiming
        self._outage, self._answered = None, False
        try:
            self._poll()
            self._settle()
            if claiming:
                self._claim()
            else:
                for task in (*self._limiter.clear(), *self._delayed.clear()):
                    self._finish(task)
        finally:
            for task in self._delayed.due(self._clock.monotonic()):
                self._guarded(self._go_on, task)
            while (newcomer := self._limiter.next_new(self._clock.monotonic())) is not None:
                self._guarded(self._go_on, newcomer)
            # Whatever the store does: sinks that have answered are listened to.
            for task, reply in self._sink.poll(self._wait_s()):
                self._guarded(self._replied, task, reply)
        self._settle()
        if self._outage is not None and not self._answered:
            raise self._outage

    def _asked(self, ask: Callable[[], list[_Found]]) -> list[_Found] | None:
        """What the store answers; None for an outage, which may be of some of its nodes only."""
        try:
            found = ask()
        except Unavailable as error:
            self._outage = error
            return None
        self._answered = True
        return found

    def _wait_s(self) -> float:
        """What finished without any POST must be settled before a wait, and more may be due at once."""
        if self._finished:
            return 0.0
        now_s = self._clock.monotonic()
        waits_s = [_NEW_WAIT_S if self._limiter.has_new else self._options.poll_s]
        if self._delayed.next_s is not None:
            waits_s.append(self._delayed.next_s - now_s)
        if self._limiter.room > 0 and self._held.partitions > 0 and not self._draining:
            waits_s.append(self._schedule.wait_s(now_s))
        return max(0.0, min(waits_s))

    def _guarded(self, act: Callable[..., None], task: DeliveryTask, *more: Any) -> None:
        """A task that fails by a bug fails alone: it is left to its lease."""
        try:
            act(task, *more)
        except Exception:
            log.exception("subscription=%s failed and is left to its lease", task.claim.subscription_id)
            self._tasks.discard(task)
            self._held.give(task)

    def _poll(self) -> None:
        """Once in a while every partition is asked, and what the store did not answer is asked again."""
        now_s = self._clock.monotonic()
        if now_s < self._next_poll:
            return
        self._next_poll = now_s + self._options.poll_s
        self._schedule.ask_all()
        self._finished += self._unanswered
        self._unanswered = []
        for task in self._limiter.overdue(now_s):
            self._guarded(self._go_on, task)

    def _claim(self) -> None:
        now_s, before = self._clock.monotonic(), self._sent_away
        numbers, share = self._schedule.next(self._limiter.room, now_s, most=self._held.partitions)
        if not numbers:
            return
        wanted = [self._partitions[number] for number in numbers]
        size, events = self._held.share(len(wanted)), self._options.events_per_claim
        claims = self._asked(
            lambda: self._store.claims.claim(wanted, subscriptions=share, events=events, size=size)
        )
        taken: dict[int, list[Claim]] = {}
        for claim in claims or ():
            partition = partition_of_subscription(claim.subscription_id, self._partition_count)
            if partition is None:
                # Not written by this service. It is left to its lease, and holds nothing back.
                log.error("claimed %r, which is no subscription id", claim.subscription_id)
                continue
            taken.setdefault(partition.number, []).append(claim)
            self._begin(claim, partition, now_s)
        counts = {number: len(found) for number, found in taken.items()}
        self._schedule.asked(numbers, share, counts, self._sent_away - before, self._clock.monotonic())
        # What is cut short by its bytes may have more as well.
        self._schedule.ask(number for number, found in taken.items() if self._held.may_be_cut(size, found))

    def _begin(self, claim: Claim, partition: Partition, now_s: float) -> None:
        try:
            task = DeliveryTask(claim, partition, now_s)
        except ValueError:
            # The sink's address; the lease keeps it from coming back at once.
            log.exception("subscription=%s cannot be begun: damaged?", claim.subscription_id)
            return
        self._tasks.add(task)
        self._held.take(task, claim)
        self._guarded(self._go_on, task)

    def _go_on(self, task: DeliveryTask) -> None:
        """Sends the task's next event, lets it wait for its host, or finishes the task."""
        while not task.exhausted and not self._draining:
            now_ms = task.now_ms(self._clock.monotonic())
            if now_ms + self._options.limits.total_ms >= task.claim.lease_until_ms:
                # The rest goes back: an exchange may not outlive its lease.
                break
            # What is too late is given up at once, however its host is.
            if now_ms < task.item.deadline_ms and not (
                self._enter(task, now_ms) and self._has_turn(task, now_ms)
            ):
                return
            written = self._written(task, now_ms)
            if isinstance(written, Notification):
                self._sink.submit(task, written.request)
                return
            if written.outcome is None:
                break
            if not self._apply(task, written.outcome, status=None, elapsed_ms=0):
                return
        self._finish(task)

    def _has_turn(self, task: DeliveryTask, now_ms: int) -> bool:
        """Whether the sink's rate allows the task's next event now; else it waits, or is finished.

        Its place on the way to the host it has already: a turn is used at once or not at all.
        """
        turn_s, task.turn_s = task.turn_s, None
        now_s, rate = self._clock.monotonic(), task.claim.rate
        if rate is None or (turn_s is not None and now_s - turn_s < _TURN_LASTS_S):
            return True
        wait_ms = _PATIENCE_MS
        try:
            wait_ms = self._asked_turn(task, rate, now_s)
        finally:
            if wait_ms > 0:
                self._leave(task)
        if wait_ms <= 0:
            return True
        if wait_ms <= _PATIENCE_MS:
            task.turn_s = now_s + wait_ms / 1000
            self._delayed.put(task, task.turn_s)
        else:
            task.give_back(min(wait_ms - _AHEAD_MS, task.item.deadline_ms - now_ms))
            self._finish(task)
        return False

    def _asked_turn(self, task: DeliveryTask, rate: int, now_s: float) -> int:
        """In how many ms it is the task's turn."""
        if now_s >= self._no_turns_until_s:
            try:
                return self._store.rate_limits.take_slot(task.claim, rate, _PATIENCE_MS)
            except Unavailable:
                # It waits for the store anyway, to be settled; the others need not find out one by one.
                self._no_turns_until_s = now_s + _STORE_AWAY_S
        return _PATIENCE_MS + _AHEAD_MS

    def _enter(self, task: DeliveryTask, now_ms: int) -> bool:
        """True with a place on the way to the task's host; else it waits for one, or is finished."""
        now_s = self._clock.monotonic()
        entry = self._limiter.enter(
            task.host, task.claim.client, task, now_s, accepted_ms=task.item.accepted_ms
        )
        if isinstance(entry, Away):
            self._sent_away += 1
            task.give_back(min(round(entry.delay_s * 1000), task.item.deadline_ms - now_ms))
            if entry.silent and not task.sink:
                task.sink = SinkConduct.FAILED
            self._finish(task)
            return False
        task.place = entry
        return entry is not None

    def _leave(self, task: DeliveryTask, reply: SinkReply | None = None) -> None:
        """Gives the task's place back, if it has one."""
        if task.place is not None:
            now_s = self._clock.monotonic()
            sign = sign_of(reply, task.now_ms(now_s) / 1000) if reply is not None else None
            self._limiter.leave(task.place, sign, now_s)
            task.place = None

    def _written(self, task: DeliveryTask, now_ms: int) -> Notification | Skipped:
        """The task's next event; the place on the way to the host is given back unless it can be sent."""
        written: Notification | Skipped = Skipped(None)
        try:
            written = self._writer.write(task.claim, task.item, now_ms)
        finally:
            if not isinstance(written, Notification):
                self._leave(task)
        task.event_type = written.type
        task.correlator = written.correlator if isinstance(written, Notification) else ""
        return written

    def _replied(self, task: DeliveryTask, reply: SinkReply) -> None:
        self._leave(task, reply)
        try:
            self._judge(task, reply)
        finally:
            while (waiting := self._limiter.next(task.host, self._clock.monotonic())) is not None:
                self._guarded(self._go_on, waiting)

    def _judge(self, task: DeliveryTask, reply: SinkReply) -> None:
        outcome = self._outcome(task, reply)
        if task.sink is not SinkConduct.DELIVERED and not task.asks:
            task.sink = SinkConduct.DELIVERED if isinstance(outcome, Delivered) else SinkConduct.FAILED
        status = getattr(reply, "status", None)
        if self._apply(task, outcome, status=status, elapsed_ms=reply.elapsed_ms):
            self._go_on(task)

    def _outcome(self, task: DeliveryTask, reply: SinkReply) -> Outcome:
        now_ms = task.now_ms(self._clock.monotonic())
        remaining_ms = task.item.deadline_ms - now_ms
        # By the store's time too: this host's wall clock may be wrong.
        now_s = now_ms / 1000
        if task.asks:
            return judge(
                reply,
                origin=task.claim.origin,
                attempt=task.attempt,
                remaining_ms=remaining_ms,
                random=self._random,
                now_s=now_s,
            )
        return decide(
            reply,
            attempt=task.attempt,
            remaining_ms=remaining_ms,
            credentialed=task.claim.credential is not None,
            random=self._random,
            now_s=now_s,
        )

    def _apply(self, task: DeliveryTask, outcome: Outcome, *, status: int | None, elapsed_ms: int) -> bool:
        """Notes the outcome of the task's event; False if the task is finished by it."""
        outcome = task.fitting(outcome, self._mask)
        record = task.note(outcome, status, elapsed_ms, self._clock.monotonic())
        level = logging.INFO if isinstance(outcome, Delivered | Agreed) else logging.WARNING
        log.log(level, "attempt %s", key_values(record))
        if task.take(outcome):
            return True
        self._finish(task)
        return False

    def _finish(self, task: DeliveryTask) -> None:
        self._tasks.discard(task)
        self._finished.append(task)

    def _settle(self) -> None:
        if not self._finished:
            return
        try:
            results = self._asked(
                lambda: self._store.claims.settle([task.settlement() for task in self._finished])
            )
        except Exception:
            # A bug, which would come back with every round: the leases take care of them.
            log.exception("%d claims could not be settled and are left to their leases", len(self._finished))
            self._held.give(*self._finished)
            self._finished.clear()
            return
        finished, self._finished = self._finished, []
        if results is None:
            self._unanswered += finished
            return
        for task, result in zip(finished, results, strict=True):
            if result is not SettleOutcome.UNANSWERED:
                self._held.give(task)
            if result is SettleOutcome.LOST:
                log.warning(
                    "lease lost subscription=%s fence=%d", task.claim.subscription_id, task.claim.fence
                )
            elif result in (SettleOutcome.ENDED, SettleOutcome.ACTIVE):
                log.info("%s subscription=%s", result, task.claim.subscription_id)
            elif result is SettleOutcome.DUE and task.retry is None:
                self._schedule.ask([task.partition.number])
            elif result is SettleOutcome.UNANSWERED:
                self._unanswered.append(task)
