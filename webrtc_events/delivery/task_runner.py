"""The course of a task from event to event: permit, rate-limit slot, notification, reply."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from webrtc_events.core.clock import Clock
from webrtc_events.core.outcomes import Outcome, SinkReply, SinkResult
from webrtc_events.delivery.attempts import Attempts
from webrtc_events.delivery.channel_delivery import ChannelDelivery
from webrtc_events.delivery.deferrals import Deferred
from webrtc_events.delivery.held_bytes import HeldBytes
from webrtc_events.delivery.host_limiter import HostLimiter
from webrtc_events.delivery.host_returns import HostReturns
from webrtc_events.delivery.host_signals import HostSignal, Unreachable, signal_of
from webrtc_events.delivery.notifications import Notification, NotificationWriter, Skipped, type_of
from webrtc_events.delivery.proxy_circuit import ProxyCircuit
from webrtc_events.delivery.rate_limit import RateLimiter, SlotAt, SlotLater, SlotNow
from webrtc_events.delivery.sink_tokens import SinkTokens, TaskSteps, TokenRequest
from webrtc_events.delivery.tasks import DeliveryTask
from webrtc_events.delivery.waiting_tasks import WaitingTasks
from webrtc_events.sinks.client import SinkClient

__all__ = ["TaskRunner"]

log = logging.getLogger(__name__)


class TaskRunner:
    """The tasks of one dispatcher that are not finished yet.

    `exchange_ms`: what one request may take at most. `finished` is called with each task that is done,
    or cannot go on now. While `draining`, no task sends anything more.
    """

    def __init__(
        self,
        *,
        sink: SinkClient[Any],
        writer: NotificationWriter,
        limiter: HostLimiter[DeliveryTask],
        returns: HostReturns,
        rate_limiter: RateLimiter,
        attempts: Attempts,
        channels: ChannelDelivery,
        tokens: SinkTokens,
        held: HeldBytes,
        clock: Clock,
        exchange_ms: int,
        finished: Callable[[DeliveryTask], None],
    ) -> None:
        self.draining = False
        self.deferred = 0
        self._sink = sink
        self._writer = writer
        self._limiter = limiter
        self._returns = returns
        self._rate_limiter = rate_limiter
        self._attempts = attempts
        self.flush = attempts.flush
        self._channels = channels
        self._held = held
        self._now_s = clock.monotonic
        self._exchange_ms = exchange_ms
        self._finished = finished
        self._proxy = None if sink.proxied is None else ProxyCircuit(sink.proxied)
        self._tasks: set[DeliveryTask] = set()
        self._tokens = tokens
        steps = TaskSteps(partial(self._guarded, self._go_on), self._defer, self._apply, self._fail)
        tokens.serve(steps, sink, limiter, returns, self._proxy)
        self._waiting = WaitingTasks(limiter, tokens, self._now_s)
        self.wait_s = self._waiting.wait_s

    @property
    def idle(self) -> bool:
        """Nothing is in flight and nothing waits."""
        return not self._tasks

    @property
    def claimed(self) -> int:
        """How many there are."""
        return len(self._tasks)

    @property
    def room(self) -> int:
        """How many more tasks may come, whatever their hosts."""
        return self._limiter.room

    def begin(self, task: DeliveryTask) -> None:
        self._tasks.add(task)
        self._returns.came(task.claim.subscription_id)
        self._held.take(task, task.claim)
        self._guarded(self._to_channel if self._channels.is_for(task) else self._go_on, task)

    def _to_channel(self, task: DeliveryTask) -> None:
        """No host, so no permit and no slot; nothing is waited for."""
        self._channels.deliver(task)
        self._finish(task)

    def resume(self) -> None:
        """Goes on with what has its rate-limit slot now, or may go to a host that is new or late."""
        for task in self._waiting.due():
            self._guarded(self._go_on, task)

    def resume_overdue(self) -> None:
        """Goes on with what waits for a host that is no longer prompt."""
        for task in self._limiter.overdue(self._now_s()):
            self._guarded(self._go_on, task)

    def finish_waiting(self) -> None:
        """Finishes every task that waits; only those in flight are left."""
        for task in self._waiting.clear():
            self._finish(task)

    def replied(self, task: DeliveryTask | TokenRequest, reply: SinkReply) -> None:
        """Takes in the reply to the task's request, and goes on with it and with what waits for its host."""
        if isinstance(task, TokenRequest):
            self._tokens.replied(task, reply, self._now_s())
        else:
            self._guarded(partial(self._take_reply, reply=reply), task)
        # After a bug too: by now the task has given its permit back, whatever became of it.
        self._go_on_with(task.host)

    def _apply(self, task: DeliveryTask, outcome: Outcome, now_ms: int) -> None:
        """What became of the task's event before it was written."""
        task.event_type, task.correlator, task.body = type_of(task.item), "", b""

        def apply(task: DeliveryTask) -> None:
            if self._attempts.apply(task, outcome, now_ms):
                self._go_on(task)
            else:
                self._finish(task)

        self._guarded(apply, task)

    def _go_on_with(self, host: str) -> None:
        """What waits for the host and may go."""
        while (waiting := self._limiter.next_waiting(host, self._now_s())) is not None:
            self._guarded(self._go_on, waiting)

    def _guarded(self, act: Callable[[DeliveryTask], None], task: DeliveryTask) -> None:
        """A task that fails by a bug fails alone: it is left to its lease."""
        try:
            act(task)
        except Exception:  # noqa: BLE001 (logged; a task that fails by a bug fails alone)
            self._fail(task)

    def _fail(self, task: DeliveryTask) -> None:
        log.exception("subscription=%s failed and is left to its lease", task.claim.subscription_id)
        self._release(task, self._now_s())
        self._tasks.discard(task)
        self._held.give(task)
        self._tokens.left(task)

    def _go_on(self, task: DeliveryTask) -> None:
        """Sends the task's next event, lets it wait for its host, or finishes the task."""
        # Not the moment of the task before: that one may have waited for the store to give it a slot.
        now_s = self._now_s()
        self._go_on_at(task, now_s, task.now_ms(now_s))

    def _go_on_at(self, task: DeliveryTask, now_s: float, now_ms: int) -> None:
        while not task.exhausted and not self.draining:
            in_time = task.item.deadline_ms > now_ms
            if not task.fits(self._exchange_ms, now_ms):
                # The rest goes back: an exchange may not outlive its lease.
                if in_time and task.index == 0:
                    # It was claimed in vain, and would be again: it waited for its host all the time.
                    deferred = self._limiter.defer(task.host, task.claim.client, now_s)
                    self._defer(task, deferred, now_ms)
                    return
                break
            # What is too late is given up at once, however its host is.
            if in_time and task.awaits_token and not self._tokens.has(task, now_s, now_ms):
                return
            if in_time and not self._has_permit(task, now_s, now_ms):
                return
            if in_time and task.claim.rate is not None:
                if not self._has_slot(task):
                    return
                # The store may have taken its time.
                now_s = self._now_s()
                now_ms = task.now_ms(now_s)
            written = self._written(task, now_s, now_ms)
            if isinstance(written, Notification):
                self._sink.submit(task, written.request)
                return
            if written.outcome is None or not self._attempts.apply(task, written.outcome, now_ms):
                break
            now_s = self._now_s()
            now_ms = task.now_ms(now_s)
        self._finish(task)

    def _has_permit(self, task: DeliveryTask, now_s: float, now_ms: int) -> bool:
        """Whether the task has a permit for its host; else it waits for one, or is finished."""
        if self._proxy is not None and (delay_s := self._proxy.delay_s(task.claim.sink, now_s)) > 0:
            self._defer(task, self._limiter.defer_by(delay_s, task.claim.client, now_s), now_ms)
            return False
        entry = self._limiter.acquire(
            task.host, task.claim.client, task, now_s, path=task.path, accepted_ms=task.item.accepted_ms
        )
        if isinstance(entry, Deferred):
            self._defer(task, entry, now_ms)
            return False
        task.permit = entry
        return entry is not None

    def _defer(self, task: DeliveryTask, deferred: Deferred, now_ms: int) -> None:
        self.deferred += 1
        task.postpone(round(deferred.delay_s * 1000), now_ms)
        if deferred.unreachable and task.result is SinkResult.NOT_ASKED:
            task.result = SinkResult.FAILED
        task.awaits_host = self._limiter.awaited(task.host)
        self._finish(task)

    def _has_slot(self, task: DeliveryTask) -> bool:
        """Whether the sink's rate allows the task's next event now; else it waits, or is finished.

        It has its permit already: a slot is used at once or not at all.
        """
        slot = self._rate_limiter.slot(task, self._now_s())
        # The store may have taken its time.
        now_s = self._now_s()
        now_ms = task.now_ms(now_s)
        if isinstance(slot, SlotNow) and task.fits(self._exchange_ms, now_ms):
            return True
        self._release(task, now_s)
        match slot:
            case SlotNow():
                self._finish(task)
            case SlotAt(moment_s):
                self._waiting.delay(task, moment_s)
            case SlotLater(delay_ms):
                task.postpone(delay_ms, now_ms)
                self._finish(task)
        return False

    def _written(self, task: DeliveryTask, now_s: float, now_ms: int) -> Notification | Skipped:
        """The task's next event; the permit is released unless it can be sent."""
        token = None if task.token is None else task.token.at(now_s)
        written = self._writer.write(task.claim, task.item, now_ms, token)
        task.event_type = written.type
        if isinstance(written, Notification):
            task.correlator, task.span = written.correlator, written.span
            if self._attempts.keeps_content:
                task.body = written.request.body
            return written
        self._release(task, now_s)
        task.correlator, task.body = "", b""
        return written

    def _take_reply(self, task: DeliveryTask, reply: SinkReply) -> None:
        now_s = self._now_s()
        if self._proxy is not None:
            self._proxy.replied(task.claim.sink, reply, now_s)
        now_ms = task.now_ms(now_s)
        signal = signal_of(reply, now_ms / 1000)
        self._release(task, now_s, signal)
        if task.token is not None:
            self._tokens.answered(task, reply, now_s)
        if self._attempts.replied(task, reply, now_ms):
            self._go_on_at(task, now_s, now_ms)
        else:
            # A path that hangs on a host that answers is no matter of the host.
            task.awaits_host = isinstance(signal, Unreachable) and self._limiter.unreachable(task.host)
            self._finish(task)

    def _release(self, task: DeliveryTask, now_s: float, signal: HostSignal | None = None) -> None:
        """Gives the task's permit back, if it has one, with what the reply says about the host."""
        permit, task.permit = task.permit, None
        to_probe = () if permit is None else self._limiter.release(permit, signal, now_s)
        if signal is not None:
            self._returns.replied(task.host, signal, to_probe)

    def _finish(self, task: DeliveryTask) -> None:
        self._tasks.discard(task)
        self._finished(task)
        if task.awaits_token:
            self._tokens.left(task)
