"""What a partition of the store must hold, as plain lists: subscriptions, outboxes, leases."""

from dataclasses import dataclass, field

from hypothesis import HealthCheck
from hypothesis import settings as profile
from hypothesis import strategies as st

from webrtc_events.core.model import (
    Claim,
    NetworkEvent,
    Status,
    Subscription,
    TerminationReason,
)
from webrtc_events.store.keys import partition_of

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
    max_examples=100, stateful_step_count=80, deadline=None, suppress_health_check=list(HealthCheck)
)
SHORT = profile(LONG, max_examples=8, stateful_step_count=40)
# Fewer than a store has: each sweep goes through all of them, and a game has events in one. More than a batch
# of a sweep, and that one is not written alike in decimal and hexadecimal.
PARTITIONS = 11
P = partition_of("r1", PARTITIONS)
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
