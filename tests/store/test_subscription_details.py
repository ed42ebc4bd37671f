"""What an operator is shown of one subscription, damaged or not."""

import json
from collections.abc import Callable

import pytest
import redis

from tests.harness.builders import append, created, created_with_token, invitation
from webrtc_events.core.model import Status, TerminationReason
from webrtc_events.core.settings import Settings
from webrtc_events.store.keys import new_subscription_id, partition_of
from webrtc_events.store.recent_attempts import recent_attempts
from webrtc_events.store.settlements import DroppedEvent, Settlement
from webrtc_events.store.store import Store
from webrtc_events.store.subscription_details import OutboxState, SubscriptionDetails, read_details

P = partition_of("r1", 64)


def details(store: Store, subscription_id: str) -> SubscriptionDetails:
    found = read_details(store, subscription_id)
    assert found is not None
    return found


def test_an_outbox_has_its_length_its_bytes_and_the_age_of_its_oldest(
    store: Store, raw_store: "redis.Redis"
) -> None:
    made = created(store)
    assert details(store, made.id).outbox == OutboxState(0, 0, None)
    append(store, invitation(1), invitation(2))
    found = details(store, made.id)
    entries = raw_store.lrange(P.outbox(made.id), 0, -1)
    assert (found.outbox.length, found.outbox.size) == (2, sum(map(len, entries)))
    assert found.outbox.oldest_ms == int(entries[0].split()[2])
    assert found.accepted == 2
    assert found.due_at_ms is not None
    assert found.due_at_ms <= found.now_ms


def test_one_that_never_failed_has_no_failed_attempt(store: Store) -> None:
    """Its record does not say so (record_defaults.py)."""
    assert details(store, created(store).id).failed_attempts == 0


def test_a_size_that_was_not_kept_up_to_date_is_not_known(store: Store, raw_store: "redis.Redis") -> None:
    made = created(store)
    append(store, invitation(1))
    raw_store.hset(P.subscription(made.id), "outbox_size", "7 100")
    assert details(store, made.id).outbox.size is None


def test_a_lease_and_an_end_are_there(store: Store, settings: Settings) -> None:
    made = created_with_token(store, settings)
    append(store, invitation(1))
    store.claims.claim([P], subscriptions=1, events=8)
    store.subscriptions.end(made.id, TerminationReason.NETWORK_TERMINATED, Status.EXPIRED, drop_pending=False)
    found = details(store, made.id)
    assert found.leased_until_ms is not None
    assert found.leased_until_ms > found.now_ms
    assert (found.end_reason, found.ended_at_ms) == ("NETWORK_TERMINATED", None)
    assert found.token_expires_at_ms == 4_000_000_000_000
    assert found.record is not None
    assert found.record.status is Status.EXPIRED


@pytest.mark.parametrize("garbled", [b"", b"many", b"9" * 400, b"1e300", b"-7", b"\xff\xfe\x00\x80"])
def test_what_is_damaged_is_left_out_and_no_more(
    store: Store, raw_store: "redis.Redis", garbled: bytes
) -> None:
    made = created(store)
    fields = ("appended", "attempts", "failing_since", "lease_until", "outbox_size", "token_expires_at")
    raw_store.hset(P.subscription(made.id), mapping=dict.fromkeys(fields, garbled))
    raw_store.rpush(P.outbox(made.id), garbled)
    found = details(store, made.id)
    assert found.record is not None
    assert found.outbox == OutboxState(1, None, None)
    assert found.failed_attempts in (None, 253_402_300_799_999)


def test_keys_of_another_type_are_named(store: Store, raw_store: "redis.Redis") -> None:
    made = created(store)
    for key in (P.subscription(made.id), P.outbox(made.id), P.due, P.ends):
        raw_store.delete(key)
        raw_store.set(key, "x")
    found = details(store, made.id)
    assert (found.record, found.fault) == (None, "it is a key of another type")
    assert (found.outbox, found.due_at_ms, found.ends_at_ms) == (OutboxState(0, 0, None), None, None)


def test_a_newer_release_is_named(store: Store, raw_store: "redis.Redis") -> None:
    made = created(store)
    raw_store.hset(P.subscription(made.id), "format", "77")
    assert details(store, made.id).fault == "a newer release wrote it"


@pytest.mark.parametrize(
    "subscription_id", ["nothing", new_subscription_id(P)], ids=["no id", "no subscription"]
)
def test_one_that_is_not_there_is_none(store: Store, subscription_id: str) -> None:
    assert read_details(store, subscription_id) is None
    assert recent_attempts(store, subscription_id, 5) == []


def test_a_deleted_one_is_none(store: Store) -> None:
    made = created(store)
    append(store, invitation(1))
    store.subscriptions.end(
        made.id, TerminationReason.SUBSCRIPTION_DELETED, Status.DELETED, drop_pending=False
    )
    assert read_details(store, made.id) is None


Attempted = Callable[..., None]


@pytest.fixture
def attempted(store: Store) -> Attempted:
    """Claims the subscription's events and drops them, each after an attempt."""

    def attempt(subscription_id: str, *numbers: int) -> None:
        (claim,) = store.claims.claim([P], subscriptions=1, events=8)
        assert claim.subscription_id == subscription_id
        attempts = [
            {
                "event": f"{subscription_id}.{number}",
                "type": "session-invitation",
                "attempt": number,
                "outcome": "drop",
                "reason": "refused",
                "status": 404,
                "ms": 10 * number,
                "at": claim.now_ms,
                "correlator": f"c{number}",
            }
            for number in numbers
        ]
        dead = tuple(DroppedEvent(number, "refused", "") for number in numbers)
        store.claims.settle([Settlement(claim, numbers[-1], dead=dead, attempts=tuple(attempts))])

    return attempt


def test_attempts_of_a_subscription_come_newest_first(store: Store, attempted: Attempted) -> None:
    made = created(store)
    append(store, invitation(1), invitation(2), invitation(3))
    attempted(made.id, 1, 2, 3)
    found = recent_attempts(store, made.id, 2)
    assert [(attempt.attempt, attempt.ms, attempt.status) for attempt in found] == [
        (3, 30, 404),
        (2, 20, 404),
    ]


def test_attempts_of_others_and_unreadable_ones_are_passed_over(
    store: Store, raw_store: "redis.Redis", attempted: Attempted
) -> None:
    made, other = created(store), new_subscription_id(P)
    append(store, invitation(1))
    attempted(made.id, 1)
    broken = {"event": "x", "at": "soon", "attempt": [], "outcome": 1, "reason": None, "status": {}, "ms": -1}
    for subscription_id, attempt in (
        (other, "{}"),
        (made.id, "{"),
        (made.id, json.dumps(broken | {"correlator": 1})),
    ):
        raw_store.xadd(P.attempts, {"subscription": subscription_id, "attempt": attempt})
    assert [attempt.attempt for attempt in recent_attempts(store, made.id, 5)] == [1]


def test_only_the_latest_of_a_partition_are_looked_at(store: Store, raw_store: "redis.Redis") -> None:
    made, other = created(store), new_subscription_id(P)
    pipe = raw_store.pipeline()
    pipe.xadd(P.attempts, {"subscription": made.id, "attempt": "{}"})
    for _ in range(1_100):
        pipe.xadd(P.attempts, {"subscription": other, "attempt": "{}"})
    pipe.execute()
    assert recent_attempts(store, made.id, 5) == []
