"""A run of a script for several partitions, or sessions: each is served as if it were alone."""

import dataclasses

import pytest
import redis

from tests.harness.builders import created, invitation, session_status
from webrtc_events.core.errors import NewerRelease
from webrtc_events.core.model import EventType
from webrtc_events.core.settings import Settings
from webrtc_events.store.keys import Partition, partition_of, session_state_key
from webrtc_events.store.script_options import StoreOptions
from webrtc_events.store.store import Store

# Each in another partition.
REGISTRATIONS = ("r1", "r2", "r3", "r4")
PARTITIONS = {registration: partition_of(registration, 64) for registration in REGISTRATIONS}


def accept(store: Store, first: int, count: int = 1) -> list[tuple[bool, int]]:
    """That many events of each registration."""
    events = [
        dataclasses.replace(invitation(number, registration=registration), session=f"s-{registration}")
        for number in range(first, first + count)
        for registration in REGISTRATIONS
    ]
    return [(result.new, result.subscriptions) for result in store.events.accept(events)]


def waiting(raw_store: "redis.Redis", partition: Partition, subscription_id: str) -> int:
    return int(raw_store.llen(partition.outbox(subscription_id)))


def runs(raw_store: "redis.Redis") -> int:
    return int(raw_store.info("commandstats")["cmdstat_evalsha"]["calls"])


def test_the_registrations_are_of_different_partitions() -> None:
    assert len(set(PARTITIONS.values())) == len(REGISTRATIONS)


def test_each_partition_gets_its_events_in_order_and_once(store: Store, raw_store: "redis.Redis") -> None:
    made = {registration: created(store, registration=registration) for registration in REGISTRATIONS}
    assert accept(store, 1, 3) == [(True, 1)] * 12
    assert accept(store, 2, 3) == [(False, 0)] * 8 + [(True, 1)] * 4
    for registration, subscription in made.items():
        entries = raw_store.lrange(PARTITIONS[registration].outbox(subscription.id), 0, -1)
        assert [f'"sequenceNumber": {number}' in entry for number, entry in enumerate(entries, 1)] == [
            True
        ] * 4
        assert raw_store.hget(PARTITIONS[registration].subscription(subscription.id), "appended") == "4"


def test_where_there_are_no_slots_all_are_in_one_run(store: Store, raw_store: "redis.Redis") -> None:
    accept(store, 1)
    if store.client.nodes.has_slots:
        pytest.skip("a cluster has slots")
    before = runs(raw_store)
    accept(store, 2)
    assert runs(raw_store) - before == 2


def test_what_a_newer_release_wrote_stops_its_own_partition_only(
    store: Store, raw_store: "redis.Redis"
) -> None:
    made = {registration: created(store, registration=registration) for registration in REGISTRATIONS}
    newer = PARTITIONS["r2"].subscription(made["r2"].id)
    raw_store.hset(newer, "format", 99)
    with pytest.raises(NewerRelease):
        accept(store, 1)
    found = {name: waiting(raw_store, PARTITIONS[name], made[name].id) for name in REGISTRATIONS}
    assert found == {"r1": 1, "r2": 0, "r3": 1, "r4": 1}
    raw_store.hset(newer, "format", 1)
    assert accept(store, 1) == [(False, 0), (True, 1), (False, 0), (False, 0)]


def test_damage_is_reported_for_its_partition_and_others_go_on(
    store: Store, raw_store: "redis.Redis", caplog: pytest.LogCaptureFixture
) -> None:
    made = {registration: created(store, registration=registration) for registration in REGISTRATIONS}
    raw_store.hset(PARTITIONS["r1"].subscription(made["r1"].id), "status", "odd")
    raw_store.hset(PARTITIONS["r3"].subscription(made["r3"].id), "max_events", "odd")
    assert accept(store, 1) == [(True, 0), (True, 1), (True, 0), (True, 1)]
    assert made["r1"].id in caplog.text
    assert made["r3"].id in caplog.text
    assert made["r2"].id not in caplog.text


def test_what_a_run_may_go_through_is_for_all_of_its_partitions(
    settings: Settings, raw_store: "redis.Redis"
) -> None:
    """What it does not get to follows in runs of a partition each."""
    store = Store.connect(settings, StoreOptions(work=2))
    for registration in REGISTRATIONS:
        for _ in range(3):
            created(store, registration=registration)
    assert accept(store, 1, 2) == [(True, 3)] * 8
    assert accept(store, 1, 2) == [(False, 0)] * 8
    assert raw_store.keys("*lacking*") == []
    store.close()


def test_a_cluster_that_was_taken_for_a_single_server_is_found_out(store: Store) -> None:
    has_slots = store.client.nodes.has_slots
    for registration in REGISTRATIONS:
        created(store, registration=registration)
    store.client.nodes.has_slots = False
    assert accept(store, 1) == [(True, 1)] * 4
    assert store.client.nodes.has_slots == has_slots
    assert accept(store, 1) == [(False, 0)] * 4


def test_states_of_many_sessions_are_recorded_each_for_itself(store: Store, raw_store: "redis.Redis") -> None:
    first = [session_status(number, session=f"s{number}", registration="r1") for number in range(120)]
    again = session_status(1, session="s1", registration="r2")
    store.session_states.record([*first, again])
    unnamed = [session_status(number, session=f"s{number}") for number in (1, 2)]
    found = store.session_states.record(unnamed)
    assert [sorted(registrations) for registrations in found] == [["r1", "r2"], ["r1"]]
    for number in range(120):
        fields = raw_store.hgetall(session_state_key(f"s{number}"))
        assert fields["name"] == f"/gateway e{number}"
        assert raw_store.ttl(session_state_key(f"s{number}")) > 0


def test_a_state_of_another_type_is_set_aside_and_others_are_recorded(
    store: Store, raw_store: "redis.Redis"
) -> None:
    raw_store.set(session_state_key("s1"), "odd")
    store.session_states.record([session_status(n, session=f"s{n}", registration="r1") for n in (1, 2)])
    for number in (1, 2):
        state = store.session_states.get(f"s{number}")
        assert set(state.registrations) == {"r1"}


def test_initial_events_and_registration_ends_share_a_run(store: Store, raw_store: "redis.Redis") -> None:
    """An end in one partition is no end in another."""
    kept = created(store, registration="r2")
    ended = created(store, registration="r1", event_type=EventType.REGISTRATION_ENDS)
    end = dataclasses.replace(
        invitation(9, registration="r1"), type=EventType.REGISTRATION_ENDS, session=None
    )
    results = store.events.accept([end, invitation(10, registration="r2")])
    assert [(result.new, result.subscriptions) for result in results] == [(True, 1), (True, 1)]
    assert raw_store.hget(PARTITIONS["r1"].subscription(ended.id), "status") == "EXPIRED"
    assert raw_store.hget(PARTITIONS["r2"].subscription(kept.id), "status") == "ACTIVE"
