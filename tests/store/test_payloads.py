"""A payload that several outboxes hold is kept once, and goes with the last entry that refers to it."""

import dataclasses
from collections.abc import Callable

import pytest
import redis

from tests.conftest import contents
from tests.harness.builders import Interrupted, append, created, invitation, no_damage
from tests.store.shared_payloads import (
    SIZE,
    P,
    StoreWith,
    claims,
    dead_letters,
    long,
    payloads,
    referred,
    settle,
)
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.model import Credential, OutboxKind, Status, Subscription, TerminationReason
from webrtc_events.core.outcomes import End
from webrtc_events.core.settings import Settings
from webrtc_events.store.appends import AppendOptions, append_events
from webrtc_events.store.dead_letters import DeadLetterFilter, DeadLetters
from webrtc_events.store.erasure import Erasure
from webrtc_events.store.formats import BASE_FORMAT
from webrtc_events.store.settlements import DroppedEvent
from webrtc_events.store.store import Store


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
