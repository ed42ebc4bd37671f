"""An event reaches every outbox that it matches, once."""

import redis

from tests.harness.builders import append, created, invitation, session_status
from tests.store.claiming import P, StoreAt, claim, claim_one, end_reason, now_ms, numbers, settle
from webrtc_events.core.model import EventType, Status
from webrtc_events.store.keys import partition_of
from webrtc_events.store.store import Store


def test_an_event_reaches_every_matching_outbox_and_no_other(store: Store) -> None:
    first, second = created(store), created(store)
    created(store, event_type=EventType.REGISTRATION_ENDS)
    assert append(store, invitation(1)) == [(True, 2)]
    assert {leased.subscription_id for leased in claim(store)} == {first.id, second.id}


def test_the_same_event_again_changes_nothing(store: Store) -> None:
    created(store)
    assert append(store, invitation(1), invitation(1)) == [(True, 1), (False, 0)]
    assert append(store, invitation(1)) == [(False, 0)]
    assert append(store, invitation(1, source="/another")) == [(True, 1)]
    assert numbers(claim_one(store)) == [1, 2]


def test_a_session_status_is_matched_by_session_and_narrowed_by_registration(store: Store) -> None:
    mine = created(store, event_type=EventType.SESSION_STATUS, session="s1")
    elsewhere = next(f"r{n}" for n in range(2, 9999) if partition_of(f"r{n}", 64).number == P.number)
    other = created(store, event_type=EventType.SESSION_STATUS, session="s1", registration=elsewhere)
    assert store.session_index.partitions_of(["s1", "s2"])[1] == []
    assert [partition.number for partition in store.session_index.partitions_of(["s1"])[0]] == [P.number]
    assert append(store, session_status(1), to=P.number) == [(True, 2)]
    assert append(store, session_status(2, registration="r1")) == [(True, 1)]
    assert append(store, session_status(3, session="s2"), to=P.number) == [(True, 0)]
    assert {leased.subscription_id: numbers(leased) for leased in claim(store)} == {
        mine.id: [1, 2],
        other.id: [1],
    }


def test_the_append_that_reaches_the_maximum_queues_the_end(store: Store) -> None:
    made = created(store, max_events=2)
    assert append(store, invitation(1), invitation(2), invitation(3)) == [(True, 1), (True, 1), (True, 0)]
    found = claim_one(store)
    # The end goes alone: after a crash, nothing is sent again behind it.
    assert (numbers(found), end_reason(found)) == ([1, 2], None)
    assert settle(store, found) == "due"
    found = claim_one(store)
    assert (numbers(found), end_reason(found)) == ([3], "MAX_EVENTS_REACHED")
    resource = store.subscriptions.get(made.id)
    assert resource is not None
    assert resource.status is Status.EXPIRED


def test_nothing_is_appended_after_expiry(store: Store, store_at: StoreAt, raw_store: "redis.Redis") -> None:
    created(store, expires_at_ms=now_ms(raw_store) + 60_000)
    assert append(store, invitation(1)) == [(True, 1)]
    # The sweeper has not come by yet.
    assert append(store_at(60), invitation(2)) == [(True, 0)]
