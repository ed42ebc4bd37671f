"""Delivery: claim what is due, POST each event as a notification, settle the outcome.

A claim is worked off as a lane: its events one after the other, so that order holds, while
many lanes share one thread.
"""

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from webrtc_events.clock import Clock
from webrtc_events.errors import Unavailable
from webrtc_events.hosts import HostGate
from webrtc_events.keys import Partition, partition_of_subscription
from webrtc_events.model import (
    Claim,
    Delivered,
    Drop,
    End,
    OutboxItem,
    Outcome,
    Retry,
    SinkReply,
    TerminationReason,
)
from webrtc_events.notifications import Notification, NotificationWriter, Unsent
from webrtc_events.retry import decide
from webrtc_events.settings import Settings
from webrtc_events.sink import Sink, SinkLimits
from webrtc_events.store import DeadLetter, Settlement, Store

__all__ = ["Courier", "CourierOptions"]

log = logging.getLogger(__name__)

# For a host to which too much is on its way; no attempt was made.
_CROWDED_RETRY_MS = 1_000


@dataclass(frozen=True, slots=True)
class CourierOptions:
    """How much one courier takes on. `poll_s` bounds how late a lost wake-up or a retry is seen.

    Of `lanes` in all, at most `lanes_per_host` are on their way to one host (name and port of
    the sink) and as many as `waiting_per_host` wait for it.
    """

    lanes: int = 2048
    lanes_per_host: int = 64
    waiting_per_host: int = 192
    events_per_claim: int = 8
    poll_s: float = 0.2
    limits: SinkLimits = field(default_factory=SinkLimits)


@dataclass(slots=True, eq=False)
class _Lane:
    """One claim on its way. `sink`: see `Settlement`."""

    claim: Claim
    partition: Partition
    host: str
    claimed_at: float
    index: int = 0
    attempt: int = 1
    correlator: str = ""
    event_type: str = ""
    dead: list[DeadLetter] = field(default_factory=list)
    attempts: list[dict[str, Any]] = field(default_factory=list)
    retry: tuple[int, int, int] | None = None
    end: tuple[TerminationReason, bool] | None = None
    sink: str = ""

    @property
    def item(self) -> OutboxItem:
        return self.claim.items[self.index]

    @property
    def exhausted(self) -> bool:
        return self.index == len(self.claim.items)

    def advance(self) -> None:
        self.index += 1
        self.attempt = 1

    def settlement(self) -> Settlement:
        done = self.claim.items[: self.index]
        return Settlement(
            claim=self.claim,
            through=done[-1].number if done else self.claim.items[0].number - 1,
            dead=tuple(self.dead),
            attempts=tuple(self.attempts),
            retry=self.retry,
            end=self.end,
            sink=self.sink,
        )


class Courier:
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
        options: CourierOptions,
    ) -> None:
        self._store = store
        self._sink = sink
        self._writer = writer
        self._partition_count = settings.partitions
        self._clock = clock
        self._random = random
        self._options = options
        self._partitions = [Partition(number) for number in range(settings.partitions)]
        self._noticed: deque[int] = deque()
        self._eager: set[int] = set()
        self._next_poll = 0.0
        self._cursor = 0
        self._lanes: set[_Lane] = set()
        self._gate: HostGate[_Lane] = HostGate(
            in_flight=options.lanes_per_host, waiting=options.waiting_per_host
        )
        self._finished: list[_Lane] = []
        self._draining = False

    @property
    def idle(self) -> bool:
        """Nothing is on its way and nothing waits to be settled."""
        return not self._lanes and not self._finished

    def notice(self, partition: int) -> None:
        """Something became due in that partition. May be called from any thread."""
        self._noticed.append(partition)
        self._sink.wake()

    def step(self, *, claiming: bool = True) -> None:
        """One round: settle, claim, wait for sinks a little. Without claiming, lanes end early.

        Raises:
            Unavailable: the store does not answer. Nothing is lost: what could not be settled
                is kept for the next round, and the lease guards it.
        """
        self._draining = not claiming
        try:
            self._settle()
            if claiming:
                self._claim()
            else:
                for lane in self._gate.clear():
                    self._finish(lane)
        finally:
            # Whatever the store does: sinks that have answered are listened to.
            for lane, reply in self._sink.poll(self._wait_s()):
                self._guarded(self._replied, lane, reply)
        self._settle()

    def _wait_s(self) -> float:
        """What finished without any POST must be settled before a wait, and more may be due at once."""
        more = self._eager and self._free > 0 and not self._draining
        return 0.0 if self._finished or more else self._options.poll_s

    def _guarded(self, act: Callable[..., None], lane: _Lane, *more: Any) -> None:
        """A lane that fails by a bug fails alone: it is left to its lease."""
        try:
            act(lane, *more)
        except Exception:
            log.exception("subscription=%s failed and is left to its lease", lane.claim.subscription_id)
            self._lanes.discard(lane)

    @property
    def _free(self) -> int:
        return self._options.lanes - len(self._lanes)

    def _claim(self) -> None:
        while self._noticed:
            self._eager.add(self._noticed.popleft())
        now = self._clock.monotonic()
        wanted = self._wanted(now)
        if not wanted:
            return
        share = self._free // len(wanted)
        claims = self._store.claim(wanted, subscriptions=share, events=self._options.events_per_claim)
        taken: dict[int, int] = {}
        for claim in claims:
            lane = self._lane(claim, now)
            taken[lane.partition.number] = taken.get(lane.partition.number, 0) + 1
            self._lanes.add(lane)
            self._guarded(self._go_on, lane)
        self._eager -= {each.number for each in wanted}
        # A partition that gave all it was asked for may have more.
        self._eager |= {number for number, count in taken.items() if count >= share}

    def _wanted(self, now: float) -> list[Partition]:
        """Which partitions to ask: at a poll all, else those with a hint; no more than lanes are free."""
        if self._free <= 0:
            return []
        if now >= self._next_poll:
            self._next_poll = now + self._options.poll_s
            self._eager = {each.number for each in self._partitions}
        numbers = sorted(self._eager, key=lambda number: (number - self._cursor) % len(self._partitions))
        if len(numbers) > self._free:
            numbers = numbers[: self._free]
            # The others are asked first next time.
            self._cursor = (numbers[-1] + 1) % len(self._partitions)
        return [self._partitions[number] for number in numbers]

    def _lane(self, claim: Claim, claimed_at: float) -> _Lane:
        partition = partition_of_subscription(claim.subscription_id, self._partition_count)
        if partition is None:
            raise ValueError(f"claimed {claim.subscription_id!r}, which is no subscription id")
        host = urlsplit(claim.sink).netloc
        return _Lane(claim, partition, host, claimed_at, attempt=claim.attempts + 1)

    def _store_now(self, lane: _Lane) -> int:
        """The store's time, carried on by the monotonic clock: the host's wall clock decides nothing."""
        return lane.claim.now_ms + round((self._clock.monotonic() - lane.claimed_at) * 1000)

    def _go_on(self, lane: _Lane) -> None:
        """Sends the lane's next event, lets it wait for its host, or finishes the lane."""
        while not lane.exhausted and not self._draining:
            now_ms = self._store_now(lane)
            if now_ms + self._options.limits.total_ms >= lane.claim.lease_until_ms:
                # The rest goes back: an exchange may not outlive its lease.
                break
            if not self._gate.admit(lane.host):
                if self._gate.wait(lane.host, lane):
                    return
                delay_ms = round(_CROWDED_RETRY_MS * (1 + self._random()))
                lane.retry = (delay_ms, lane.attempt - 1, lane.item.number)
                break
            written = self._written(lane, now_ms)
            if isinstance(written, Notification):
                self._sink.submit(lane, written.request)
                return
            if written.outcome is None:
                break
            if self._apply(lane, written.outcome, status=None, elapsed_ms=0):
                return
        self._finish(lane)

    def _written(self, lane: _Lane, now_ms: int) -> Notification | Unsent:
        """The lane's next event; the place on the way to the host is given back unless it can be sent."""
        written: Notification | Unsent = Unsent(None)
        try:
            written = self._writer.write(lane.claim, lane.item, now_ms)
        finally:
            if not isinstance(written, Notification):
                self._gate.release(lane.host)
        lane.event_type = written.type
        lane.correlator = written.correlator if isinstance(written, Notification) else ""
        return written

    def _replied(self, lane: _Lane, reply: SinkReply) -> None:
        self._gate.release(lane.host)
        try:
            self._judge(lane, reply)
        finally:
            while (waiting := self._gate.next(lane.host)) is not None:
                self._guarded(self._go_on, waiting)

    def _judge(self, lane: _Lane, reply: SinkReply) -> None:
        outcome = decide(
            reply,
            attempt=lane.attempt,
            remaining_ms=lane.item.deadline_ms - self._store_now(lane),
            credentialed=lane.claim.credential is not None,
            random=self._random,
            # By the store's time too: this host's wall clock may be wrong.
            now_s=self._store_now(lane) / 1000,
        )
        if lane.sink != "took":
            lane.sink = "took" if isinstance(outcome, Delivered) else "failed"
        status = getattr(reply, "status", None)
        if not self._apply(lane, outcome, status=status, elapsed_ms=reply.elapsed_ms):
            self._go_on(lane)

    def _apply(self, lane: _Lane, outcome: Outcome, *, status: int | None, elapsed_ms: int) -> bool:
        """Notes the outcome of the lane's event; True if the lane is finished by it."""
        item = lane.item
        if item.end and (isinstance(outcome, End) or (isinstance(outcome, Retry) and lane.claim.end_once)):
            # The end cannot be ended again: it is given up.
            outcome = Drop("end_refused", _reason(outcome))
        self._record(lane, outcome, status, elapsed_ms)
        match outcome:
            case Delivered():
                lane.advance()
                return False
            case Drop(reason, detail):
                lane.dead.append(DeadLetter(item.number, reason, detail))
                lane.advance()
                return False
            case Retry(delay_ms, _):
                lane.retry = (delay_ms, lane.attempt, item.number)
            case End(reason, notify):
                lane.end = (reason, notify)
                lane.dead.append(DeadLetter(item.number, "refused", reason))
                lane.advance()
        self._finish(lane)
        return True

    def _record(self, lane: _Lane, outcome: Outcome, status: int | None, elapsed_ms: int) -> None:
        record = {
            "event": f"{lane.claim.subscription_id}.{lane.item.event_number}",
            "type": lane.event_type.rpartition(".")[2],
            "attempt": lane.attempt,
            "outcome": type(outcome).__name__.lower(),
            "reason": _reason(outcome),
            "status": status,
            "ms": elapsed_ms,
            "at": self._store_now(lane),
            "host": lane.host,
            "correlator": lane.correlator,
        }
        lane.attempts.append(record)
        level = logging.INFO if isinstance(outcome, Delivered) else logging.WARNING
        log.log(level, "attempt %s", " ".join(f"{name}={value}" for name, value in record.items()))

    def _finish(self, lane: _Lane) -> None:
        self._lanes.discard(lane)
        self._finished.append(lane)

    def _settle(self) -> None:
        if not self._finished:
            return
        try:
            results = self._store.settle([lane.settlement() for lane in self._finished])
        except Unavailable:
            raise
        except Exception:
            # A bug, which would come back with every round: the leases take care of them.
            log.exception("%d claims could not be settled and are left to their leases", len(self._finished))
            self._finished.clear()
            return
        for lane, result in zip(self._finished, results, strict=True):
            if result == "lost":
                log.warning(
                    "lease lost subscription=%s fence=%d", lane.claim.subscription_id, lane.claim.fence
                )
            elif result == "ended":
                log.info("ended subscription=%s", lane.claim.subscription_id)
            elif result == "due" and lane.retry is None:
                self._eager.add(lane.partition.number)
        self._finished.clear()


def _reason(outcome: Outcome) -> str:
    match outcome:
        case Delivered():
            return ""
        case Drop(reason, detail):
            return f"{reason}({detail})" if detail else reason
        case Retry(_, reason) | End(reason, _):
            return str(reason)
