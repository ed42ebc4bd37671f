"""A subscription ends once, for the cause that came first."""

import redis

from tests.harness.builders import all_of, append, created, invitation
from tests.store.claiming import P, StoreAt, claim, claim_one, delete, end_reason, numbers, settle
from webrtc_events.core.model import Status, TerminationReason
from webrtc_events.core.outcomes import End, ScheduledRetry
from webrtc_events.store.settlements import DroppedEvent
from webrtc_events.store.store import Store


def test_delete_drops_what_is_pending_and_sends_the_end(store: Store) -> None:
    made = created(store)
    append(store, invitation(1), invitation(2))
    assert delete(store, made.id) == "ended"
    assert store.subscriptions.get(made.id) is None
    assert all_of(store) == []
    found = claim_one(store)
    assert (numbers(found), end_reason(found)) == ([3], "SUBSCRIPTION_DELETED")
    assert settle(store, found) == "ended"
    assert append(store, invitation(3)) == [(True, 0)]
    assert claim(store) == []


def test_a_second_delete_finds_nothing(store: Store) -> None:
    made = created(store)
    assert delete(store, made.id) == "ended"
    assert delete(store, made.id) == "gone"


def test_delete_never_breaks_a_live_lease(store: Store) -> None:
    made = created(store)
    append(store, invitation(1), invitation(2), invitation(3))
    leased = claim_one(store, events=2)
    assert delete(store, made.id) == "ended"
    assert claim(store) == []
    assert settle(store, leased, through=1) == "due"
    found = claim_one(store)
    assert (numbers(found), end_reason(found)) == ([4], "SUBSCRIPTION_DELETED")


def test_a_retry_settled_after_a_delete_does_not_delay_the_end(store: Store) -> None:
    made = created(store)
    append(store, invitation(1))
    leased = claim_one(store)
    delete(store, made.id)
    assert settle(store, leased, through=0, follow_up=ScheduledRetry(60_000, 1, 1)) == "due"
    found = claim_one(store)
    assert (numbers(found), found.attempts) == ([2], 0)


def test_after_a_lease_ran_out_a_delete_shuts_its_settle_out(store: Store, store_at: StoreAt) -> None:
    made = created(store)
    append(store, invitation(1))
    stale = claim_one(store)
    later = store_at(31)
    assert delete(later, made.id) == "ended"
    assert settle(later, stale) == "lost"
    assert numbers(claim_one(later)) == [2]


def test_a_lease_that_runs_out_after_a_delete_leaves_only_the_end(store: Store, store_at: StoreAt) -> None:
    made = created(store)
    append(store, invitation(1))
    claim_one(store)
    delete(store, made.id)
    assert numbers(claim_one(store_at(31))) == [2]


def test_the_first_cause_is_the_reason(store: Store) -> None:
    made = created(store, max_events=1)
    append(store, invitation(1))
    assert delete(store, made.id) == "already"
    assert store.subscriptions.get(made.id) is None
    found = claim_one(store)
    assert (numbers(found), end_reason(found)) == ([2], "MAX_EVENTS_REACHED")


def test_a_sink_that_is_gone_ends_the_subscription_without_a_word(
    store: Store, raw_store: "redis.Redis"
) -> None:
    made = created(store)
    append(store, invitation(1), invitation(2))
    found = claim_one(store)
    end = End(TerminationReason.NETWORK_TERMINATED, False)
    assert (
        settle(store, found, through=1, dead=(DroppedEvent(1, "refused", "410"),), follow_up=end) == "ended"
    )
    assert claim(store) == []
    resource = store.subscriptions.get(made.id)
    assert resource is not None
    assert resource.status is Status.EXPIRED
    dead_letters = [dead_letter["reason"] for _, dead_letter in raw_store.xrange(P.dead)]
    assert dead_letters == ["refused", "subscription_ended"]


def test_an_expired_token_ends_the_subscription_and_the_end_is_tried_once(store: Store) -> None:
    created(store)
    append(store, invitation(1), invitation(2))
    found = claim_one(store)
    end = End(TerminationReason.ACCESS_TOKEN_EXPIRED, True)
    assert settle(store, found, through=1, follow_up=end) == "due"
    found = claim_one(store)
    assert (numbers(found), end_reason(found), found.end_once) == ([3], "ACCESS_TOKEN_EXPIRED", True)


def test_an_end_by_the_sink_keeps_the_reason_that_came_first(store: Store) -> None:
    created(store, max_events=2)
    append(store, invitation(1), invitation(2))
    found = claim_one(store, events=1)
    end = End(TerminationReason.ACCESS_TOKEN_EXPIRED, True)
    assert settle(store, found, follow_up=end) == "due"
    assert end_reason(claim_one(store)) == "MAX_EVENTS_REACHED"
