"""What waits is said in figures, of much as quickly as of little."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.builders import append, created, invitation
from tests.store.claiming import claim_one, now_ms
from webrtc_events.store.backlog import MAX_LOOKED_AT, HostWaiting, Waiting, shared_out
from webrtc_events.store.keys import Partition, partition_of
from webrtc_events.store.settlements import DroppedEvent, Settlement
from webrtc_events.store.store import Store


def test_nothing_waits_in_an_empty_store(store: Store) -> None:
    assert store.backlog.read() == Waiting()
    assert store.backlog.subscriptions() == 0


def test_events_subscriptions_and_hosts_are_counted(store: Store) -> None:
    created(store, sink="https://one.example/a", registration="r1")
    created(store, sink="https://ONE.example:443/b", registration="r2")
    created(store, sink="https://[2001:DB8::1]/c", registration="r3")
    created(store, sink="https://idle.example/", registration="r4")
    append(store, invitation(1), invitation(2))
    for registration in ("r2", "r3"):
        append(store, invitation(1, registration=registration, source=f"/{registration}"))
    found = store.backlog.read()
    assert (found.subscriptions, found.events, found.exact) == (3, 4, True)
    assert {name: replace(host, oldest_ms=None) for name, host in found.hosts.items()} == {
        "https://one.example:443": HostWaiting(2, 3),
        "https://[2001:db8::1]:443": HostWaiting(1, 1),
    }
    assert found.bytes > 4 * len(invitation(1).payload)
    assert store.backlog.subscriptions() == 3


def test_the_oldest_event_and_how_late_the_first_is_are_ages(store: Store, raw_store: "redis.Redis") -> None:
    made = created(store)
    append(store, invitation(1))
    due, outbox = partition_of("r1", 64).due, partition_of("r1", 64).outbox(made.id)
    number, kind, accepted_ms, rest = raw_store.lindex(outbox, 0).split(" ", 3)
    raw_store.lset(outbox, 0, f"{number} {kind} {int(accepted_ms) - 90_000} {rest}")
    raw_store.zadd(due, {made.id: now_ms(raw_store) - 20_000})
    found = store.backlog.read()
    assert found.oldest_ms is not None
    assert found.late_ms is not None
    assert 90_000 <= found.oldest_ms < 120_000
    (of_host,) = found.hosts.values()
    assert of_host.oldest_ms == found.oldest_ms
    assert 20_000 <= found.late_ms < 50_000


def test_what_is_claimed_waits_and_is_not_late(store: Store) -> None:
    created(store)
    append(store, invitation(1))
    claim = claim_one(store)
    found = store.backlog.read()
    assert (found.subscriptions, found.events, found.late_ms) == (1, 1, None)
    store.claims.settle([Settlement(claim, 1, dead=(DroppedEvent(1, "refused", ""),))])
    found = store.backlog.read()
    assert (found.subscriptions, found.events, found.dead_letters) == (0, 0, 1)
    assert found.oldest_ms is None


def test_of_very_many_a_thousand_are_looked_at(store: Store, raw_store: "redis.Redis") -> None:
    """Each of the others has one event at least."""
    made = created(store)
    append(store, *(invitation(number) for number in range(1, 6)))
    now = now_ms(raw_store)
    # Most are due elsewhere, and have no outbox here.
    raw_store.zadd(Partition(1).due, {f"i{number}": now + number for number in range(2500)})
    raw_store.zadd(partition_of("r1", 64).due, {made.id: now})
    found = store.backlog.read()
    assert (found.subscriptions, found.exact) == (2501, False)
    at_least = 2501 - MAX_LOOKED_AT
    assert at_least + 5 <= found.events < at_least + 50


@pytest.mark.parametrize("what", ["due", "outbox", "subscription"])
def test_what_cannot_be_read_counts_for_nothing(store: Store, raw_store: "redis.Redis", what: str) -> None:
    made = created(store)
    append(store, invitation(1))
    created(store, registration="r2")
    append(store, invitation(1, registration="r2", source="/two"))
    partition = partition_of("r1", 64)
    keys: Mapping[str, str] = {
        "due": partition.due,
        "outbox": partition.outbox(made.id),
        "subscription": partition.subscription(made.id),
    }
    raw_store.delete(keys[what])
    raw_store.set(keys[what], "x")
    found = store.backlog.read()
    assert found.damaged == (what == "due")
    assert found.events == (2 if what == "subscription" else 1)
    assert sum(host.events for host in found.hosts.values()) == 1


@given(st.dictionaries(st.integers(0, 63), st.integers(1, 5000)))
def test_each_partition_has_what_it_wants_or_as_much_as_any(wanted: dict[int, int]) -> None:
    shares = shared_out(1000, wanted)
    assert sum(shares.values()) == min(1000, sum(wanted.values()))
    most = max(shares.values(), default=0)
    # A share that is cut is as large as any, but for what cannot be divided.
    assert all(shares[number] >= min(size, most - 1) for number, size in wanted.items())
