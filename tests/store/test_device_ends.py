"""Time ends a registration: the subscriptions to its device hear of it, once, and go on."""

from typing import Any

import pytest
import redis

from tests.harness.builders import created, session_status
from tests.store.claiming import StoreAt, now_ms
from tests.store.devices import (
    DEVICE,
    HOME,
    OTHER_DEVICE,
    accept,
    created_for,
    cut_after,
    end_of,
    outbox,
    registered,
    said,
)
from tests.store.shared_payloads import StoreWith
from webrtc_events.core.model import EventType, Status, Subscription
from webrtc_events.store.device_marks import mark_of
from webrtc_events.store.keys import partition_of
from webrtc_events.store.store import Store

R1 = partition_of("r1", 64)


def expiring(
    store: Store, raw_store: "redis.Redis", registration: str = "r1", *, s: int = 60, **values: Any
) -> None:
    """Registered for so many seconds."""
    end = end_of(registration).payload
    registered(store, registration, expires_at_ms=now_ms(raw_store) + s * 1000, end=end, **values)


def test_time_ends_a_registration_and_its_device_hears_of_it(
    store: Store, store_at: StoreAt, raw_store: "redis.Redis"
) -> None:
    expiring(store, raw_store)
    old = created(store, event_type=EventType.REGISTRATION_ENDS)
    made, alice = created_for(store), created_for(store, subject="alice")
    calls = created_for(store, types=(EventType.SESSION_STATUS,))
    later = store_at(61)
    later.expiry.sweep()
    assert said(raw_store, old) == ["r1", "NETWORK_TERMINATED"]
    assert said(raw_store, made) == said(raw_store, alice) == ["r1"]
    assert outbox(raw_store, made)[0]["registrations"] == ["r1"]
    assert said(raw_store, calls) == []
    assert not raw_store.exists(R1.device_ends)
    later.expiry.sweep()
    assert said(raw_store, made) == ["r1"]
    read = store.subscriptions.get(made.id)
    assert read is not None
    assert read.status is Status.ACTIVE


@pytest.mark.parametrize("lost", ["before", "after"])
def test_what_a_crash_left_the_next_sweep_completes(
    store: Store, store_at: StoreAt, raw_store: "redis.Redis", lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expiring(store, raw_store)
    made = created_for(store)
    later = store_at(61)
    if lost == "before":
        with monkeypatch.context() as patch:
            patch.setattr(later.expiry._device_ends, "settle", lambda _: 0)
            later.expiry.sweep()
    else:
        with cut_after(later, 1):
            later.expiry.sweep()
    assert len(outbox(raw_store, made)) == (0 if lost == "before" else 1)
    assert raw_store.hlen(R1.device_ends) == 1
    store_at(62).expiry.sweep()
    assert said(raw_store, made) == ["r1"]
    assert not raw_store.exists(R1.device_ends)


def test_ends_come_in_the_order_of_their_moments(
    store: Store, store_at: StoreAt, raw_store: "redis.Redis"
) -> None:
    for number in range(9):
        expiring(store, raw_store, f"r{number}", s=60 - number)
    made = created_for(store)
    store_at(61).expiry.sweep()
    assert said(raw_store, made) == [f"r{number}" for number in reversed(range(9))]


def test_the_gateways_own_end_of_what_time_has_ended_is_not_another_one(
    store: Store, store_at: StoreAt, raw_store: "redis.Redis"
) -> None:
    expiring(store, raw_store)
    made = created_for(store)
    later = store_at(61)
    later.expiry.sweep()
    assert accept(later, end_of()) == [(True, 0)]
    assert said(raw_store, made) == ["r1"]


def test_what_the_gateway_has_ended_time_does_not_end_again(
    store: Store, store_at: StoreAt, raw_store: "redis.Redis"
) -> None:
    expiring(store, raw_store)
    made = created_for(store)
    accept(store, end_of())
    store_at(61).expiry.sweep()
    assert said(raw_store, made) == ["r1"]


def test_a_registration_that_comes_back_ends_again(
    store: Store, store_at: StoreAt, raw_store: "redis.Redis"
) -> None:
    expiring(store, raw_store)
    made = created_for(store)
    store_at(61).expiry.sweep()
    expiring(store, raw_store, s=120)
    accept(store, session_status(1, registration="r1"))
    store_at(121).expiry.sweep()
    assert said(raw_store, made) == ["r1", "Ringing", "r1"]


def test_one_that_moved_or_was_deleted_before_its_moment_does_not_end_there(
    store: Store, store_at: StoreAt, raw_store: "redis.Redis"
) -> None:
    expiring(store, raw_store, "r1")
    expiring(store, raw_store, "r2")
    former, latter = created_for(store), created_for(store, OTHER_DEVICE)
    expiring(store, raw_store, "r1", device=OTHER_DEVICE)
    store.registrations.delete("r2")
    store_at(61).expiry.sweep()
    assert (said(raw_store, former), said(raw_store, latter)) == ([], ["r1"])


def test_a_note_outlives_its_registration(store: Store, store_at: StoreAt, raw_store: "redis.Redis") -> None:
    expiring(store, raw_store)
    made = created_for(store)
    later = store_at(61)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(later.expiry._device_ends, "settle", lambda _: 0)
        later.expiry.sweep()
    store.registrations.delete("r1")
    later.expiry.sweep()
    assert said(raw_store, made) == ["r1"]


def test_where_there_is_no_device_nothing_is_noted(
    store: Store, store_at: StoreAt, raw_store: "redis.Redis"
) -> None:
    expiring(store, raw_store)
    later = store_at(61)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(later.expiry._device_ends, "settle", lambda notes: int(any(notes.values())))
        later.expiry.sweep()
    assert not raw_store.exists(R1.device_ends)


def test_more_than_a_sweep_takes_are_all_told(
    store: Store, store_at: StoreAt, raw_store: "redis.Redis"
) -> None:
    names = [name for name in (f"r{number}" for number in range(3000)) if partition_of(name, 64).number == 3]
    for name in names:
        expiring(store, raw_store, name)
    made = created_for(store)
    later = store_at(61)
    while later.expiry.sweep(10):
        pass
    assert sorted(said(raw_store, made)) == sorted(names)


def test_a_note_that_cannot_be_read_is_dropped_and_others_are_told(
    store: Store, store_at: StoreAt, raw_store: "redis.Redis", caplog: pytest.LogCaptureFixture
) -> None:
    expiring(store, raw_store)
    made = created_for(store)
    raw_store.hset(R1.device_ends, mapping={"x r1": "{}", "7 r2": "{", "8 r3": '{"device":1}'})
    store_at(61).expiry.sweep()
    assert said(raw_store, made) == ["r1"]
    assert not raw_store.exists(R1.device_ends)
    assert f"damaged record={R1.device_ends}: a note for the device" in caplog.text


def test_what_stands_in_place_of_the_notes_is_set_aside(
    store: Store, store_at: StoreAt, raw_store: "redis.Redis"
) -> None:
    expiring(store, raw_store)
    made = created_for(store)
    raw_store.set(R1.device_ends, "?")
    store_at(61).expiry.sweep()
    assert said(raw_store, made) == ["r1"]
    assert raw_store.get(f"set-aside:{R1.device_ends}") == "?"


@pytest.mark.parametrize(("untold", "told"), [("r1", "r2"), ("r2", "r1")])
def test_a_device_that_cannot_be_told_does_not_keep_the_news_from_others(
    store: Store, store_at: StoreAt, raw_store: "redis.Redis", untold: str, told: str
) -> None:
    expiring(store, raw_store, untold)
    expiring(store, raw_store, told, device=OTHER_DEVICE)
    newer, made = created_for(store), created_for(store, OTHER_DEVICE)
    raw_store.hset(HOME.subscription(newer.id), "format", "6")
    later = store_at(61)
    later.expiry.sweep()
    assert said(raw_store, made) == [told]
    raw_store.hset(HOME.subscription(newer.id), "format", "4")
    later.expiry.sweep()
    assert said(raw_store, newer) == [untold]


def test_a_device_that_cannot_be_told_does_not_keep_marks_from_being_set_again(
    store: Store, store_at: StoreAt, raw_store: "redis.Redis"
) -> None:
    expiring(store, raw_store)
    made = created_for(store)
    raw_store.hset(HOME.subscription(made.id), "format", "6")
    elsewhere = partition_of("r2", 64)
    raw_store.delete(elsewhere.devices)
    store_at(61).expiry.sweep()
    assert raw_store.hlen(R1.device_ends) == 1
    assert raw_store.getbit(elsewhere.devices, mark_of(DEVICE)) == 1


def test_one_that_is_made_just_after_the_store_was_emptied_has_its_events(
    store: Store, store_with: StoreWith, raw_store: "redis.Redis"
) -> None:
    """The process that makes it knows that it set the marks, a moment ago."""
    created_for(store)
    for partition in store.connection.partitions:
        raw_store.delete(partition.devices)
    made = created_for(store)
    store_with().expiry.sweep()
    registered(store)
    assert accept(store, session_status(1, registration="r1")) == [(True, 2)]
    assert len(outbox(raw_store, made)) == 1


def test_a_part_of_the_store_that_lost_its_mark_has_it_again(
    store: Store, store_with: StoreWith, raw_store: "redis.Redis"
) -> None:
    made: Subscription = created_for(store)
    registered(store)
    raw_store.delete(R1.devices)
    assert accept(store, session_status(1, registration="r1")) == [(True, 0)]
    store_with().expiry.sweep()
    assert accept(store, session_status(2, registration="r1")) == [(True, 1)]
    assert len(outbox(raw_store, made)) == 1
    assert made.device == DEVICE
