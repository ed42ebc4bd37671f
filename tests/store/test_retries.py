"""Retries that wait are made due before their time: only those that still wait, and nothing else changes."""

import pytest
import redis

from tests.conftest import contents
from tests.harness.builders import append, created, invitation
from tests.store.claiming import P, StoreAt, claim, claim_one, delete, now_ms, numbers, settle
from webrtc_events.core.model import Claim, Subscription
from webrtc_events.core.outcomes import ScheduledRetry, SinkResult
from webrtc_events.store.formats import FORMAT
from webrtc_events.store.keys import partition_of
from webrtc_events.store.retries import WaitingRetry
from webrtc_events.store.store import Store


def waiting(store: Store, *, registration: str = "r1", delay_ms: int = 60_000) -> tuple[Subscription, Claim]:
    """A subscription whose two events wait for the retry of the first, and the claim that was settled so."""
    made = created(store, registration=registration)
    append(store, invitation(1, registration=registration), invitation(2, registration=registration))
    partition = partition_of(registration, 64)
    (found,) = store.claims.claim([partition], subscriptions=10, events=8)
    assert settle(store, found, through=0, follow_up=ScheduledRetry(delay_ms, 3, 1)) == "due"
    return made, found


def retry_of(found: Claim) -> WaitingRetry:
    return WaitingRetry(found.subscription_id, found.fence)


def test_a_retry_that_waits_is_due_at_once_and_comes_as_it_would(store: Store) -> None:
    _, found = waiting(store)
    assert claim(store) == []
    assert store.retries.hasten([retry_of(found)]) == [True]
    again = claim_one(store)
    assert (numbers(again), again.attempts) == ([1, 2], 3)
    assert again.items[0].deadline_ms == found.items[0].deadline_ms
    assert again.fence > found.fence


def test_nothing_but_its_moment_changes(store: Store, raw_store: "redis.Redis") -> None:
    _, found = waiting(store)
    before = contents(raw_store)
    store.retries.hasten([retry_of(found)])
    after = contents(raw_store)
    assert {key for key in before | after if before.get(key) != after.get(key)} == {P.due}


def test_several_partitions_are_asked_and_each_answers_for_its_own(store: Store) -> None:
    found = [waiting(store, registration=f"r{number}")[1] for number in range(12)]
    retries = [retry_of(one) for one in found]
    retries[5] = WaitingRetry(retries[5].subscription_id, 1)
    assert store.retries.hasten(retries) == [number != 5 for number in range(12)]
    assert store.retries.hasten(retries) == [False] * 12
    assert store.retries.hasten([]) == []


def test_one_that_was_claimed_since_is_left_to_its_lease(
    store: Store, store_at: StoreAt, raw_store: "redis.Redis"
) -> None:
    made, found = waiting(store)
    later = store_at(61)
    again = claim_one(later)
    until = raw_store.zscore(P.due, made.id)
    assert later.retries.hasten([retry_of(found), retry_of(again)]) == [False, False]
    assert raw_store.zscore(P.due, made.id) == until
    assert settle(later, again) == "idle"
    assert later.retries.hasten([retry_of(again)]) == [False]
    assert raw_store.exists(P.due) == 0


def test_one_that_waits_for_a_later_retry_waits_on(store: Store, raw_store: "redis.Redis") -> None:
    """As when its sink has asked for a pause since, with another answer."""
    made, found = waiting(store)
    store.retries.hasten([retry_of(found)])
    again = claim_one(store)
    settle(store, again, through=0, follow_up=ScheduledRetry(3_600_000, 4, 1))
    assert store.retries.hasten([retry_of(found)]) == [False]
    assert float(raw_store.zscore(P.due, made.id) or 0) > now_ms(raw_store) + 3_000_000


def test_one_that_is_due_already_keeps_its_moment(
    store: Store, store_at: StoreAt, raw_store: "redis.Redis"
) -> None:
    made, found = waiting(store)
    moment = raw_store.zscore(P.due, made.id)
    assert store_at(61).retries.hasten([retry_of(found)]) == [False]
    assert raw_store.zscore(P.due, made.id) == moment


def test_one_that_was_deleted_since_gets_its_end_once(store: Store, raw_store: "redis.Redis") -> None:
    made, found = waiting(store)
    delete(store, made.id)
    assert store.retries.hasten([retry_of(found)]) == [False]
    end = claim_one(store)
    assert [item.end for item in end.items] == [True]
    assert settle(store, end) == "ended"
    before = contents(raw_store)
    assert store.retries.hasten([retry_of(found)]) == [False]
    assert contents(raw_store) == before


def test_what_a_newer_release_wrote_is_left_alone(store: Store, raw_store: "redis.Redis") -> None:
    made, found = waiting(store)
    raw_store.hset(P.subscription(made.id), "format", FORMAT + 1)
    before = contents(raw_store)
    assert store.retries.hasten([retry_of(found)]) == [False]
    assert contents(raw_store) == before


def two_waiting(store: Store) -> list[Claim]:
    """Of one partition."""
    created(store), created(store)
    append(store, invitation(1))
    found = claim(store)
    for one in found:
        settle(store, one, through=0, follow_up=ScheduledRetry(60_000, 1, 1))
    return found


@pytest.mark.parametrize("field", ["format", "lease_until"])
def test_one_that_is_damaged_stops_no_other(
    store: Store, raw_store: "redis.Redis", caplog: pytest.LogCaptureFixture, field: str
) -> None:
    damaged, well = two_waiting(store)
    raw_store.hset(P.subscription(damaged.subscription_id), field, "garbled")
    assert store.retries.hasten([retry_of(damaged), retry_of(well)]) == [False, True]
    assert damaged.subscription_id in caplog.text


def test_a_key_of_another_type_stops_no_other(
    store: Store, raw_store: "redis.Redis", caplog: pytest.LogCaptureFixture
) -> None:
    damaged, well = two_waiting(store)
    raw_store.set(P.subscription(damaged.subscription_id), "text")
    assert store.retries.hasten([retry_of(damaged), retry_of(well)]) == [False, True]
    assert damaged.subscription_id in caplog.text


def test_an_index_of_another_type_is_made_anew(store: Store, raw_store: "redis.Redis") -> None:
    _, found = waiting(store)
    raw_store.delete(P.due)
    raw_store.set(P.due, "text")
    assert store.retries.hasten([retry_of(found)]) == [False]
    assert raw_store.smembers(P.rebuild) == {P.due}


def test_what_answers_again_comes_in_turn_with_other_hosts(store: Store) -> None:
    """Whose sink fails waits by its age. One that answers again does not wait behind many that do."""
    for number in range(40):
        created(store, sink=f"https://silent.example/{number}")
    back = created(store, sink="https://back.example/")
    append(store, invitation(1))
    for found in store.claims.claim([P], subscriptions=99, events=1):
        delay_ms = 60_000 if found.subscription_id == back.id else 0
        waits = ScheduledRetry(delay_ms, 1, 1)
        settle(store, found, through=0, follow_up=waits, sink=SinkResult.FAILED)
        if found.subscription_id == back.id:
            retry = retry_of(found)
    assert store.retries.hasten([retry]) == [True]
    due = store.claims.claim([P], subscriptions=4, events=1)
    assert back.id in {found.subscription_id for found in due}
