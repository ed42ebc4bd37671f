"""Subscriptions to devices, as the store keeps them."""

import dataclasses
from typing import Any

import pytest
import redis

from tests.harness.builders import all_of
from tests.harness.channels import new_channel
from tests.store.devices import (
    DEVICE,
    HOME,
    OTHER_DEVICE,
    create,
    created_for,
    listening_for,
    registered,
    to_device,
)
from webrtc_events.core.errors import DamagedRecord
from webrtc_events.core.model import (
    EventType,
    ListedSubscription,
    Status,
    Subscription,
    TerminationReason,
)
from webrtc_events.store.device_marks import mark_of
from webrtc_events.store.store import Store
from webrtc_events.store.subscriptions import CreateOutcome

STATUS_AND_END = (EventType.SESSION_STATUS, EventType.REGISTRATION_ENDS)


def test_what_was_made_is_read_back(store: Store) -> None:
    made = to_device(types=STATUS_AND_END, subject="248289761001", max_events=9)
    result = create(store, made)
    read = store.subscriptions.get(made.id)
    assert read == dataclasses.replace(
        made, starts_at_ms=result.now_ms, expires_at_ms=result.expires_at_ms, types=STATUS_AND_END
    )
    assert read is not None
    assert (read.type, read.registration, read.session, read.routing_key) == (
        STATUS_AND_END[0],
        "",
        None,
        DEVICE,
    )
    assert all_of(store) == [ListedSubscription.of(read)]


def test_a_subscription_to_a_registration_asks_for_one_type(store: Store) -> None:
    made = Subscription("i", "app", None, EventType.SESSION_STATUS, "r1", "s1", {}, 0, None, None)
    assert (made.types, made.device, made.routing_key) == ((EventType.SESSION_STATUS,), None, "r1")


def test_it_may_be_made_before_any_registration_of_its_device(limited: Any) -> None:
    store = limited(0, require_known_registration=True)
    assert create(store, to_device()).outcome is CreateOutcome.CREATED


def test_its_record_says_a_format_that_the_release_before_leaves_alone(
    store: Store, raw_store: "redis.Redis"
) -> None:
    made = created_for(store)
    of_channel = listening_for(store, new_channel(store))
    key = HOME.subscription(made.id)
    assert raw_store.hget(key, "format") == "4"
    assert raw_store.hget(HOME.subscription(of_channel.id), "format") == "5"


def test_of_one_client_and_device_there_is_one_index(store: Store, raw_store: "redis.Redis") -> None:
    first, second = created_for(store), created_for(store, types=STATUS_AND_END)
    created_for(store, client="other")
    assert raw_store.smembers(HOME.device(DEVICE, "app")) == {first.id, second.id}
    store.subscriptions.end(
        first.id, TerminationReason.SUBSCRIPTION_DELETED, Status.DELETED, drop_pending=True
    )
    assert raw_store.smembers(HOME.device(DEVICE, "app")) == {second.id}


def test_the_first_one_marks_every_partition(store: Store, raw_store: "redis.Redis") -> None:
    assert not any(raw_store.exists(partition.devices) for partition in store.connection.partitions)
    created_for(store)
    assert all(
        raw_store.getbit(partition.devices, mark_of(DEVICE)) for partition in store.connection.partitions
    )


def test_a_quota_is_of_a_client_and_a_device(limited: Any) -> None:
    store = limited(0, max_registration_subscriptions=2)
    created_for(store)
    created_for(store, types=STATUS_AND_END)
    assert create(store, to_device()).outcome is CreateOutcome.REGISTRATION_QUOTA
    created_for(store, client="other")
    created_for(store, OTHER_DEVICE)


def test_an_initial_event_is_not_waited_for(store: Store, raw_store: "redis.Redis") -> None:
    made = created_for(store, initial_event=True)
    registered(store)
    assert not raw_store.hexists(HOME.subscription(made.id), "initial_pending")
    assert not raw_store.exists(HOME.initial)


@pytest.mark.parametrize("field", ["device", "types"])
def test_a_record_that_lacks_what_it_is_to_is_damaged(
    store: Store, raw_store: "redis.Redis", field: str
) -> None:
    made = created_for(store)
    raw_store.hdel(HOME.subscription(made.id), field)
    with pytest.raises(DamagedRecord) as error:
        store.subscriptions.get(made.id)
    assert error.value.why == f"it lacks its field {field}"
