"""Shared payloads after crashes and damage, and between releases."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.conftest import contents
from tests.harness.builders import append, created, invitation
from tests.harness.valkeys import ValkeyServer
from tests.store.shared_payloads import (
    SIZE,
    P,
    StoreWith,
    claims,
    dead_letters,
    long,
    other_type,
    payloads,
    referred,
    settle,
)
from webrtc_events.core.errors import NewerRelease
from webrtc_events.core.settings import Settings
from webrtc_events.store.formats import BASE_FORMAT, REFERRING_FORMAT
from webrtc_events.store.redis.scripts import Scripts
from webrtc_events.store.script_options import DEFAULT_OPTIONS, StoreOptions, script_options
from webrtc_events.store.store import Store


def test_a_store_that_is_killed_has_both_or_neither(tmp_path: Path, environ: dict[str, str]) -> None:
    with ValkeyServer(tmp_path / "store") as server, server.patient_client() as raw:
        own = Settings.from_environ(environ | {"WEBRTC_EVENTS_REDIS_URL": f"redis://{server.address}/0"})
        store = Store.connect(own)
        made = [created(store) for _ in range(3)]
        append(store, long(1), long(2))
        settle(store, claims(store, events=1)[:1])
        before = payloads(raw)
        server.kill()
        server.start()
        server.wait_ready()
        assert payloads(raw) == referred(raw, made) == before
        later = Store(store.client, own, StoreOptions(offset_ms=31_000), shares=False)
        while found := claims(later):
            settle(later, found)
        assert payloads(raw) == {}
        store.close()


def test_a_worker_that_is_killed_leaves_it_to_the_next(
    store: Store, store_at: Callable[..., Store], raw_store: "redis.Redis"
) -> None:
    for _ in range(2):
        created(store)
    append(store, long(1))
    lost = claims(store)
    again = claims(store_at(31))
    assert [leased.items for leased in again] == [leased.items for leased in lost]
    assert settle(store_at(31), again) == ["idle"] * 2
    assert settle(store, lost) == ["lost"] * 2
    assert payloads(raw_store) == {}


DAMAGES: list[Callable[["redis.Redis", str], Any]] = [
    lambda raw_store, key: raw_store.delete(key),
    lambda raw_store, key: raw_store.hdel(key, "payload"),
    other_type,
]


@pytest.mark.parametrize("damage", DAMAGES, ids=["lost", "without text", "of another type"])
def test_a_payload_that_is_lost_stops_nobody(
    store: Store,
    store_at: Callable[..., Store],
    raw_store: "redis.Redis",
    damage: Callable[["redis.Redis", str], Any],
) -> None:
    for _ in range(2):
        created(store)
    append(store, long(1), invitation(2))
    (sha,) = payloads(raw_store)
    damage(raw_store, P.payload(sha))
    found = claims(store)
    assert [[item.number for item in leased.items] for leased in found] == [[2], [2]]
    assert [reason for reason, _ in dead_letters(raw_store)] == ["damaged"] * 2
    assert settle(store, found) == ["idle"] * 2
    # It comes as a new one, whatever is in its place.
    append(store, dataclasses.replace(long(1), id="again"))
    assert {len(claim.items[0].payload) for claim in claims(store)} == {SIZE}
    while store_at(100).expiry.sweep():
        pass
    assert set(raw_store.zrange(P.payloads, 0, -1)) == {sha}


def test_a_holder_that_was_lost_holds_it_again_once_it_is_claimed(
    store: Store, raw_store: "redis.Redis"
) -> None:
    made = [created(store) for _ in range(3)]
    append(store, long(1))
    (sha,) = payloads(raw_store)
    raw_store.hdel(P.payload(sha), f"{made[0].id}:1", f"{made[1].id}:1")
    found = claims(store)
    assert payloads(raw_store) == referred(raw_store, made)
    settle(store, found)
    assert payloads(raw_store) == {}


@pytest.mark.parametrize("holder", ["{id}:1", "{id}:99", "0-00:1", "no holder", ":"])
def test_the_sweeper_forgets_who_holds_nothing(
    store: Store, store_at: Callable[..., Store], raw_store: "redis.Redis", holder: str
) -> None:
    """As an older release leaves it, which takes an entry and knows of nothing else."""
    made = [created(store) for _ in range(2)]
    append(store, long(1), long(2))
    settle(store, claims(store, events=1))
    (sha,) = payloads(raw_store)
    raw_store.hset(P.payload(sha), holder.format(id=made[0].id), "")
    store_at(30).expiry.sweep()
    assert payloads(raw_store) != referred(raw_store, made)
    store_at(61).expiry.sweep()
    assert payloads(raw_store) == referred(raw_store, made)
    for subscription in made:
        raw_store.lpop(P.outbox(subscription.id))
    store_at(200).expiry.sweep()
    assert payloads(raw_store) == {}


def test_what_an_outbox_of_another_type_held_is_kept_until_it_is_discarded(
    store: Store, store_at: Callable[..., Store], raw_store: "redis.Redis"
) -> None:
    made = [created(store) for _ in range(2)]
    append(store, long(1))
    other_type(raw_store, P.outbox(made[0].id))
    settle(store, claims(store))
    store_at(61).expiry.sweep()
    assert [len(holders) for holders in payloads(raw_store).values()] == [1]
    store.subscriptions.discard(made[0].id, "app")
    store_at(200).expiry.sweep()
    assert payloads(raw_store) == {}


def test_an_index_of_payloads_is_made_anew(
    store: Store, store_at: Callable[..., Store], raw_store: "redis.Redis"
) -> None:
    for _ in range(2):
        created(store)
    append(store, long(1))
    other_type(raw_store, P.payloads)
    append(store, long(2))
    store.expiry.sweep()
    assert len(payloads(raw_store)) == 2


# Releases


def test_a_store_that_0_1_0_used_is_not_made_to_share(
    store_with: StoreWith, raw_store: "redis.Redis"
) -> None:
    """Its processes could not read it. An operator who has none left sets it."""
    raw_store.set("partitions", "64")
    store = store_with()
    for _ in range(2):
        created(store)
    append(store, long(1))
    assert payloads(raw_store) == {}
    append(store_with(shared_payloads="on"), long(2))
    assert len(payloads(raw_store)) == 1
    assert [len(claim.items[1].payload) for claim in claims(store)] == [SIZE] * 2


def test_it_can_be_switched_off(store_with: StoreWith, raw_store: "redis.Redis") -> None:
    store = store_with(shared_payloads="off")
    for _ in range(2):
        created(store)
    append(store, long(1))
    assert payloads(raw_store) == {}


def test_a_release_that_does_not_know_it_leaves_such_an_outbox_alone(
    store: Store, store_with: StoreWith, settings: Settings, raw_store: "redis.Redis"
) -> None:
    made = [created(store) for _ in range(2)]
    append(store, long(1))
    formats = [raw_store.hget(P.subscription(subscription.id), "format") for subscription in made]
    assert formats == [str(REFERRING_FORMAT)] * 2
    older = store_with()
    options = script_options(settings, DEFAULT_OPTIONS, omits_defaults=True) | {"format": BASE_FORMAT}
    older.scripts._scripts = Scripts(older.client, options)._scripts
    before = contents(raw_store)
    assert claims(older) == []
    with pytest.raises(NewerRelease):
        append(older, invitation(2))
    assert contents(raw_store) == before
    settle(store, claims(store))
    formats = [raw_store.hget(P.subscription(subscription.id), "format") for subscription in made]
    assert formats == [str(BASE_FORMAT)] * 2
    assert append(older, invitation(2)) == [(True, 2)]
