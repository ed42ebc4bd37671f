"""A run of a script for several partitions, or sessions: each is served as if it were alone."""

import dataclasses

import pytest
import redis

from tests.harness.builders import created, invitation, session_status
from webrtc_events.core.errors import NewerRelease, Unavailable
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


def runs(raw_store: "redis.Redis", command: str = "evalsha") -> int:
    return int(raw_store.info("commandstats")[f"cmdstat_{command}"]["calls"])


def test_the_registrations_are_of_different_partitions() -> None:
    assert len({partition.number for partition in PARTITIONS.values()}) == len(REGISTRATIONS)


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
    assert runs(raw_store) - before == 1
    for registration in REGISTRATIONS:
        assert set(store.session_states.get(f"s-{registration}").registrations) == {registration}


def test_one_command_for_a_partition_asks_what_is_known_of_new_events(
    store: Store, raw_store: "redis.Redis"
) -> None:
    created(store, registration="r1")
    accept(store, 1)
    if store.client.nodes.has_slots:
        pytest.skip("other nodes count their commands by themselves")
    before = runs(raw_store, "exists")
    accept(store, 2, 2)
    assert runs(raw_store, "exists") - before == len(REGISTRATIONS)
    # Somebody listens to a device: whatever is found is looked at by itself.
    raw_store.setbit(PARTITIONS["r1"].devices, 0, 1)
    before = runs(raw_store, "exists")
    assert accept(store, 4, 2) == [(True, 1), *[(True, 0)] * 3] * 2
    assert runs(raw_store, "exists") - before == len(REGISTRATIONS) + 1


def test_an_event_that_comes_again_in_its_run_is_appended_once(
    store: Store, raw_store: "redis.Redis"
) -> None:
    made = created(store, registration="r1")
    batch = [invitation(number) for number in (1, 2, 1, 3, 3, 2)]
    results = [result.new for result in store.events.accept(batch)]
    assert results == [True, True, False, True, False, False]
    assert waiting(raw_store, PARTITIONS["r1"], made.id) == 3


def test_a_session_of_two_partitions_has_the_state_of_its_latest_event(
    store: Store, raw_store: "redis.Redis"
) -> None:
    """Its states are recorded in the order of the events, all before any of them is appended."""
    batch = [
        session_status(number, session="s1", registration=registration)
        for number, registration in enumerate(("r1", "r2", "r1"), 1)
    ]
    store.events.accept(batch)
    assert raw_store.hget(session_state_key("s1"), "name") == "/gateway e3"
    assert set(store.session_states.get("s1").registrations) == {"r1", "r2"}


def test_events_of_one_partition_take_one_run_with_their_sessions(
    store: Store, raw_store: "redis.Redis"
) -> None:
    created(store, registration="r1", event_type=EventType.SESSION_STATUS, session="s1")
    batch = [session_status(number, session="s1", registration="r1") for number in range(1, 61)]
    batch = [dataclasses.replace(event, time_ms=number) for number, event in enumerate(batch)]
    batch.append(dataclasses.replace(invitation(61), time_ms=99))
    # The store has the script's text then.
    store.events.accept([invitation(0)])
    before = 0 if store.client.nodes.has_slots else runs(raw_store)
    results = store.events.accept(batch)
    assert [(result.new, result.subscriptions) for result in results] == [(True, 1)] * 60 + [(True, 0)]
    # Two, as one gets to fifty events.
    assert store.client.nodes.has_slots or runs(raw_store) - before == 2
    state = store.session_states.get("s1")
    assert set(state.registrations) == {"r1"}
    assert raw_store.hmget(session_state_key("s1"), "name", "at") == ["/gateway e60", "59"]
    store.events.accept([dataclasses.replace(batch[0], id="e62", registration="r2")])
    assert set(store.session_states.get("s1").registrations) == {"r1", "r2"}


def test_a_session_without_a_status_is_known_to_involve_its_registration(store: Store) -> None:
    store.events.accept([invitation(1, registration="r7")])
    state = store.session_states.get("s1")
    assert set(state.registrations) == {"r7"}


def test_what_does_not_fit_leaves_no_state(
    store: Store, settings: Settings, raw_store: "redis.Redis"
) -> None:
    created(store)
    event = dataclasses.replace(session_status(1, registration="r1"), payload="x" * 1_000_000)
    if store.client.nodes.has_slots:
        pytest.skip("its nodes fill up each for itself")
    raw_store.config_set("maxmemory", raw_store.info("memory")["used_memory"] + 1_000_000)
    try:
        with pytest.raises(Unavailable):
            store.events.accept([event])
    finally:
        raw_store.config_set("maxmemory", 0)
    assert raw_store.exists(session_state_key("s1")) == 0


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
    # By a single event too.
    store.client.nodes.has_slots = False
    (result,) = store.events.accept([invitation(2)])
    assert (result.new, result.subscriptions) == (True, 1)
    assert store.client.nodes.has_slots == has_slots


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
