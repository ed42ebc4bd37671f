"""Events reach the subscriptions to the device of their registration, once and in order."""

import dataclasses
from typing import Any

import pytest
import redis

from tests.harness.builders import append, created, invitation, session_status
from tests.store.claiming import StoreAt, now_ms
from tests.store.devices import (
    ALL_TYPES,
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
from webrtc_events.core.errors import NewerRelease, Unavailable
from webrtc_events.core.model import NetworkEvent, Status, TerminationReason
from webrtc_events.store.keys import partition_of
from webrtc_events.store.store import Store

INVITATION, STATUS, ENDS = ALL_TYPES


def status(number: int, registration: str | None = "r1", **values: Any) -> NetworkEvent:
    return session_status(number, registration=registration, **values)


def test_events_of_a_registration_reach_the_subscriptions_to_its_device_in_order(
    store: Store, raw_store: "redis.Redis"
) -> None:
    made = created_for(store)
    registered(store)
    events = [invitation(1), status(2), status(3, status="Terminated"), end_of()]
    assert accept(store, *events) == [(True, 1)] * 4
    assert said(raw_store, made) == ["Initial", "Ringing", "Terminated", "r1"]
    assert [payload["registrations"] for payload in outbox(raw_store, made)] == [["r1"]] * 4
    read = store.subscriptions.get(made.id)
    assert read is not None
    assert read.status is Status.ACTIVE


def test_both_contracts_are_served_from_one_event(store: Store, raw_store: "redis.Redis") -> None:
    registered(store)
    old = created(store, event_type=STATUS, session="s1")
    new = created_for(store)
    assert accept(store, status(1), status(2, status="Connected")) == [(True, 2)] * 2
    assert said(raw_store, old) == said(raw_store, new) == ["Ringing", "Connected"]
    assert accept(store, status(1)) == [(False, 0)]


def test_only_types_that_were_asked_for_arrive(store: Store, raw_store: "redis.Redis") -> None:
    registered(store)
    of_calls = created_for(store, types=(INVITATION, STATUS))
    of_ends = created_for(store, types=(ENDS,))
    assert accept(store, invitation(1), status(2), end_of()) == [(True, 1)] * 3
    assert said(raw_store, of_calls) == ["Initial", "Ringing"]
    assert said(raw_store, of_ends) == ["r1"]


def test_a_device_may_have_several_registrations(store: Store, raw_store: "redis.Redis") -> None:
    made = created_for(store)
    registered(store, "r1")
    registered(store, "r2", DEVICE.upper())
    registered(store, "r3", OTHER_DEVICE)
    accept(store, status(1, "r1"), status(2, "r2"), status(3, "r3"), end_of("r1"), status(4, "r2"))
    assert [payload["registrations"] for payload in outbox(raw_store, made)] == [
        ["r1"],
        ["r2"],
        ["r1"],
        ["r2"],
    ]


@pytest.mark.parametrize(
    ("client", "subject", "owner", "of", "hears"),
    [
        ("app", None, "app", None, True),
        ("app", None, "app", "alice", True),
        ("app", "alice", "app", "alice", True),
        ("app", "alice", "app", None, True),
        ("app", "alice", "app", "bob", False),
        ("app", None, "another", None, False),
        ("app", "alice", "another", "alice", False),
    ],
)
def test_the_owner_of_the_registration_listens_and_nobody_else(
    store: Store,
    raw_store: "redis.Redis",
    client: str,
    subject: str | None,
    owner: str,
    of: str | None,
    hears: bool,
) -> None:
    made = created_for(store, client=client, subject=subject)
    registered(store, owner=owner, subject=of)
    accept(store, status(1))
    assert len(outbox(raw_store, made)) == int(hears)


def test_of_an_unknown_registration_nobody_hears_by_a_device(store: Store, raw_store: "redis.Redis") -> None:
    made = created_for(store)
    assert accept(store, status(1)) == [(True, 0)]
    # That is how it was when the event was new: what comes later does not make it older than what it follows.
    registered(store)
    assert accept(store, status(2), status(1)) == [(True, 1), (False, 0)]
    assert [payload["data"]["sequenceNumber"] for payload in outbox(raw_store, made)] == [2]


def test_a_repeat_is_for_the_device_that_the_registration_was_of(
    store: Store, raw_store: "redis.Redis"
) -> None:
    former, latter = created_for(store), created_for(store, OTHER_DEVICE)
    registered(store)
    # As if the process had died in between.
    assert append(store, status(1)) == [(True, 0)]
    registered(store, device=OTHER_DEVICE)
    assert accept(store, status(1)) == [(True, 1)]
    assert (said(raw_store, former), said(raw_store, latter)) == (["Ringing"], [])


@pytest.mark.parametrize("kept", ["?", "7", "null", '{"a":1}', "[1]", '["d",2,3]', '[{"a":1},"b","c"]'])
def test_what_cannot_be_read_of_a_repeat_costs_no_other_event(
    store: Store, raw_store: "redis.Redis", kept: str
) -> None:
    made = created_for(store)
    registered(store)
    accept(store, status(1))
    (seen,) = raw_store.keys(f"{partition_of('r1', 64).tag}:seen:*")
    raw_store.set(seen, kept)
    assert accept(store, status(1), status(2)) == [(False, 0), (True, 1)]
    assert len(outbox(raw_store, made)) == 2


def test_a_registration_that_moves_takes_its_events_along(store: Store, raw_store: "redis.Redis") -> None:
    former, latter = created_for(store), created_for(store, OTHER_DEVICE)
    registered(store)
    accept(store, status(1))
    registered(store, device=OTHER_DEVICE)
    accept(store, status(2, status="Connected"))
    assert (said(raw_store, former), said(raw_store, latter)) == (["Ringing"], ["Connected"])


def test_a_deleted_registration_is_of_no_device(store: Store, raw_store: "redis.Redis") -> None:
    made = created_for(store)
    registered(store)
    store.registrations.delete("r1")
    assert accept(store, status(1), end_of()) == [(True, 0)] * 2
    assert said(raw_store, made) == []


@pytest.mark.parametrize("cut", [1, 2])
def test_a_repeat_completes_what_a_crash_left(store: Store, raw_store: "redis.Redis", cut: int) -> None:
    registered(store)
    registered(store, "r2")
    old = created(store, event_type=STATUS, session="s1")
    new = created_for(store)
    events = [status(1), status(2, "r2", status="Connected"), status(3, status="Terminated")]
    with cut_after(store, cut), pytest.raises(Unavailable):
        store.events.accept(events)
    assert len(outbox(raw_store, new)) == (0 if cut == 1 else 3)
    accept(store, *events)
    assert said(raw_store, old) == ["Ringing", "Terminated"]
    assert said(raw_store, new) == ["Ringing", "Connected", "Terminated"]
    assert accept(store, *events) == [(False, 0)] * 3


def test_an_event_without_subject_is_for_whom_its_session_involves(
    store: Store, raw_store: "redis.Redis"
) -> None:
    registered(store, "r1")
    registered(store, "r2", OTHER_DEVICE)
    registered(store, "r3", "3f2504e0-4f89-41d3-9a0c-0305e82c3301")
    first, second = created_for(store), created_for(store, OTHER_DEVICE)
    third = created_for(store, "3f2504e0-4f89-41d3-9a0c-0305e82c3301")
    accept(store, status(1, "r1"), status(2, "r2"))
    assert accept(store, status(3, None, status="Connected")) == [(True, 2)]
    assert accept(store, status(3, None, status="Connected")) == [(False, 0)]
    assert (said(raw_store, first), said(raw_store, second)) == (["Ringing", "Connected"],) * 2
    assert said(raw_store, third) == []


def test_an_event_of_both_parties_on_one_device_is_appended_once(
    store: Store, raw_store: "redis.Redis"
) -> None:
    registered(store, "r1", subject="alice")
    registered(store, "r2", subject="bob")
    registered(store, "r3", owner="another")
    anybody = created_for(store)
    alice, bob = created_for(store, subject="alice"), created_for(store, subject="bob")
    carol, another = created_for(store, subject="carol"), created_for(store, client="another")
    accept(store, status(1, "r1"), status(2, "r2"), status(3, "r3"))
    assert accept(store, status(4, None, status="Connected")) == [(True, 4)]
    assert said(raw_store, anybody) == ["Ringing", "Ringing", "Connected"]
    assert outbox(raw_store, anybody)[-1]["registrations"] == ["r1", "r2"]
    assert [said(raw_store, made) for made in (alice, bob, another)] == [["Ringing", "Connected"]] * 3
    assert said(raw_store, carol) == []


def test_an_event_that_names_nobody_says_so(store: Store) -> None:
    created_for(store)
    registered(store)
    (nobody,) = store.events.accept([status(1, None, session="s9")])
    assert (nobody.new, nobody.subscriptions, nobody.names_nobody) == (True, 0, True)
    named, led = store.events.accept([status(2), status(3, None)])
    assert not named.names_nobody
    assert (led.names_nobody, led.subscriptions) == (False, 1)


def test_sequence_numbers_are_counted_per_subscription_and_session(store: Store) -> None:
    registered(store)
    registered(store, "r2")
    created_for(store)
    unnumbered = [
        dataclasses.replace(event, numbered=False)
        for event in (invitation(1), status(2), status(3, "r2"), status(4, session="s2"))
    ]
    accept(store, *unnumbered)
    (claim,) = store.claims.claim([HOME], subscriptions=10, events=8)
    assert [item.sequence for item in claim.items] == [1, 2, 3, 1]
    assert (claim.device, claim.registration, claim.session) == (DEVICE, "", "")


def test_a_maximum_ends_it_and_a_session_does_not(store: Store, raw_store: "redis.Redis") -> None:
    registered(store)
    made = created_for(store, max_events=2)
    lasting = created_for(store)
    accept(store, status(1, status="Terminated"), status(2), status(3))
    assert said(raw_store, made) == ["Terminated", "Ringing", "MAX_EVENTS_REACHED"]
    assert raw_store.hget(HOME.subscription(lasting.id), "linger_at") is None
    assert raw_store.smembers(HOME.device(DEVICE, "app")) == {lasting.id}


@pytest.mark.parametrize("moment", ["expired", "ended", "unanswered"])
def test_nothing_is_appended_to_one_that_takes_no_events(
    store: Store, store_at: StoreAt, raw_store: "redis.Redis", moment: str
) -> None:
    registered(store)
    values: dict[str, Any] = {
        "expired": {"expires_at_ms": now_ms(raw_store) + 60_000},
        "unanswered": {"origin": "https://events.example.com"},
        "ended": {},
    }[moment]
    made = created_for(store, **values)
    if moment == "ended":
        store.subscriptions.end(
            made.id, TerminationReason.SUBSCRIPTION_DELETED, Status.DELETED, drop_pending=True
        )
    assert accept(store_at(60), status(1)) == [(True, 0)]


def test_an_explicit_end_after_that_of_time_is_the_registrations_second(
    store: Store, raw_store: "redis.Redis"
) -> None:
    registered(store)
    made = created_for(store)
    assert accept(store, end_of("r1", 1), end_of("r1", 2)) == [(True, 1), (True, 0)]
    assert accept(store, end_of("r1", 1)) == [(False, 0)]
    registered(store)
    assert accept(store, end_of("r1", 3)) == [(True, 1)]
    assert said(raw_store, made) == ["r1", "r1"]


def test_the_store_asks_no_more_of_an_event_while_there_is_no_device(
    store: Store, raw_store: "redis.Redis"
) -> None:
    registered(store)
    created(store, event_type=STATUS, session="s1")
    (result,) = store.events.accept([status(1)])
    assert result.device is None
    partition = partition_of("r1", 64)
    assert raw_store.get(partition.seen("/gateway", "e1")) == "1"


def test_a_payload_is_kept_once_for_many(store_with: StoreWith, raw_store: "redis.Redis") -> None:
    store = store_with(shared_payloads="on")
    registered(store)
    made = [created_for(store) for _ in range(20)]
    long = dataclasses.replace(status(1), payload=status(1).payload.replace("Ringing", "R" * 9000))
    assert accept(store, long) == [(True, 20)]
    assert len(raw_store.keys(HOME.payload("*"))) == 1
    assert raw_store.hget(HOME.subscription(made[0].id), "format") == "4"
    (claim, *_) = store.claims.claim([HOME], subscriptions=20, events=8)
    assert "R" * 9000 in claim.items[0].payload


def test_an_event_for_many_is_cut_and_a_repeat_goes_on(
    store_with: StoreWith, raw_store: "redis.Redis"
) -> None:
    store = store_with(work=4)
    registered(store)
    made = [created_for(store) for _ in range(25)]
    with cut_after(store, 4), pytest.raises(Unavailable):
        store.events.accept([status(1), status(2, status="Connected")])
    some = sum(len(outbox(raw_store, one)) for one in made)
    assert 0 < some < 25
    assert accept(store, status(1), status(2, status="Connected")) == [(True, 25)] * 2
    assert [said(raw_store, one) for one in made] == [["Ringing", "Connected"]] * 25


def test_above_the_watermark_an_event_is_refused_and_a_repeat_completes_it(
    store: Store, raw_store: "redis.Redis"
) -> None:
    registered(store)
    made = created_for(store)
    append(store, status(1))
    limits = [node.client for node in store.client.nodes.all()]
    for node in limits:
        node.config_set("maxmemory", 1)
    try:
        with pytest.raises(Unavailable):
            store.events.accept([status(1)])
    finally:
        for node in limits:
            node.config_set("maxmemory", 0)
    assert accept(store, status(1)) == [(True, 1)]
    assert said(raw_store, made) == ["Ringing"]


def test_a_damaged_registration_is_reported_and_is_of_no_device(
    store: Store, raw_store: "redis.Redis"
) -> None:
    registered(store)
    created_for(store)
    raw_store.hdel(partition_of("r1", 64).registration_record("r1"), "device")
    assert accept(store, status(1)) == [(True, 0)]
    raw_store.delete(partition_of("r1", 64).registration_record("r1"))
    raw_store.set(partition_of("r1", 64).registration_record("r1"), "x")
    assert accept(store, status(2), status(3, None)) == [(True, 0)] * 2


@pytest.mark.parametrize(
    ("field", "value"), [("device", "another"), ("client", "another"), ("types", None), ("status", "?")]
)
def test_a_damaged_subscription_is_passed_over(
    store: Store, raw_store: "redis.Redis", field: str, value: str | None
) -> None:
    registered(store)
    damaged, well = created_for(store), created_for(store)
    key = HOME.subscription(damaged.id)
    if value is None:
        raw_store.hdel(key, field)
    else:
        raw_store.hset(key, field, value)
    assert accept(store, status(1)) == [(True, 1)]
    assert said(raw_store, well) == ["Ringing"]


def test_what_a_newer_release_wrote_refuses_the_event(store: Store, raw_store: "redis.Redis") -> None:
    registered(store)
    made = created_for(store)
    raw_store.hset(HOME.subscription(made.id), "format", "6")
    with pytest.raises(NewerRelease):
        store.events.accept([status(1)])
    raw_store.hset(HOME.subscription(made.id), "format", "4")
    raw_store.hset(partition_of("r1", 64).registration_record("r1"), "format", "6")
    for event in (status(2), status(3, None)):
        with pytest.raises(NewerRelease):
            store.events.accept([event])


def test_who_comes_later_gets_nothing_of_before(store: Store, raw_store: "redis.Redis") -> None:
    registered(store)
    created_for(store, client="other")
    assert accept(store, status(1), status(1)) == [(True, 0), (False, 0)]
    made = created_for(store)
    assert accept(store, status(2, status="Connected"), status(1)) == [(True, 1), (False, 0)]
    assert said(raw_store, made) == ["Connected"]


def test_an_event_twice_in_one_request_is_appended_once(store: Store, raw_store: "redis.Redis") -> None:
    registered(store)
    made = created_for(store)
    assert accept(store, status(1), status(1)) == [(True, 1), (False, 0)]
    assert accept(store, status(2), status(2)) == [(True, 1), (False, 0)]
    assert said(raw_store, made) == ["Ringing", "Ringing"]


def test_a_device_is_appended_to_again_once_somebody_listens_again(
    store: Store, raw_store: "redis.Redis"
) -> None:
    registered(store)
    former = created_for(store)
    accept(store, status(1))
    store.subscriptions.end(
        former.id, TerminationReason.SUBSCRIPTION_DELETED, Status.DELETED, drop_pending=True
    )
    assert accept(store, status(2), status(3)) == [(True, 0)] * 2
    made = created_for(store)
    assert accept(store, status(4), status(2)) == [(True, 1), (False, 0)]
    assert len(said(raw_store, made)) == 1
