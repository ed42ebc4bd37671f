"""Subscriptions are stored, read and listed."""

import redis

from tests.conftest import kept_keys
from tests.harness.builders import all_of, append, created, invitation, new_subscription
from tests.store.claiming import claim_one, delete, now_ms
from webrtc_events.core.model import ListedSubscription, Status
from webrtc_events.store.store import Store


def test_a_created_subscription_can_be_read_and_listed(store: Store) -> None:
    made = created(store, max_events=3)
    found = store.subscriptions.get(made.id)
    assert found is not None
    assert (found.id, found.client, found.type, found.max_events) == (made.id, "app", made.type, 3)
    assert found.status is Status.ACTIVE
    assert all_of(store) == [ListedSubscription.of(found)]
    assert all_of(store, "other") == []


def test_an_id_that_is_none_is_not_found(store: Store) -> None:
    for unknown in ("", "x", "0" * 32 + "-40", "0" * 32 + "-00", "0" * 32 + "-000", "0" * 31 + "-00"):
        assert store.subscriptions.get(unknown) is None
        assert delete(store, unknown) == "gone"


def test_repeating_a_create_keeps_the_first(store: Store) -> None:
    made = new_subscription()
    first = store.subscriptions.create(made, sink="https://a.example/", headers={}, sealed=None)
    append(store, invitation(1))
    assert store.subscriptions.create(made, sink="https://b.example/", headers={}, sealed=None) == first
    assert claim_one(store).sink == "https://a.example/"


def test_a_subscription_that_would_end_in_the_past_is_not_stored(
    store: Store, raw_store: "redis.Redis"
) -> None:
    made = new_subscription(expires_at_ms=now_ms(raw_store))
    result = store.subscriptions.create(made, sink="https://a.example/", headers={}, sealed=None)
    assert result.outcome == "expired"
    assert kept_keys(raw_store) == ["partitions"]
