"""The store against a model of plain lists: random steps, jumps of time and crashes.

A step of the model's time is ten seconds; every span ends halfway between two steps, so that
the few ms which really pass decide nothing. The store's clock goes back now and then; time does not.
"""

import contextlib
import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck
from hypothesis import settings as profile
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.harness.builders import SINK, Interrupted, invitation, new_subscription, no_damage
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.model import (
    Claim,
    EventType,
    NetworkEvent,
    OutboxKind,
    Status,
    Subscription,
    TerminationReason,
)
from webrtc_events.core.outcomes import Agreed, End, Refused, ScheduledRetry
from webrtc_events.core.settings import Settings
from webrtc_events.store.appends import AppendOptions, append_events
from webrtc_events.store.keys import new_subscription_id, partition_of
from webrtc_events.store.outbox_entries import referred_payload
from webrtc_events.store.redis.scripts import Client, connect
from webrtc_events.store.script_options import StoreOptions
from webrtc_events.store.settlements import Settlement
from webrtc_events.store.store import Store

STEP_MS = 10_000
LEASE_STEPS = 3
RETENTION_STEPS = 3
VALIDATION_STEPS = 4
OUTBOX_LENGTH = 6
OUTBOX_AGE_STEPS = 5
# So that an event for two subscriptions is appended in two steps.
WORK = 1
# So that their outboxes share its payload.
SHARED_FROM = 1
PICK = st.integers(0, 11)
VERDICT = st.sampled_from(["next", "retry", "next", "end", "end quietly"])
LONG = profile(
    max_examples=100, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck)
)
SHORT = profile(LONG, max_examples=8, stateful_step_count=30)
P = partition_of("r1", 64)
# Is said to hold payloads, by damage.
NOBODY = f"{'0' * 32}-{P.number:02x}:1"

Entry = tuple[int, str | None]
"""An outbox number, and the reason if it is the end."""


@dataclass(eq=False)
class Lease:
    """A claim in the hands of a worker, live or not. `posted` items have been sent, from the first on."""

    of: "Model"
    claim: Claim
    until: int
    posted: int = 0


@dataclass(eq=False)
class Model:
    """What must be true of one subscription. Times are steps; `due` None: nothing to send."""

    made: Subscription
    maximum: int | None
    expires: int | None
    agree_by: int | None
    status: Status = Status.ACTIVE
    ended_at: int | None = None
    removed: bool = False
    number: int = 0
    outbox: list[Entry] = field(default_factory=list)
    accepted: dict[int, int] = field(default_factory=dict)
    squeezed_out: int = 0
    dropped_before: int = 0
    due: int | None = None
    lease: Lease | None = None
    posts: list[Entry] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def push(self, now: int, reason: str | None = None) -> None:
        self.number += 1
        self.outbox.append((self.number, reason))
        self.due = now if self.due is None else self.due

    def append(self, now: int) -> None:
        """What is leased stays; of the rest the oldest go while there are too many or they are too old."""
        live = self.lease is not None and self.lease.until > now
        through = self.lease.claim.items[-1].number if live and self.lease else 0
        leased = [entry for entry in self.outbox if entry[0] <= through]
        unleased = self.outbox[len(leased) :]
        while unleased and (
            len(leased) + len(unleased) >= OUTBOX_LENGTH
            or now - self.accepted[unleased[0][0]] >= OUTBOX_AGE_STEPS
        ):
            unleased.pop(0)
            self.squeezed_out += 1
        self.outbox = leased + unleased
        self.push(now)
        self.accepted[self.number] = now

    def end(self, now: int, reason: TerminationReason, status: Status) -> None:
        self.status = status
        self.reasons.append(reason.value)
        self.push(now, reason.value)

    def asked(self) -> bool:
        return self.status is Status.ACTIVATION_REQUESTED

    def time_is_up(self, now: int) -> bool:
        moments = (self.expires, self.agree_by if self.asked() else None)
        return any(moment is not None and moment <= now for moment in moments)

    def cancel(self, now: int, status: Status) -> None:
        """It ends without a word."""
        self.status = status
        self.finish(now)

    def finish(self, now: int) -> None:
        self.outbox, self.due, self.lease, self.ended_at = [], None, None, now

    def forget_dropped(self) -> None:
        self.outbox = [entry for entry in self.outbox if entry[0] >= self.dropped_before]


@dataclass(eq=False)
class Cut:
    """An event whose publisher went away half way, to be published again."""

    event: NetworkEvent
    found: frozenset[str]
    served: frozenset[str] = frozenset()
    matched: int = 0


class StoreMachine(RuleBasedStateMachine):
    settings: Settings
    client: Client
    raw: "redis.Redis"

    def __init__(self) -> None:
        super().__init__()
        self.raw.flushall()
        self.now = 0
        self.clock_ms = 0
        self.published = 0
        self.models: list[Model] = []
        self.leases: list[Lease] = []
        self.cut: Cut | None = None
        seconds, micros = self.raw.time()
        self.start_ms = seconds * 1000 + micros // 1000
        self.at(0)

    def at(self, step: int) -> None:
        self.now = step
        options = StoreOptions(
            lease_ms=LEASE_STEPS * STEP_MS - STEP_MS // 2,
            offset_ms=self.clock_ms,
            work=WORK,
            shared_from=SHARED_FROM,
        )
        self.store = Store(self.client, self.settings, options, shares=True)
        # Something happens in a partition all the time.
        self.delete_id(new_subscription_id(P))

    # What clients and gateways do

    @initialize(maximum=st.none() | st.integers(1, 9), lasts=st.none() | st.integers(2, 9))
    def create_first(self, maximum: int | None, lasts: int | None) -> None:
        self.create(maximum, lasts, asks=False)
        self.append(2, repeat=False)

    @precondition(lambda self: sum(model.ended_at is None for model in self.models) < 3)
    @rule(maximum=st.none() | st.integers(1, 9), lasts=st.none() | st.integers(2, 9), asks=st.booleans())
    def create(self, maximum: int | None, lasts: int | None, asks: bool) -> None:
        expires = None if lasts is None else self.now + lasts
        expires_at_ms = None if expires is None else self.start_ms + expires * STEP_MS - STEP_MS // 2
        origin = "here.example" if asks else None
        made = new_subscription(max_events=maximum, expires_at_ms=expires_at_ms, origin=origin)
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

    @precondition(lambda self: self.cut is None and len(self.indexed()) > WORK)
    @rule(calls=st.integers(1, 3))
    def append_and_go_away(self, calls: int) -> None:
        """After a number of steps the process dies, or an answer is lost."""
        self.published += 1
        self.cut = Cut(invitation(self.published), self.indexed())
        self.go_on(calls)

    @precondition(lambda self: self.cut is not None)
    @rule(calls=st.integers(1, 3))
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

    @precondition(lambda self: self.cut is not None)
    @rule()
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

    @precondition(lambda self: self.models)
    @rule(pick=PICK)
    def delete(self, pick: int) -> None:
        self.delete_one(self.models[pick % len(self.models)])

    @precondition(lambda self: self.waiting())
    @rule(pick=PICK)
    def delete_while_something_waits(self, pick: int) -> None:
        self.delete_one(self.waiting()[pick % len(self.waiting())])

    @precondition(lambda self: self.postable())
    @rule(pick=PICK, count=st.integers(0, 2), verdict=VERDICT, delay=st.integers(1, 4))
    def delete_while_leased(self, pick: int, count: int, verdict: str, delay: int) -> None:
        lease = self.postable()[pick % len(self.postable())]
        self.delete_one(lease.of)
        self.post_of(lease, count)
        self.settle_one(lease, verdict, delay, repeat=False)

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

    @precondition(lambda self: self.now > 0)
    @rule(steps=st.integers(1, 30))
    def jump_back(self, steps: int) -> None:
        """As when another node takes over, whose clock is behind: for whoever waits nothing changes."""
        self.clock_ms -= steps * STEP_MS
        self.at(self.now)
        # What was due a moment ago may be so in a moment only.
        self.pass_time(1)

    @precondition(lambda self: self.clock_ms < (self.now - 6) * STEP_MS)
    @rule()
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

    # What damage does

    @rule()
    def name_a_holder_that_does_not_exist(self) -> None:
        for sha in self.raw.zrange(P.payloads, 0, 0):
            self.raw.hset(P.payload(sha), NOBODY, "")

    # What workers do; one that crashes is a lease that nobody asks for again

    @rule(events=st.integers(1, 3))
    def claim(self, events: int) -> None:
        found = {
            leased.subscription_id: leased
            for leased in self.store.claims.claim([P], subscriptions=99, events=events)
        }
        for model in self.models:
            if model.due is None or model.due > self.now:
                continue
            model.forget_dropped()
            claim = found.pop(model.made.id)
            entries = [(item.number, item.payload if item.end else None) for item in claim.items]
            offered = model.outbox[:events]
            if len(offered) > 1 and offered[-1][1] is not None:
                # The end goes alone: a crash must not repeat an event after it.
                offered.pop()
            assert entries == offered
            model.lease = Lease(model, claim, self.now + LEASE_STEPS)
            model.due = model.lease.until
            self.leases.append(model.lease)
        assert not found

    @rule(events=st.integers(1, 3), count=st.integers(0, 3), verdict=VERDICT, delay=st.integers(0, 4))
    def claim_post_and_settle(self, events: int, count: int, verdict: str, delay: int) -> None:
        if not any(model.due is not None and model.due <= self.now for model in self.models):
            self.append(events, repeat=False)
        before = list(self.leases)
        self.claim(events)
        for lease in [lease for lease in self.leases if lease not in before]:
            self.post_of(lease, count)
            self.settle_one(lease, verdict, delay, repeat=False)

    @precondition(lambda self: any(model.asked() and (model.due or 0) <= self.now for model in self.models))
    @rule(verdict=VERDICT, repeat=st.booleans())
    def ask_and_settle(self, verdict: str, repeat: bool) -> None:
        before = list(self.leases)
        self.claim(1)
        for lease in [lease for lease in self.leases if lease not in before]:
            self.post_of(lease, 1)
            self.settle_one(lease, verdict, 1, repeat=repeat)

    @precondition(lambda self: self.postable())
    @rule(pick=PICK, count=st.integers(1, 3))
    def post(self, pick: int, count: int) -> None:
        self.post_of(self.postable()[pick % len(self.postable())], count)

    def post_of(self, lease: Lease, count: int) -> None:
        for item in lease.claim.items[lease.posted : lease.posted + count]:
            lease.of.posts.append((item.number, item.payload if item.end else None))
            lease.posted += 1

    def postable(self) -> list[Lease]:
        return [
            lease
            for lease in self.leases
            if lease.posted < len(lease.claim.items) and (self.now < lease.until and lease.of.lease is lease)
        ]

    @precondition(lambda self: self.leases)
    @rule(pick=PICK, verdict=VERDICT, delay=st.integers(0, 4), repeat=st.booleans())
    def settle(self, pick: int, verdict: str, delay: int, repeat: bool) -> None:
        self.settle_one(self.leases[pick % len(self.leases)], verdict, delay, repeat=repeat)

    def settle_one(self, lease: Lease, verdict: str, delay: int, *, repeat: bool) -> None:
        """`repeat`: the answer was lost with its connection, and the client sent it once more."""
        self.leases.remove(lease)
        items = lease.claim.items
        ends = verdict.startswith("end") and lease.posted > 0 and not items[lease.posted - 1].end
        retries = verdict == "retry" and lease.posted > 0
        numbers = [items[0].number - 1, *(item.number for item in items)]
        through, retried = numbers[lease.posted - int(retries)], numbers[lease.posted]
        follow_up: ScheduledRetry | End | Agreed | Refused | None = None
        if retries:
            follow_up = ScheduledRetry(max(0, delay * STEP_MS - STEP_MS // 2), 1, retried)
        elif items[0].kind is OutboxKind.HANDSHAKE and lease.posted > 0:
            follow_up = Refused("http_404") if ends else Agreed(60)
        elif ends:
            follow_up = End(TerminationReason.NETWORK_TERMINATED, verdict == "end")
        settlement = Settlement(lease.claim, through, follow_up=follow_up)
        expected = self.settled(lease, through, (delay, retried) if retries else None, settlement)
        (outcome,) = self.store.claims.settle([settlement])
        assert outcome == expected
        if repeat:
            (again,) = self.store.claims.settle([settlement])
            assert again == ("lost" if expected == "ended" else expected)

    def settled(
        self,
        lease: Lease,
        through: int,
        retry: tuple[int, int] | None,
        settlement: Settlement,
    ) -> str:
        model, follow_up = lease.of, settlement.follow_up
        if model.lease is not lease:
            return "lost"
        if isinstance(follow_up, Agreed | Refused):
            if isinstance(follow_up, Refused) or model.time_is_up(self.now):
                model.cancel(self.now, Status.EXPIRED)
                return "ended"
            model.status, model.outbox, model.due, lease.until = Status.ACTIVE, [], None, 0
            return "active"
        gone = [entry for entry in model.outbox if entry[0] <= through]
        model.outbox = model.outbox[len(gone) :]
        model.forget_dropped()
        if any(reason is not None for _, reason in gone):
            model.finish(self.now)
            return "ended"
        lease.until = 0
        if isinstance(follow_up, End):
            if model.status is Status.ACTIVE:
                model.end(self.now, follow_up.reason, Status.EXPIRED)
            model.outbox = model.outbox[-1:]
            model.due = self.now
            if not follow_up.notify:
                model.finish(self.now)
                return "ended"
            return "due"
        if not model.outbox:
            model.due = None
            return "idle"
        delay, retried = retry or (0, None)
        model.due = self.now + (delay if model.outbox[0][0] == retried else 0)
        return "due"

    # What must always hold

    @invariant()
    def first_posts_are_in_order_and_the_end_is_last(self) -> None:
        for model in self.models:
            firsts = list(dict.fromkeys(model.posts))
            assert firsts == sorted(firsts, key=lambda entry: entry[0])
            ends = [index for index, (_, reason) in enumerate(model.posts) if reason is not None]
            if ends:
                assert len(model.posts) - ends[0] == len(ends)
                assert {model.posts[index][1] for index in ends} == set(model.reasons)
            assert len(model.reasons) <= 1
            if model.maximum is not None:
                assert model.number <= model.maximum + 1 + (model.made.origin is not None)

    @invariant()
    def who_has_not_agreed_is_only_asked(self) -> None:
        for model in self.models:
            if model.asked():
                assert [number for number, _ in model.posts] == [1] * len(model.posts)
                assert model.reasons == []
            if not model.removed:
                fields = self.raw.hmget(P.subscription(model.made.id), "status", "rate", "appended")
                assert fields[0] == model.status
                assert not model.asked() or fields[1:] == [None, "0"]

    @invariant()
    def what_waits_is_due(self) -> None:
        """Nothing can be stuck, and nothing that is over is still looked for."""
        due = set(self.raw.zrange(P.due, 0, -1))
        assert due == {model.made.id for model in self.models if model.due is not None}
        for model in self.models:
            entries = self.raw.lrange(P.outbox(model.made.id), 0, -1)
            waiting = [int(str(entry).split(" ")[0]) for entry in entries]
            assert waiting[-len(model.outbox) :] == [number for number, _ in model.outbox]
            assert bool(waiting) == (model.due is not None)

    @invariant()
    def what_is_kept_is_what_some_outbox_refers_to(self) -> None:
        """With every entry that does. What nobody but nobody holds goes when the sweeper comes by."""
        wanted: dict[str, set[str]] = {}
        for model in self.models:
            for entry in self.raw.lrange(P.outbox(model.made.id), 0, -1):
                if sha := referred_payload(entry):
                    number = entry.partition(" ")[0]
                    wanted.setdefault(sha, set()).add(f"{model.made.id}:{number}")
        kept = {key.rpartition(":")[2]: self.raw.hgetall(key) for key in self.raw.keys(P.payload("*"))}
        assert all(fields.pop("payload") for fields in kept.values())
        damaged = {sha for sha, fields in kept.items() if NOBODY in fields}
        held = {sha: set(fields) - {NOBODY} for sha, fields in kept.items()}
        assert {sha: holders for sha, holders in held.items() if holders} == wanted
        assert {sha for sha, holders in held.items() if not holders} <= damaged
        assert set(self.raw.zrange(P.payloads, 0, -1)) == kept.keys()

    @invariant()
    def what_was_squeezed_out_is_a_dead_letter(self) -> None:
        full: dict[str, int] = {}
        for _, dead_letter in self.raw.xrange(P.dead):
            if dead_letter["reason"] == "outbox_full":
                full[dead_letter["subscription"]] = full.get(dead_letter["subscription"], 0) + 1
        assert full == {model.made.id: model.squeezed_out for model in self.models if model.squeezed_out}

    def teardown(self) -> None:
        """Every subscription is ended; then nothing of them is left."""
        for _ in range(200):
            self.pass_time(4)
            self.sweep()
            for model in self.models:
                self.delete_one(model)
            # All of these ran out, and some were broken by the DELETE.
            for lease in list(self.leases):
                self.settle_one(lease, "next", 0, repeat=False)
            self.claim(3)
            for lease in list(self.leases):
                self.post_of(lease, 3)
                self.settle_one(lease, "next", 0, repeat=False)
            self.first_posts_are_in_order_and_the_end_is_last()
            self.what_waits_is_due()
            self.what_is_kept_is_what_some_outbox_refers_to()
            if all(model.removed for model in self.models):
                break
        # The sweeper looks at holders once a minute, of a few payloads at a time.
        for _ in range(20):
            self.pass_time(7)
            self.sweep()
        assert [key for key in self.raw.keys("*") if self.raw.ttl(key) == -1] == []


@pytest.mark.parametrize(
    "examples", [pytest.param(SHORT, id="short"), pytest.param(LONG, id="long", marks=pytest.mark.slow)]
)
def test_random_steps_keep_the_promises(
    settings: Settings, raw_store: "redis.Redis", examples: profile
) -> None:
    short = dataclasses.replace(
        settings,
        shared_payloads="on",
        retention_s=RETENTION_STEPS * STEP_MS // 1000,
        sink_validation_s=VALIDATION_STEPS * STEP_MS // 1000,
        outbox_length=OUTBOX_LENGTH,
        outbox_age_s=(OUTBOX_AGE_STEPS * STEP_MS - STEP_MS // 2) // 1000,
    )
    client = connect(settings.redis_url)
    machine = type("Machine", (StoreMachine,), {"settings": short, "client": client, "raw": raw_store})
    run_state_machine_as_test(machine, settings=examples)
    client.close()
