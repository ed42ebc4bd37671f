"""Steps of the state machine that workers take, and those that damage does."""

from hypothesis import strategies as st
from hypothesis.stateful import (
    rule,
)

from tests.store.machine_clients import ClientSteps
from tests.store.machine_model import LEASE_STEPS, NOBODY, PICK, STEP_MS, VERDICT, Lease, P
from tests.store.machine_steps import when
from webrtc_events.core.model import (
    OutboxKind,
    Status,
    TerminationReason,
)
from webrtc_events.core.outcomes import Agreed, End, Refused, ScheduledRetry
from webrtc_events.store.retries import WaitingRetry
from webrtc_events.store.settlements import Settlement


class WorkerSteps(ClientSteps):
    # What damage does

    @rule()
    def name_a_holder_that_does_not_exist(self) -> None:
        for sha in self.raw.zrange(P.payloads, 0, 0):
            self.raw.hset(P.payload(sha), NOBODY, "")

    # What workers do; one that crashes is a lease that nobody asks for again

    @rule(pick=PICK, count=st.integers(0, 2), verdict=VERDICT, delay=st.integers(1, 4))
    @when(lambda self: self.postable())
    def delete_while_leased(self, pick: int, count: int, verdict: str, delay: int) -> None:
        lease = self.postable()[pick % len(self.postable())]
        self.delete_one(lease.of)
        self.post_of(lease, count)
        self.settle_one(lease, verdict, delay, repeat=False)

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

    @rule(verdict=VERDICT, repeat=st.booleans())
    @when(lambda self: any(model.asked() and (model.due or 0) <= self.now for model in self.models))
    def ask_and_settle(self, verdict: str, repeat: bool) -> None:
        before = list(self.leases)
        self.claim(1)
        for lease in [lease for lease in self.leases if lease not in before]:
            self.post_of(lease, 1)
            self.settle_one(lease, verdict, 1, repeat=repeat)

    @rule(pick=PICK, count=st.integers(1, 3))
    @when(lambda self: self.postable())
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

    @rule(pick=PICK, verdict=VERDICT, delay=st.integers(0, 4), repeat=st.booleans())
    @when(lambda self: self.leases)
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
        self.settlements.append(lease)
        (outcome,) = self.store.claims.settle([settlement])
        assert outcome == expected
        if repeat:
            (again,) = self.store.claims.settle([settlement])
            assert again == ("lost" if expected == "ended" else expected)

    @rule(pick=PICK, other=PICK)
    @when(lambda self: self.settlements)
    def hasten(self, pick: int, other: int) -> None:
        """The host of two subscriptions answers again; what is known of them may be old."""
        leases = [self.settlements[-1 - number % len(self.settlements)] for number in {pick, other}]
        retries = [WaitingRetry(lease.claim.subscription_id, lease.claim.fence) for lease in leases]
        expected = []
        for lease in leases:
            model = lease.of
            waits = model.lease is lease and lease.until == 0 and (model.due or 0) > self.now
            expected.append(waits)
            if waits:
                model.due = self.now
        assert self.store.retries.hasten(retries) == expected

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
