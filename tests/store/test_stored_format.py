"""What a newer release wrote is left to it: nothing is lost, nothing is changed, and it is said."""

import logging
from collections.abc import Callable

import pytest
import redis

from tests.conftest import contents
from tests.harness.builders import all_of, append, created, invitation, new_subscription
from webrtc_events.core.credentials import CredentialBox
from webrtc_events.core.errors import NewerRelease
from webrtc_events.core.model import (
    Claim,
    Credential,
    EventType,
    NetworkEvent,
    Registration,
    Status,
    Subscription,
    TerminationReason,
)
from webrtc_events.core.settings import Settings
from webrtc_events.store.dead_letters import DeadLetterFilter, DeadLetters
from webrtc_events.store.formats import BASE_FORMAT, FORMAT
from webrtc_events.store.key_rotation import KeyRotation
from webrtc_events.store.keys import partition_of
from webrtc_events.store.settlements import DroppedEvent, Settlement
from webrtc_events.store.store import Store

StoreAt = Callable[..., Store]
P = partition_of("r1", 64)


@pytest.fixture
def upgrade(raw_store: "redis.Redis") -> Callable[[Subscription], None]:
    """Makes the stored subscription one of the next release."""

    def write(made: Subscription) -> None:
        raw_store.hset(partition_of(made.registration, 64).subscription(made.id), "format", FORMAT + 1)

    return write


Upgrade = Callable[[Subscription], None]


def claim(store: Store, subscriptions: int = 10) -> list[Claim]:
    return store.claims.claim([P], subscriptions=subscriptions, events=8)


def test_what_is_stored_says_its_format(store: Store, raw_store: "redis.Redis") -> None:
    made = created(store)
    store.registrations.put(Registration("r1", "d", "app", None, None), expires_at_ms=None, end="")
    for key in (P.subscription(made.id), P.registration_record("r1")):
        assert raw_store.hget(key, "format") == str(BASE_FORMAT)


def test_a_due_subscription_of_a_newer_release_is_not_claimed_and_stays_due(
    store: Store, upgrade: Upgrade, raw_store: "redis.Redis", caplog: pytest.LogCaptureFixture
) -> None:
    newer = [created(store) for _ in range(2)]
    append(store, invitation(1))
    for subscription in newer:
        upgrade(subscription)
    before = contents(raw_store)
    with caplog.at_level(logging.WARNING):
        assert claim(store) == []
        assert claim(store) == []
    assert contents(raw_store) == before
    assert caplog.text.count("written by a newer release") == 1


@pytest.mark.parametrize("subscriptions", [1, 2, 100])
def test_those_of_a_newer_release_do_not_stand_in_the_way(
    store: Store, upgrade: Upgrade, subscriptions: int
) -> None:
    made = [created(store) for _ in range(7)]
    append(store, invitation(1))
    for subscription in made[:5]:
        upgrade(subscription)
    found = [leased.subscription_id for _ in range(3) for leased in claim(store, subscriptions)]
    assert sorted(found) == sorted(subscription.id for subscription in made[5:])


def test_an_event_for_it_is_left_to_a_newer_process(
    store: Store, upgrade: Upgrade, raw_store: "redis.Redis"
) -> None:
    """The gateway gets 503 and repeats: once a newer process takes it, no subscription has it twice."""
    made, newer = created(store), created(store)
    upgrade(newer)
    before = contents(raw_store)
    with pytest.raises(NewerRelease):
        append(store, invitation(1))
    assert contents(raw_store) == before
    with pytest.raises(NewerRelease):
        append(store, invitation(2, registration="r9"), invitation(1), to=P.number)
    raw_store.hset(P.subscription(newer.id), "format", BASE_FORMAT)
    again = append(store, invitation(2, registration="r9"), invitation(1), to=P.number)
    assert again == [(False, 0), (True, 2)]
    assert {leased.subscription_id for leased in claim(store)} == {made.id, newer.id}


def test_a_registration_whose_subscriptions_are_newer_is_ended_by_a_newer_process(
    store: Store, store_at: StoreAt, upgrade: Upgrade, raw_store: "redis.Redis"
) -> None:
    created(store, event_type=EventType.REGISTRATION_ENDS)
    newer = created(store)
    upgrade(newer)
    soon = raw_store.time()[0] * 1000 + 60_000
    store.registrations.put(Registration("r1", "d", "app", None, None), expires_at_ms=soon, end="{}")
    before = contents(raw_store)
    with pytest.raises(NewerRelease):
        append(store, registration_ends())
    assert store_at(61).expiry.sweep() == 0
    assert contents(raw_store) == before


def registration_ends() -> NetworkEvent:
    kind = EventType.REGISTRATION_ENDS
    return NetworkEvent("e1", "/gateway", kind, "r1", None, 0, numbered=True, last=False, payload="{}")


def test_a_lease_of_what_was_upgraded_meanwhile_is_lost(
    store: Store, upgrade: Upgrade, raw_store: "redis.Redis"
) -> None:
    made = created(store)
    append(store, invitation(1))
    (leased,) = claim(store)
    upgrade(made)
    before = contents(raw_store)
    assert store.claims.settle([Settlement(leased, 1, dead=(DroppedEvent(1, "refused", ""),))]) == ["lost"]
    assert contents(raw_store) == before


def test_the_sweeper_leaves_it_and_goes_on_with_the_others(
    store: Store, store_at: StoreAt, upgrade: Upgrade, raw_store: "redis.Redis"
) -> None:
    soon = raw_store.time()[0] * 1000 + 60_000
    made = [created(store, expires_at_ms=soon) for _ in range(6)]
    for subscription in made[:4]:
        upgrade(subscription)
    later = store_at(61)
    assert [later.expiry.sweep(limit=3), later.expiry.sweep(limit=3)] == [2, 0]
    statuses = [raw_store.hget(P.subscription(subscription.id), "status") for subscription in made]
    assert statuses == ["ACTIVE"] * 4 + ["EXPIRED"] * 2
    assert all(raw_store.zscore(P.ends, subscription.id) == soon for subscription in made[:4])


def test_what_a_newer_release_ended_is_removed_by_it(
    store: Store, store_at: StoreAt, upgrade: Upgrade, raw_store: "redis.Redis"
) -> None:
    made = created(store)
    store.subscriptions.end(
        made.id, TerminationReason.SUBSCRIPTION_DELETED, Status.DELETED, drop_pending=True
    )
    store.claims.settle([Settlement(claim(store)[0], 1)])
    upgrade(made)
    assert store_at(99_999).expiry.sweep() == 0
    assert raw_store.exists(P.subscription(made.id))


def test_an_initial_event_is_left_to_it(
    store: Store, store_at: StoreAt, upgrade: Upgrade, raw_store: "redis.Redis"
) -> None:
    made = created(store)
    raw_store.hset(P.subscription(made.id), "initial_pending", "1")
    raw_store.zadd(P.initial, {made.id: raw_store.time()[0] * 1000})
    upgrade(made)
    before = contents(raw_store)
    store_at(60).expiry.sweep()
    assert contents(raw_store) == before


def test_its_owner_is_asked_to_try_again(store: Store, upgrade: Upgrade, raw_store: "redis.Redis") -> None:
    made = created(store)
    upgrade(made)
    before = contents(raw_store)
    for act in (
        lambda: store.subscriptions.get(made.id),
        lambda: all_of(store),
        lambda: store.subscriptions.update(made, expires_at_ms=4_000_000_000_000, sealed=None),
        lambda: store.subscriptions.end(
            made.id, TerminationReason.SUBSCRIPTION_DELETED, Status.DELETED, drop_pending=True
        ),
    ):
        with pytest.raises(NewerRelease, match="try again"):
            act()
    assert contents(raw_store) == before


def test_who_may_listen_is_for_the_release_that_keeps_the_registration(
    store: Store, raw_store: "redis.Redis"
) -> None:
    created(store)
    store.registrations.put(Registration("r1", "d", "app", None, None), expires_at_ms=None, end="")
    raw_store.hset(P.registration_record("r1"), "format", FORMAT + 1)
    with pytest.raises(NewerRelease):
        append(store, invitation(1))
    with pytest.raises(NewerRelease):
        store.subscriptions.create(new_subscription(), sink="https://a.example/", headers={}, sealed=None)


def test_an_operators_commands_leave_it(
    store: Store, settings: Settings, upgrade: Upgrade, raw_store: "redis.Redis"
) -> None:
    box = CredentialBox(settings.secret_key)
    made = created(store)
    append(store, invitation(1))
    store.claims.settle([Settlement(claim(store)[0], 1, dead=(DroppedEvent(1, "refused", ""),))])
    raw_store.hset(P.subscription(made.id), "credential", box.seal(Credential("t", 1), made.id))
    upgrade(made)
    before = contents(raw_store)
    dead_letters = DeadLetters(store)
    (dead_letter,) = dead_letters.newest_first(DeadLetterFilter())
    assert dead_letters.redeliver(dead_letter).outcome == "newer"
    result = KeyRotation(store, CredentialBox([bytes([1] * 32), *settings.secret_key])).run(lambda _: None)
    assert (result.newer, result.resealed) == (1, 0)
    assert contents(raw_store) == before
