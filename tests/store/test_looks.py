"""Looks: what a worker asks when it does not know whether anything is due, and what that costs the store."""

import pytest
import redis

from tests.harness.builders import append, created, invitation
from tests.store.claiming import P, now_ms
from webrtc_events.store.keys import Partition
from webrtc_events.store.store import Store
from webrtc_events.store.sweep_schedule import Look

HOUR_MS = 3_600_000
NOTHING = Look(None, has_more=False)


def calls(raw_store: "redis.Redis") -> dict[str, int]:
    """Of commands, by name, since the store began."""
    statistics = raw_store.info("commandstats")
    return {name.removeprefix("cmdstat_"): of["calls"] for name, of in statistics.items()}


def test_where_nothing_is_due_a_look_at_claims_is_one_command(store: Store, raw_store: "redis.Redis") -> None:
    if store.client.nodes.has_slots:
        pytest.skip("a command has one slot")
    created(store)
    before = calls(raw_store)
    assert store.claims.look(store.connection.partitions) == []
    assert calls(raw_store).get("exists", 0) - before.get("exists", 0) == 1
    assert store.claims.look([]) == []


def test_a_look_at_claims_finds_the_partitions_that_have_any(store: Store) -> None:
    created(store)
    append(store, invitation(1))
    assert store.claims.look(store.connection.partitions) == [P.number]
    assert store.claims.look([Partition(P.number + 1)]) == []


def test_a_look_at_ends_says_of_each_partition_when_the_first_is_due(
    store: Store, raw_store: "redis.Redis"
) -> None:
    moment_ms = now_ms(raw_store) + HOUR_MS
    created(store, expires_at_ms=moment_ms + HOUR_MS)
    created(store, expires_at_ms=moment_ms)
    assert store.expiry.look() == dict.fromkeys(range(64), NOTHING) | {
        P.number: Look(moment_ms, has_more=False)
    }


@pytest.mark.parametrize("key", P.kept_for_sweeper)
def test_work_that_has_no_moment_is_seen_in_its_partition_alone(
    store: Store, raw_store: "redis.Redis", key: str
) -> None:
    raw_store.set(key, "x")
    assert store.expiry.look() == dict.fromkeys(range(64), NOTHING) | {P.number: Look(None, has_more=True)}


def test_what_cannot_be_read_is_left_out_so_that_its_sweep_says_why(
    store: Store, raw_store: "redis.Redis"
) -> None:
    raw_store.set(P.ends, "x")
    assert P.number not in store.expiry.look()


def test_what_turns_out_to_be_a_node_of_a_cluster_is_asked_for_each_partition(
    store: Store, raw_store: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    created(store)
    append(store, invitation(1))
    raw_store.set(P.rebuild, "x")
    monkeypatch.setattr(store.client.nodes, "has_slots", False)
    assert store.claims.look(store.connection.partitions) == [P.number]
    assert store.expiry.look()[P.number].has_more
