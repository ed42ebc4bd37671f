"""Bytes: what a full store refuses, and how many an outbox, a claim and the dead letters may have."""

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import redis

from tests.conftest import contents, servers_of
from tests.harness.builders import Interrupted, append, created, invitation, new_subscription, no_damage
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
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.model import Claim, EventType, Registration
from webrtc_events.core.settings import Settings
from webrtc_events.store.appends import AppendOptions, append_events
from webrtc_events.store.dead_letters import DeadLetterFilter, DeadLetters
from webrtc_events.store.outbox_entries import parse_entry
from webrtc_events.store.redis.scripts import Part
from webrtc_events.store.settlements import DroppedEvent
from webrtc_events.store.store import Store


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

    def run_parts(self, script: str, args: Any, runs: Sequence[Sequence[Part]], **options: Any) -> list[Any]:
        self.sizes += [sum(len(str(arg)) for part in parts for arg in part.args) for parts in runs]
        return self._scripts.run_parts(script, args, runs, **options)


def test_a_batch_of_large_events_is_appended_in_calls_of_bounded_bytes(
    store: Store, settings: Settings, raw_store: "redis.Redis"
) -> None:
    """However large a batch is, the store has no more of it in memory at once."""
    made = created(store)
    scripts = Sized(store)
    batch = [long(1, 2_000_000), *(long(number, 250_000) for number in range(2, 21))]
    append_events(scripts, AppendOptions.of(settings, shared_from=0), {P.number: batch}, no_damage)  # type: ignore[arg-type]
    assert scripts.sizes[0] > 2_000_000
    assert max(scripts.sizes[1:]) < 1_100_000
    entries = [parse_entry(entry) for entry in raw_store.lrange(P.outbox(made.id), 0, -1)]
    assert [json.loads(item.payload)["data"]["sequenceNumber"] for item in entries] == list(range(1, 21))
