"""A payload that several outboxes hold is kept once, and goes with the last entry that refers to it."""

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.conftest import contents, servers_of
from tests.harness.builders import Interrupted, append, created, invitation, new_subscription, no_damage
from tests.harness.valkeys import ValkeyServer
from webrtc_events.core.errors import NewerRelease, Unavailable
from webrtc_events.core.model import (
    Claim,
    Credential,
    EventType,
    NetworkEvent,
    OutboxKind,
    Registration,
    Status,
    Subscription,
    TerminationReason,
)
from webrtc_events.core.outcomes import End
from webrtc_events.core.settings import Settings
from webrtc_events.store.appends import AppendOptions, append_events
from webrtc_events.store.dead_letters import DeadLetterFilter, DeadLetters
from webrtc_events.store.erasure import Erasure
from webrtc_events.store.formats import BASE_FORMAT, FORMAT
from webrtc_events.store.keys import partition_of
from webrtc_events.store.outbox_entries import parse_entry, referred_payload
from webrtc_events.store.redis.scripts import Call
from webrtc_events.store.script_options import StoreOptions
from webrtc_events.store.settlements import DroppedEvent, Settlement, SettleOutcome
from webrtc_events.store.store import Store

P = partition_of("r1", 64)
SIZE = 100_000
StoreWith = Callable[..., Store]


@pytest.fixture
def store_with(settings: Settings) -> Iterator[StoreWith]:
    """Opens the store with other settings, its clock shifted by some seconds."""
    opened: list[Store] = []

    def connect(seconds: float = 0, work: int = 50, **changes: Any) -> Store:
        options = StoreOptions(offset_ms=round(seconds * 1000), work=work)
        # So that a claim has several of a subscription.
        changed = dataclasses.replace(settings, **({"event_bytes": 1_000_000} | changes))
        opened.append(Store.connect(changed, options))
        return opened[-1]

    yield connect
    for store in opened:
        store.close()


def long(number: int, size: int = SIZE, **values: Any) -> NetworkEvent:
    event = invitation(number, **values)
    padded = {**json.loads(event.payload), "padding": ""}
    padded["padding"] = "x" * (size - len(json.dumps(padded)))
    return dataclasses.replace(event, payload=json.dumps(padded))


def payloads(raw_store: "redis.Redis") -> dict[str, set[str]]:
    """Who holds each that is kept: subscription and outbox number. The index names just these."""
    kept = {key.rpartition(":")[2]: set(raw_store.hkeys(key)) for key in raw_store.keys(P.payload("*"))}
    assert set(raw_store.zrange(P.payloads, 0, -1)) == kept.keys()
    return {sha: holders - {"payload"} for sha, holders in kept.items()}


def referred(raw_store: "redis.Redis", made: Sequence[Subscription]) -> dict[str, set[str]]:
    """What the outboxes of these say."""
    found: dict[str, set[str]] = {}
    for subscription in made:
        for entry in raw_store.lrange(P.outbox(subscription.id), 0, -1):
            if sha := referred_payload(entry):
                found.setdefault(sha, set()).add(f"{subscription.id}:{parse_entry(entry).number}")
    return found


def claims(store: Store, **limits: Any) -> list[Claim]:
    return store.claims.claim([P], **({"subscriptions": 99, "events": 8} | limits))


def settle(store: Store, found: Sequence[Claim], **values: Any) -> list[SettleOutcome]:
    return store.claims.settle([Settlement(leased, leased.items[-1].number, **values) for leased in found])


def dead_letters(raw_store: "redis.Redis") -> list[tuple[str, int]]:
    """Why, and how long its payload is."""
    found = [fields for _, fields in raw_store.xrange(P.dead)]
    return [(fields["reason"], len(fields["entry"].partition("\n")[2])) for fields in found]


def test_it_is_kept_once_and_every_claim_has_it(store: Store, raw_store: "redis.Redis") -> None:
    made = [created(store) for _ in range(3)]
    event = long(1)
    append(store, event)
    assert payloads(raw_store) == referred(raw_store, made)
    assert [len(holders) for holders in payloads(raw_store).values()] == [3]
    assert all(raw_store.memory_usage(P.outbox(subscription.id)) < 1_000 for subscription in made)
    found = claims(store)
    assert [leased.items[0].payload for leased in found] == [event.payload] * 3
    settle(store, found[:2])
    assert [len(holders) for holders in payloads(raw_store).values()] == [1]
    settle(store, found[2:])
    assert payloads(raw_store) == {}


def test_the_same_payload_of_another_event_is_the_same(store: Store, raw_store: "redis.Redis") -> None:
    made = [created(store) for _ in range(2)]
    append(store, long(1))
    append(store, dataclasses.replace(long(1), id="another"))
    assert payloads(raw_store) == referred(raw_store, made)
    assert [len(holders) for holders in payloads(raw_store).values()] == [4]
    settle(store, claims(store, events=1))
    assert payloads(raw_store) == referred(raw_store, made)
    settle(store, claims(store))
    assert payloads(raw_store) == {}


@pytest.mark.parametrize(("size", "matches"), [(1_000, 50), (20_000, 3), (SIZE, 1)])
def test_what_is_cheaper_to_copy_is_copied(
    store: Store, raw_store: "redis.Redis", size: int, matches: int
) -> None:
    made = [created(store) for _ in range(matches)]
    append(store, long(1, size))
    assert payloads(raw_store) == {}
    assert {raw_store.hget(P.subscription(subscription.id), "format") for subscription in made} == {
        str(BASE_FORMAT)
    }


@pytest.mark.parametrize("calls", range(1, 4))
def test_the_steps_of_a_cut_event_share_it(
    store_with: StoreWith, settings: Settings, raw_store: "redis.Redis", calls: int
) -> None:
    store = store_with(work=2)
    made = [created(store) for _ in range(7)]
    with pytest.raises(Unavailable):
        append_events(
            Interrupted(store, calls),  # type: ignore[arg-type]
            AppendOptions.of(settings, shared_from=65_536),
            {P.number: [long(1)]},
            no_damage,
        )
    assert payloads(raw_store) == referred(raw_store, made)
    assert append(store, long(1)) == [(True, 7)]
    assert payloads(raw_store) == referred(raw_store, made)
    assert [len(holders) for holders in payloads(raw_store).values()] == [7]


# Ways out of an outbox


def delivered(store: Store, made: Subscription) -> None:
    settle(store, [claim for claim in claims(store) if claim.subscription_id == made.id])


def refused(store: Store, made: Subscription) -> None:
    (found,) = [claim for claim in claims(store) if claim.subscription_id == made.id]
    dead = tuple(DroppedEvent(item.number, "refused", "") for item in found.items)
    settle(store, [found], dead=dead)


def ended_by_its_sink(store: Store, made: Subscription) -> None:
    (found,) = [claim for claim in claims(store, events=1) if claim.subscription_id == made.id]
    settle(store, [found], follow_up=End(TerminationReason.NETWORK_TERMINATED, False))


def deleted(store: Store, made: Subscription) -> None:
    store.subscriptions.end(
        made.id, TerminationReason.SUBSCRIPTION_DELETED, Status.DELETED, drop_pending=True
    )


def deleted_while_leased(store: Store, made: Subscription) -> None:
    (found,) = [claim for claim in claims(store, events=1) if claim.subscription_id == made.id]
    deleted(store, made)
    settle(store, [found])


def discarded(store: Store, made: Subscription) -> None:
    store.subscriptions.discard(made.id, "app")


def squeezed_out(store: Store, made: Subscription) -> None:
    for number in range(10, 30):
        append(store, invitation(number, registration=made.registration))


WAYS = [delivered, refused, ended_by_its_sink, deleted, deleted_while_leased, discarded, squeezed_out]


@pytest.mark.parametrize("way", WAYS)
def test_every_way_out_of_an_outbox(
    store_with: StoreWith, raw_store: "redis.Redis", way: Callable[[Store, Subscription], None]
) -> None:
    """What the others hold stays, and with the last of them it goes."""
    store = store_with(outbox_length=16)
    made = [created(store) for _ in range(3)]
    append(store, long(1), long(2), long(3))
    for subscription in made:
        way(store, subscription)
        assert payloads(raw_store) == referred(raw_store, made)
        # The lease of those that were claimed beside it runs out.
        store = store_with(31 * (made.index(subscription) + 1), outbox_length=16)
    assert payloads(raw_store) == {}
    # The invitations that squeeze others out are short, and have theirs.
    assert all(
        size == SIZE or (reason, size > 200) == ("outbox_full", True)
        for reason, size in dead_letters(raw_store)
    )


def test_an_outbox_that_is_too_old_or_gets_no_time(store_with: StoreWith, raw_store: "redis.Redis") -> None:
    soon = raw_store.time()[0] * 1000 + 60_000
    credential = Credential("token", soon)
    store = store_with(token_lead_s=20)
    kept = created(store)
    tokens = [created(store, sealed="sealed", credential=credential) for _ in range(2)]
    append(store, long(1), long(2))
    late = store_with(55, token_lead_s=20)
    while late.expiry.sweep():
        pass
    assert payloads(raw_store) == referred(raw_store, [kept, *tokens])
    assert all(raw_store.llen(P.outbox(token.id)) == 1 for token in tokens)
    append(store_with(90_000), invitation(3))
    assert payloads(raw_store) == {}
    assert dead_letters(raw_store) == [("access_token_expired", SIZE)] * 4 + [("outbox_full", SIZE)] * 2


def test_a_registration_that_ends_and_one_that_is_erased(store: Store, raw_store: "redis.Redis") -> None:
    made = [created(store) for _ in range(3)]
    append(store, long(1))
    found = claims(store)
    erasure = Erasure(store)
    traces = erasure.find("r1")
    # The payload names a session, wherever it is kept.
    store.session_states.record([long(1)])
    assert len(traces.clients) == len(made)
    erasure.erase(erasure.find("r1"))
    assert settle(store, found) == ["lost"] * 3
    assert payloads(raw_store) == {}
    assert not [key for key, value in contents(raw_store).items() if "r1" in key or "x" * 9 in str(value)]


def test_what_was_given_up_under_a_lease_that_runs_out_is_released_by_the_next_claim(
    store: Store, store_at: Callable[..., Store], raw_store: "redis.Redis"
) -> None:
    made = [created(store) for _ in range(3)]
    append(store, long(1))
    claims(store)
    for subscription in made:
        deleted(store, subscription)
    assert payloads(raw_store) == referred(raw_store, made) != {}
    assert [claim.items[0].kind for claim in claims(store_at(31))] == [OutboxKind.END] * 3
    assert payloads(raw_store) == {}


def test_a_dead_letter_has_a_copy_and_can_be_redelivered(
    store: Store, settings: Settings, raw_store: "redis.Redis"
) -> None:
    for _ in range(2):
        created(store)
    append(store, long(1))
    found = claims(store)
    settle(store, found, dead=(DroppedEvent(1, "refused", ""),))
    assert payloads(raw_store) == {}
    kept = DeadLetters(store)
    outcomes = [kept.redeliver(dead_letter).outcome for dead_letter in kept.oldest_first(DeadLetterFilter())]
    assert outcomes == ["redelivered"] * 2
    again = claims(store)
    assert [(leased.items[0].event_number, len(leased.items[0].payload) > SIZE) for leased in again] == [
        (1, True)
    ] * 2


# Crashes


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


# Damage


def other_type(raw_store: "redis.Redis", key: str) -> None:
    raw_store.delete(key)
    raw_store.set(key, "text")


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
    store: Store, store_with: StoreWith, raw_store: "redis.Redis"
) -> None:
    made = [created(store) for _ in range(2)]
    append(store, long(1))
    formats = [raw_store.hget(P.subscription(subscription.id), "format") for subscription in made]
    assert formats == [str(FORMAT)] * 2
    older = store_with()
    options = json.loads(older.scripts._options) | {"format": BASE_FORMAT}
    older.scripts._options = json.dumps(options)
    before = contents(raw_store)
    assert claims(older) == []
    with pytest.raises(NewerRelease):
        append(older, invitation(2))
    assert contents(raw_store) == before
    settle(store, claims(store))
    formats = [raw_store.hget(P.subscription(subscription.id), "format") for subscription in made]
    assert formats == [str(BASE_FORMAT)] * 2
    assert append(older, invitation(2)) == [(True, 2)]


# Room


def limited(raw_store: "redis.Redis", left: int) -> None:
    """Sets maxmemory so that `left` bytes remain up to the watermark of 90 %."""
    for server in servers_of(raw_store):
        server.config_set("maxmemory", round((server.info("memory")["used_memory"] + left) / 0.9))


@pytest.fixture
def limit(raw_store: "redis.Redis") -> Iterator[Callable[[int], None]]:
    yield lambda left: limited(raw_store, left)
    raw_store.config_set("maxmemory", "0")


@pytest.mark.parametrize(("matches", "shares", "left"), [(20, "off", 1_500_000), (20, "on", 200_000)])
def test_the_whole_growth_is_looked_at_before_anything_is_written(
    store_with: StoreWith,
    raw_store: "redis.Redis",
    limit: Callable[[int], None],
    matches: int,
    shares: str,
    left: int,
) -> None:
    store = store_with(shared_payloads=shares)
    for _ in range(matches):
        created(store)
    append(store, invitation(1))
    before = contents(raw_store)
    limit(left)
    with pytest.raises(Unavailable, match="full"):
        append(store, long(2))
    assert contents(raw_store) == before
    assert append(store, invitation(3)) == [(True, matches)]
    limit(4_000_000)
    assert append(store, long(2)) == [(True, matches)]


def test_the_first_step_of_a_cut_event_looks_at_the_whole(
    store_with: StoreWith, raw_store: "redis.Redis", limit: Callable[[int], None]
) -> None:
    store = store_with(work=3, shared_payloads="off")
    for _ in range(20):
        created(store)
    append(store, invitation(1))
    before = contents(raw_store)
    # Room for each step, and not for all.
    limit(1_500_000)
    with pytest.raises(Unavailable, match="full"):
        append(store, long(2))
    assert contents(raw_store) == before


def test_what_can_never_fit_is_said_to(
    store_with: StoreWith, raw_store: "redis.Redis", limit: Callable[[int], None]
) -> None:
    store = store_with(shared_payloads="off")
    for _ in range(50):
        created(store)
    limit(8_000_000)
    with pytest.raises(Unavailable, match=r"can never fit .* needs \d+ bytes.* maxmemory must be raised"):
        append(store, long(1, 3_000_000))


def test_a_state_that_would_not_fit_is_not_kept(
    store: Store, raw_store: "redis.Redis", limit: Callable[[int], None]
) -> None:
    # The texts of scripts that the server does not have yet would take the room.
    store.session_states.record([invitation(1)])
    created(store)
    raw_store.delete(*raw_store.keys("session:*"))
    limit(50_000)
    with pytest.raises(Unavailable, match="full"):
        store.session_states.record([long(1)])
    assert raw_store.keys("session:*") == []
    made = dataclasses.replace(new_subscription(), initial_event=True)
    raw_store.config_set("maxmemory", "0")
    append(store, long(1))
    limit(50_000)
    # The subscription is made, and its initial event comes once there is room.
    assert (
        store.subscriptions.create(made, sink="https://a.example/", headers={}, sealed=None).outcome
        == "created"
    )
    assert raw_store.llen(P.outbox(made.id)) == 0
    raw_store.config_set("maxmemory", "0")
    store.initial_events.append(made)
    assert raw_store.llen(P.outbox(made.id)) == 1


# Bounds


def numbers(found: Claim) -> list[int]:
    return [item.number for item in found.items]


@pytest.mark.parametrize("subscriptions", [1, 2])
def test_the_bytes_of_an_outbox_are_bounded(
    store_with: StoreWith, raw_store: "redis.Redis", subscriptions: int
) -> None:
    """Its own copies and what it refers to; it gives up its oldest."""
    store = store_with(outbox_bytes=350_000)
    for _ in range(subscriptions):
        created(store)
    append(store, *(long(number) for number in range(1, 6)))
    for leased in claims(store):
        assert numbers(leased) == [3, 4, 5]
        settle(store, [leased])
    assert dead_letters(raw_store) == [("outbox_full", SIZE)] * 2 * subscriptions
    append(store, *(long(number) for number in range(6, 9)))
    assert [numbers(found) for found in claims(store)] == [[6, 7, 8]] * subscriptions


def test_the_latest_stays_and_what_is_on_its_way(store_with: StoreWith) -> None:
    store = store_with(outbox_bytes=100)
    created(store)
    append(store, long(1))
    (leased,) = claims(store)
    append(store, long(2), long(3))
    assert numbers(leased) == [1]
    assert settle(store, [leased]) == ["due"]
    assert [numbers(found) for found in claims(store)] == [[3]]


@pytest.mark.parametrize("popped", [0, 1, 2])
@pytest.mark.parametrize("stored_size", [None, "", "2 x", "7 100", "0 0"])
def test_an_outbox_whose_size_is_not_known_is_summed_up(
    store_with: StoreWith, raw_store: "redis.Redis", stored_size: str | None, popped: int
) -> None:
    """As the release before leaves it."""
    store = store_with(outbox_bytes=350_000)
    made = created(store)
    append(store, long(1), long(2))
    for _ in range(popped):
        raw_store.lpop(P.outbox(made.id))
    if stored_size is None:
        raw_store.hdel(P.subscription(made.id), "outbox_size")
    else:
        raw_store.hset(P.subscription(made.id), "outbox_size", stored_size)
    append(store, long(3))
    entries = raw_store.lrange(P.outbox(made.id), 0, -1)
    size = raw_store.hget(P.subscription(made.id), "outbox_size")
    assert size == f"{3 - popped} {sum(map(len, entries))}"


def test_the_bytes_of_a_claim_are_bounded(store: Store) -> None:
    for _ in range(3):
        created(store)
    append(store, long(1), long(2), long(3))
    found = claims(store, size=150_000)
    assert [numbers(leased) for leased in found] == [[1]]
    # Of one subscription no more than the largest event may have.
    found += claims(store, size=350_000)
    assert [numbers(leased) for leased in found] == [[1], [1, 2], [1]]
    # What does not fit is not leased, and one at least is given.
    assert claims(store, size=10) == []
    settle(store, found)
    assert [len(numbers(claim)) for claim in claims(store, size=10)] == [1]


def test_the_bytes_of_dead_letters_are_bounded(store_with: StoreWith, raw_store: "redis.Redis") -> None:
    store = store_with(dead_letters_bytes=350_000)
    created(store)
    for number in range(1, 7):
        append(store, long(number))
        settle(store, claims(store), dead=(DroppedEvent(number, "refused", ""),))
    kept = [parse_entry(fields["entry"]).number for _, fields in raw_store.xrange(P.dead)]
    assert kept == [4, 5, 6]
    # Gaps do not count, and dead letters of the release before do not stay for ever.
    ids = [entry_id for entry_id, _ in raw_store.xrange(P.dead)]
    raw_store.xdel(P.dead, *ids[1:])
    append(store, long(7), long(8))
    for number in (7, 8):
        settle(store, claims(store, events=1), dead=(DroppedEvent(number, "refused", ""),))
    kept = [parse_entry(fields["entry"]).number for _, fields in raw_store.xrange(P.dead)]
    assert kept == [4, 7, 8]


def test_a_dead_letter_of_a_full_store_has_no_payload(
    store: Store, settings: Settings, raw_store: "redis.Redis", limit: Callable[[int], None]
) -> None:
    """Else what empties a full store would fill it: a payload that many hold would become as many."""
    for _ in range(2):
        created(store)
    append(store, long(1))
    found = claims(store)
    limit(50_000)
    settle(store, found, dead=(DroppedEvent(1, "refused", ""),))
    assert payloads(raw_store) == {}
    assert {size < 100 for _, size in dead_letters(raw_store)} == {True}
    raw_store.config_set("maxmemory", "0")
    kept = DeadLetters(store)
    (dead_letter, _) = kept.oldest_first(DeadLetterFilter())
    assert dead_letter.detail == "its payload was left out: the store was full"
    assert kept.redeliver(dead_letter).outcome == "no_payload"


def test_what_ends_with_its_registration_shares_nothing_that_is_short(
    store: Store, raw_store: "redis.Redis"
) -> None:
    kind = EventType.REGISTRATION_ENDS
    made = [created(store, event_type=kind) for _ in range(3)]
    store.registrations.put(Registration("r1", "d", "app", None, None), expires_at_ms=None, end="")
    event = dataclasses.replace(long(1), type=kind, session=None)
    assert append(store, event) == [(True, 3)]
    assert payloads(raw_store) == referred(raw_store, made)
    while found := claims(store):
        settle(store, found)
    assert payloads(raw_store) == {}


def test_an_event_that_is_refused_half_way_is_held_by_those_who_have_it(
    store_with: StoreWith, settings: Settings, raw_store: "redis.Redis", limit: Callable[[int], None]
) -> None:
    """The store fills up between two steps of it. Whoever publishes it again completes it."""
    store = store_with(work=2)
    made = [created(store) for _ in range(7)]
    with pytest.raises(Unavailable):
        append_events(
            Interrupted(store, 1),  # type: ignore[arg-type]
            AppendOptions.of(settings, shared_from=65_536),
            {P.number: [long(1)]},
            no_damage,
        )
    limit(0)
    with pytest.raises(Unavailable, match="full"):
        append(store, long(1))
    assert payloads(raw_store) == referred(raw_store, made)
    assert [len(holders) for holders in payloads(raw_store).values()] == [2]
    raw_store.config_set("maxmemory", "0")
    assert append(store, long(1)) == [(True, 7)]
    assert payloads(raw_store) == referred(raw_store, made)


@pytest.mark.parametrize("damaged", [1, 3])
def test_an_outbox_that_cannot_be_written_holds_nothing(
    store: Store, raw_store: "redis.Redis", damaged: int
) -> None:
    made = [created(store) for _ in range(3)]
    for subscription in made[:damaged]:
        other_type(raw_store, P.outbox(subscription.id))
    assert append(store, long(1)) == [(True, 3 - damaged)]
    assert payloads(raw_store) == referred(raw_store, made[damaged:])


@pytest.mark.parametrize("tail", ["@", "@5d", "@zz 100000", f"@{'0' * 40} 1", f"@{'0' * 40} 1\n"])
def test_a_reference_that_is_damaged_is_a_dead_letter(
    store: Store, store_at: Callable[..., Store], raw_store: "redis.Redis", tail: str
) -> None:
    made = [created(store) for _ in range(2)]
    append(store, long(1), invitation(2))
    head = raw_store.lindex(P.outbox(made[0].id), 0).partition("\n")[0]
    raw_store.lset(P.outbox(made[0].id), 0, f"{head}\n{tail}")
    found = {claim.subscription_id: numbers(claim) for claim in claims(store)}
    assert found == {made[0].id: [2], made[1].id: [1, 2]}
    assert [reason for reason, _ in dead_letters(raw_store)] == ["damaged"]
    # The sweeper finds out that nobody refers to it there.
    settle(store_at(31), claims(store_at(31)))
    store_at(100).expiry.sweep()
    assert payloads(raw_store) == {}


class Sized:
    """Notes how many bytes each call of the scripts has."""

    def __init__(self, store: Store) -> None:
        self._scripts = store.scripts
        self.sizes: list[int] = []

    def run(self, calls: Sequence[Call], *, replicas: int = 0) -> list[Any]:
        self.sizes += [sum(len(str(part)) for part in call.args) for call in calls]
        return self._scripts.run(calls, replicas=replicas)


def test_a_batch_of_large_events_is_appended_in_calls_of_bounded_bytes(
    store: Store, settings: Settings, raw_store: "redis.Redis"
) -> None:
    """However large a batch is, the store has no more of it in memory at once."""
    made = created(store)
    scripts = Sized(store)
    batch = [long(1, 2_000_000), *(long(number, 250_000) for number in range(2, 21))]
    append_events(scripts, AppendOptions.of(settings), {P.number: batch}, no_damage)  # type: ignore[arg-type]
    assert scripts.sizes[0] > 2_000_000
    assert max(scripts.sizes[1:]) < 1_100_000
    entries = [parse_entry(entry) for entry in raw_store.lrange(P.outbox(made.id), 0, -1)]
    assert [json.loads(item.payload)["data"]["sequenceNumber"] for item in entries] == list(range(1, 21))
