"""Steps of the state machine that come from outside: of clients, of gateways, and of time."""

import contextlib
import hashlib
import itertools
import math
from dataclasses import replace
from typing import Any

import redis
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
)

from tests.harness.builders import SINK, Interrupted, invitation, new_subscription, no_damage
from tests.store.machine_model import (
    LEASE_STEPS,
    PICK,
    RETENTION_STEPS,
    SHARED_FROM,
    STEP_MS,
    VALIDATION_STEPS,
    WORK,
    Cut,
    Lease,
    Model,
    P,
)
from tests.store.machine_steps import when
from tests.store.machine_time import hold_time
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.model import (
    EventType,
    Status,
    TerminationReason,
)
from webrtc_events.core.settings import Settings
from webrtc_events.store.appends import AppendOptions, append_events
from webrtc_events.store.redis.scripts import Client
from webrtc_events.store.script_options import StoreOptions
from webrtc_events.store.store import Store


class ClientSteps(RuleBasedStateMachine):
    settings: Settings
    client: Client
    raw: "redis.Redis"

    def __init__(self) -> None:
        super().__init__()
        self.raw.flushall()
        self.now = 0
        self.clock_ms = 0
        self.ids = itertools.count(1)
        self.published = 0
        self.models: list[Model] = []
        self.leases: list[Lease] = []
        # Those settled, the latest last.
        self.settlements: list[Lease] = []
        self.cut: Cut | None = None
        self.start_ms = self.store_ms()
        options = StoreOptions(
            lease_ms=LEASE_STEPS * STEP_MS - STEP_MS // 2, work=WORK, shared_from=SHARED_FROM
        )
        self.store = Store(self.client, self.settings, options, shares=True, packs=True, omits=True)
        hold_time(self.store.scripts)
        self.at(0)

    def new_id(self) -> str:
        """In no order, but the same in each run of a game: the store may go by it."""
        return f"{hashlib.sha256(b'%d' % next(self.ids)).hexdigest()[:32]}-{P.number:02x}"

    def store_ms(self) -> int:
        seconds, micros = self.raw.time()
        return int(seconds) * 1000 + int(micros) // 1000

    def at(self, step: int) -> None:
        self.now = step
        self.store.scripts.offset_ms = self.start_ms + self.clock_ms
        # Something happens in a partition all the time.
        self.delete_id(self.new_id())

    # What clients and gateways do

    @initialize(maximum=st.none() | st.integers(1, 9), lasts=st.none() | st.integers(2, 9))
    def create_first(self, maximum: int | None, lasts: int | None) -> None:
        self.create(maximum, lasts, asks=False)
        self.append(2, repeat=False)

    @rule(maximum=st.none() | st.integers(1, 9), lasts=st.none() | st.integers(2, 9), asks=st.booleans())
    @when(lambda self: sum(model.ended_at is None for model in self.models) < 3)
    def create(self, maximum: int | None, lasts: int | None, asks: bool) -> None:
        expires = None if lasts is None else self.now + lasts
        expires_at_ms = None if expires is None else self.start_ms + expires * STEP_MS - STEP_MS // 2
        origin = "here.example" if asks else None
        made = replace(
            new_subscription(max_events=maximum, expires_at_ms=expires_at_ms, origin=origin), id=self.new_id()
        )
        assert self.store.subscriptions.create(made, sink=SINK, headers={}, sealed=None).outcome == "created"
        model = Model(made, maximum, expires, self.now + VALIDATION_STEPS + LEASE_STEPS if asks else None)
        if asks:
            model.status = Status.ACTIVATION_REQUESTED
            model.push(self.now)
        self.models.append(model)

    @rule(count=st.integers(1, 4), repeat=st.booleans())
    def append(self, count: int, repeat: bool) -> None:
        events = [invitation(self.published + number) for number in range(1, count + 1)]
        self.published += count
        expected = [self.matched() for _ in events]
        results = self.store.events.append({P.number: events})[P.number]
        assert [(result.new, result.subscriptions) for result in results] == [
            (True, subscriptions) for subscriptions in expected
        ]
        if repeat:
            again = self.store.events.append({P.number: events})[P.number]
            assert {(result.new, result.subscriptions) for result in again} == {(False, 0)}

    def matched(self) -> int:
        return sum(self.takes(model) for model in self.models)

    def takes(self, model: Model) -> bool:
        over = model.expires is not None and model.expires <= self.now
        if model.status is not Status.ACTIVE or over:
            return False
        model.append(self.now)
        if model.number - (model.made.origin is not None) == model.maximum:
            model.end(self.now, TerminationReason.MAX_EVENTS_REACHED, Status.EXPIRED)
        return True

    @rule(calls=st.integers(1, 3))
    @when(lambda self: self.cut is None and len(self.indexed()) > WORK)
    def append_and_disconnect(self, calls: int) -> None:
        """After a number of steps the process dies, or an answer is lost."""
        self.published += 1
        self.cut = Cut(invitation(self.published), self.indexed())
        self.go_on(calls)

    @rule(calls=st.integers(1, 3))
    @when(lambda self: self.cut is not None)
    def go_on(self, calls: int) -> None:
        assert self.cut is not None
        interrupted: Any = Interrupted(self.store, calls)
        with contextlib.suppress(Unavailable):
            append_events(
                interrupted,
                AppendOptions.of(self.settings, SHARED_FROM),
                {P.number: [self.cut.event]},
                no_damage,
            )
        lacking = self.raw.smembers(P.lacking("/gateway", self.cut.event.id))
        self.serve(self.cut, self.cut.found - lacking)

    @rule()
    @when(lambda self: self.cut is not None)
    def publish_again(self) -> None:
        """Whoever completes it, the answer tells of all."""
        assert self.cut is not None
        complete = self.cut.served == self.cut.found
        self.serve(self.cut, self.cut.found)
        (result,) = self.store.events.append({P.number: [self.cut.event]})[P.number]
        expected = (False, 0) if complete else (True, self.cut.matched)
        assert (result.new, result.subscriptions) == expected
        self.cut = None

    def serve(self, cut: Cut, served: frozenset[str]) -> None:
        for model in self.models:
            if model.made.id in served - cut.served:
                cut.matched += self.takes(model)
        cut.served = served

    def indexed(self) -> frozenset[str]:
        """Those that the event is looked up for: not over, or over by time and not swept yet."""
        return frozenset(self.raw.smembers(P.registration(EventType.SESSION_INVITATION, "r1")))

    @rule(pick=PICK)
    @when(lambda self: self.models)
    def delete(self, pick: int) -> None:
        self.delete_one(self.models[pick % len(self.models)])

    @rule(pick=PICK)
    @when(lambda self: self.waiting())
    def delete_while_something_waits(self, pick: int) -> None:
        self.delete_one(self.waiting()[pick % len(self.waiting())])

    def waiting(self) -> list[Model]:
        return [model for model in self.models if model.outbox and model.status is not Status.DELETED]

    def delete_one(self, model: Model) -> None:
        outcome = self.delete_id(model.made.id)
        if model.removed or model.status is Status.DELETED:
            assert outcome == "gone"
            return
        if model.asked():
            assert outcome == "ended"
            model.cancel(self.now, Status.DELETED)
        elif model.status is Status.ACTIVE:
            assert outcome == "ended"
            model.end(self.now, TerminationReason.SUBSCRIPTION_DELETED, Status.DELETED)
        else:
            assert outcome == "already"
            model.status = Status.DELETED
        if model.ended_at is not None:
            # It goes now, and not when time comes back to the moment of its end.
            model.ended_at = self.now
        else:
            model.dropped_before = model.outbox[-1][0]
            if model.lease is None or model.lease.until <= self.now:
                model.lease = None
                model.forget_dropped()
                model.due = self.now

    def delete_id(self, subscription_id: str) -> str:
        reason = TerminationReason.SUBSCRIPTION_DELETED
        return self.store.subscriptions.end(subscription_id, reason, Status.DELETED, drop_pending=True)

    # What time does

    @rule(steps=st.integers(1, 4))
    def pass_time(self, steps: int) -> None:
        """While the store's clock is behind, time goes on a tenth slower than it."""
        until = self.now + steps
        self.clock_ms = min(until * STEP_MS, self.clock_ms + math.ceil(steps * STEP_MS / 0.9))
        self.at(until)

    @rule(steps=st.integers(1, 30))
    @when(lambda self: self.now > 0)
    def jump_back(self, steps: int) -> None:
        """As when another node takes over, whose clock is behind: for whoever waits nothing changes."""
        self.clock_ms -= steps * STEP_MS
        self.at(self.now)

    @rule()
    @when(lambda self: self.clock_ms < (self.now - 6) * STEP_MS)
    def set_right(self) -> None:
        """The clock is up with time again, at once: by more than a minute."""
        self.clock_ms = self.now * STEP_MS
        self.at(self.now)

    @rule()
    def sweep(self) -> None:
        touched = 0
        for model in self.models:
            if model.removed:
                continue
            if model.ended_at is not None:
                # Of a deleted subscription nothing is kept.
                kept = 0 if model.status is Status.DELETED else RETENTION_STEPS
                if model.ended_at + kept <= self.now:
                    model.removed = True
                    touched += 1
            elif model.asked() and model.time_is_up(self.now):
                model.cancel(self.now, Status.EXPIRED)
                touched += 1
            elif model.status is Status.ACTIVE and model.time_is_up(self.now):
                model.end(self.now, TerminationReason.SUBSCRIPTION_EXPIRED, Status.EXPIRED)
                touched += 1
        swept = 0
        while more := self.store.expiry.sweep():
            swept += more
        assert swept == touched
