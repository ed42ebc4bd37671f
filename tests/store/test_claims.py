"""Claims and settlements: leases, order, and what a stale lease may not do."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
import redis

from tests.conftest import contents
from tests.harness.builders import append, created, invitation
from tests.harness.wakeups import Hearing
from tests.store.claiming import P, StoreAt, claim, claim_one, delete, now_ms, numbers, settle
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.outcomes import End, ScheduledRetry, SinkResult
from webrtc_events.store.formats import FORMAT
from webrtc_events.store.redis.scripts import Call, Scripts
from webrtc_events.store.settlements import DroppedEvent, Settlement
from webrtc_events.store.store import Store


def test_events_come_in_the_order_of_acceptance(store: Store) -> None:
    created(store)
    append(store, *(invitation(number) for number in range(1, 11)))
    found = claim_one(store, events=4)
    assert numbers(found) == [1, 2, 3, 4]
    assert settle(store, found) == "due"
    found = claim_one(store, events=8)
    assert numbers(found) == [5, 6, 7, 8, 9, 10]
    assert settle(store, found) == "idle"
    assert claim(store) == []


def test_a_leased_subscription_is_not_claimed_again_until_the_lease_ran_out(
    store: Store, store_at: StoreAt
) -> None:
    created(store)
    append(store, invitation(1))
    first = claim_one(store)
    append(store, invitation(2))
    assert claim(store) == []
    second = claim_one(store_at(30.1))
    assert numbers(second) == [1, 2]
    assert second.fence > first.fence


def test_a_stale_lease_writes_nothing(store: Store, store_at: StoreAt, raw_store: "redis.Redis") -> None:
    created(store)
    append(store, invitation(1))
    stale = claim_one(store)
    current = claim_one(store_at(31))
    before = contents(raw_store)
    assert settle(store, stale, dead=(DroppedEvent(1, "refused", ""),), attempts=({"n": 1},)) == "lost"
    assert contents(raw_store) == before
    assert settle(store_at(31), current) == "idle"


def test_a_settle_names_numbers_so_that_what_came_later_stays(store: Store) -> None:
    created(store)
    append(store, invitation(1))
    found = claim_one(store)
    append(store, invitation(2))
    assert settle(store, found) == "due"
    assert numbers(claim_one(store)) == [2]


def test_a_retry_holds_back_all_that_follows(store: Store, store_at: StoreAt) -> None:
    created(store)
    append(store, invitation(1), invitation(2))
    found = claim_one(store)
    assert settle(store, found, through=0, follow_up=ScheduledRetry(5_000, 1, 1)) == "due"
    assert claim(store) == []
    append(store, invitation(3))
    assert claim(store_at(4)) == []
    again = claim_one(store_at(6))
    assert (numbers(again), again.attempts) == ([1, 2, 3], 1)
    assert settle(store_at(6), again, through=1) == "due"
    assert claim_one(store_at(6)).attempts == 0


def test_a_dropped_event_is_kept_as_a_dead_letter(store: Store, raw_store: "redis.Redis") -> None:
    made = created(store)
    append(store, invitation(1), invitation(2))
    assert settle(store, claim_one(store), dead=(DroppedEvent(1, "refused", "HTTP 400"),)) == "idle"
    ((_, dead_letter),) = raw_store.xrange(P.dead)
    assert (dead_letter["subscription"], dead_letter["reason"], dead_letter["detail"]) == (
        made.id,
        "refused",
        "HTTP 400",
    )
    assert '"sequenceNumber": 1' in dead_letter["entry"]
    assert raw_store.ttl(P.dead) > 0


def test_attempts_are_kept_as_they_were_noted(store: Store, raw_store: "redis.Redis") -> None:
    created(store)
    append(store, invitation(1))
    tried = ({"attempt": 1, "detail": "\u00e9"}, {"attempt": 2, "status": None})
    settle(store, claim_one(store), attempts=tried)
    kept = [json.loads(entry["attempt"]) for _, entry in raw_store.xrange(P.attempts)]
    assert kept == list(tried)


def test_what_goes_on_at_once_behind_a_retry_wakes_a_listener(store: Store) -> None:
    """Who settled it would come back after the delay of an event that was given up meanwhile."""
    made = created(store)
    append(store, invitation(1), invitation(2))
    found = claim_one(store)
    delete(store, made.id)
    with Hearing(store) as hearing:
        assert hearing.numbers(0.01) == set()
        assert settle(store, found, through=0, follow_up=ScheduledRetry(60_000, 1, 1)) == "due"
        assert hearing.numbers(5) == {P.number}
    assert [item.end for item in claim_one(store).items] == [True]


def test_what_stands_behind_an_entry_that_cannot_be_read_wakes_a_listener(
    store: Store, raw_store: "redis.Redis"
) -> None:
    made = created(store)
    append(store, invitation(1))
    raw_store.lpush(P.outbox(made.id), "no entry")
    with Hearing(store) as hearing:
        assert hearing.numbers(0.01) == set()
        assert claim(store) == []
        assert hearing.numbers(5) == {P.number}
    assert numbers(claim_one(store)) == [1]


def test_what_was_claimed_and_not_heard_of_is_given_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    created(store)
    append(store, invitation(1))
    run_some = Scripts.run_some

    def losing(scripts: Scripts, calls: Sequence[Call], *, repeats: bool, begun: None) -> list[Any]:
        assert repeats is False
        run_some(scripts, calls, repeats=repeats, begun=begun)
        return [Unavailable() for _ in calls]

    with monkeypatch.context() as away:
        away.setattr(Scripts, "run_some", losing)
        for _ in range(2):
            with pytest.raises(Unavailable):
                claim(store)
    assert numbers(claim_one(store)) == [1]
    # Once, however often it was lost.
    assert claim(store) == []


def test_entries_that_cannot_be_read_become_dead_letters_and_hold_back_nobody(
    store: Store, raw_store: "redis.Redis", caplog: pytest.LogCaptureFixture
) -> None:
    damaged, sound = created(store), created(store)
    append(store, invitation(1), invitation(2), invitation(3))
    raw_store.lset(P.outbox(damaged.id), 1, "x")
    assert [found.subscription_id for found in claim(store)] == [sound.id]
    ((_, letter),) = raw_store.xrange(P.dead)
    assert (letter["subscription"], letter["reason"], letter["entry"]) == (damaged.id, "damaged", "x")
    assert any(line.startswith(f"damaged subscription={damaged.id}: ") for line in caplog.messages)
    assert numbers(claim_one(store)) == [1, 3]


def test_a_claim_that_cannot_be_read_is_logged_and_holds_back_nobody(
    store: Store, raw_store: "redis.Redis", caplog: pytest.LogCaptureFixture
) -> None:
    damaged, sound = created(store), created(store)
    append(store, invitation(1))
    raw_store.hset(P.subscription(damaged.id), "headers", "[]")
    assert [found.subscription_id for found in claim(store)] == [sound.id]
    (line,) = caplog.messages
    assert line.startswith(
        f"damaged subscription={damaged.id}: what is needed to deliver cannot be read: TypeError."
    )


def test_what_is_damaged_when_it_is_settled_is_logged(
    store: Store, raw_store: "redis.Redis", caplog: pytest.LogCaptureFixture
) -> None:
    made = created(store)
    append(store, invitation(1))
    found = claim_one(store)
    raw_store.hset(P.subscription(made.id), "drop_before", "x")
    assert settle(store, found) == "damaged"
    (line,) = caplog.messages
    assert line.startswith(f"damaged subscription={made.id}: its field drop_before is no number.")


def test_a_claim_says_when_it_was_made_by_the_stores_time(
    store_at: StoreAt, raw_store: "redis.Redis"
) -> None:
    store = store_at(5)
    created(store)
    append(store, invitation(1))
    before = now_ms(raw_store)
    found = claim_one(store)
    assert before <= found.now_ms - 5_000 <= now_ms(raw_store)
    assert found.lease_until_ms == found.now_ms + 13_200


def test_what_a_newer_release_wrote_is_passed_over_and_said_once(
    store: Store, raw_store: "redis.Redis", caplog: pytest.LogCaptureFixture
) -> None:
    made = created(store)
    append(store, invitation(1))
    raw_store.hset(P.subscription(made.id), "format", FORMAT + 1)
    assert claim(store) == []
    (line,) = caplog.messages
    assert line.startswith("subscriptions were written by a newer release")


def test_a_partition_gives_no_more_bytes_than_it_is_asked_for(store: Store) -> None:
    for _ in range(3):
        created(store)
    append(store, invitation(1))
    (first,) = store.claims.claim([P], subscriptions=10, events=8, size=1)
    size = len(first.items[0].payload)
    assert len(store.claims.claim([P], subscriptions=10, events=8, size=size * 5 // 2)) == 2


def test_a_due_entry_without_its_keys_is_kept_for_later(
    store: Store, store_at: StoreAt, raw_store: "redis.Redis"
) -> None:
    made = created(store)
    append(store, invitation(1))
    raw_store.rename(P.outbox(made.id), f"{P.tag}:aside")
    assert claim(store) == []
    raw_store.rename(f"{P.tag}:aside", P.outbox(made.id))
    assert numbers(claim_one(store_at(61))) == [1]


def test_what_becomes_due_wakes_a_listener(store: Store) -> None:
    created(store)
    with Hearing(store) as hearing:
        assert hearing.numbers(0.01) == set()
        append(store, invitation(1))
        assert hearing.numbers(5) == {P.number}
        append(store, invitation(2))
        assert hearing.numbers(0.05) == set()
        # Whatever came before it listened, it did not hear.
        assert sorted(hearing.missed()) == list(range(64))
        assert hearing.missed() == []


def test_what_may_empty_an_outbox_is_settled_in_a_run_of_its_own(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may make a dead letter of each event that waits, which takes long."""
    for _ in range(6):
        created(store)
    append(store, invitation(1))
    claims = claim(store)
    runs: list[int] = []
    run_some = store.scripts.run_some

    def counted(calls: Sequence[Call], **options: Any) -> list[Any]:
        runs.extend((len(call.keys) - 1) // 2 for call in calls)
        return run_some(calls, **options)

    monkeypatch.setattr(store.scripts, "run_some", counted)
    settlements = [Settlement(found, 1) for found in claims[:4]]
    settlements.insert(2, Settlement(claims[4], 0, follow_up=End("NETWORK_TERMINATED", notify=True)))
    retry = ScheduledRetry(1_000, 1, 1)
    settlements.insert(1, Settlement(claims[5], 0, follow_up=retry, sink=SinkResult.FAILED))
    outcomes = store.claims.settle(settlements)
    assert sorted(runs) == [1, 1, 4]
    # Each has its own, in their order.
    assert outcomes == ["idle", "due", "idle", "due", "idle", "idle"]
