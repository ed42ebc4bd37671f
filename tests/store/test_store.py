"""What each atomic step of the store promises."""

import dataclasses
import hashlib
from collections.abc import Callable

import pytest
import redis

from tests.conftest import contents, kept_keys
from tests.harness.builders import all_of, append, created, invitation, session_status, subscription
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.model import Claim, End, EventType, Registration, Status, TerminationReason
from webrtc_events.core.settings import Settings
from webrtc_events.store.first_start import PartitionMismatch
from webrtc_events.store.keys import Partition, partition_of
from webrtc_events.store.settlements import DroppedEvent, RetryLater, Settlement
from webrtc_events.store.store import Store

StoreAt = Callable[..., Store]
P = partition_of("r1", 64)


def claim(store: Store, *, events: int = 8) -> list[Claim]:
    return store.claims.claim([P], subscriptions=10, events=events)


def claim_one(store: Store, *, events: int = 8) -> Claim:
    (found,) = claim(store, events=events)
    return found


def numbers(found: Claim) -> list[int]:
    return [item.number for item in found.items]


def end_reason(found: Claim) -> str | None:
    return next((item.payload for item in found.items if item.end), None)


def settle(store: Store, found: Claim, through: int | None = None, **values: object) -> str:
    last = found.items[-1].number if through is None else through
    (result,) = store.claims.settle([Settlement(found, last, **values)])  # type: ignore[arg-type]
    return result


def delete(store: Store, subscription_id: str) -> str:
    return store.subscriptions.end(
        subscription_id, TerminationReason.SUBSCRIPTION_DELETED, Status.DELETED, drop_pending=True
    )


def now_ms(raw_store: "redis.Redis") -> int:
    seconds, micros = raw_store.time()
    return seconds * 1000 + micros // 1000


# Creation and reading


def test_a_created_subscription_can_be_read_and_listed(store: Store) -> None:
    made = created(store, max_events=3)
    found = store.subscriptions.get(made.id)
    assert found is not None
    assert (found.id, found.client, found.type, found.max_events) == (made.id, "app", made.type, 3)
    assert found.status is Status.ACTIVE
    assert all_of(store) == [found]
    assert all_of(store, "other") == []


def test_an_id_that_is_none_is_not_found(store: Store) -> None:
    for unknown in ("", "x", "0" * 32 + "-40", "0" * 32 + "-00", "0" * 32 + "-000", "0" * 31 + "-00"):
        assert store.subscriptions.get(unknown) is None
        assert delete(store, unknown) == "gone"


def test_repeating_a_create_keeps_the_first(store: Store) -> None:
    made = subscription()
    first = store.subscriptions.create(made, sink="https://a.example/", headers={}, sealed=None)
    append(store, invitation(1))
    assert store.subscriptions.create(made, sink="https://b.example/", headers={}, sealed=None) == first
    assert claim_one(store).sink == "https://a.example/"


def test_a_subscription_that_would_end_in_the_past_is_not_stored(
    store: Store, raw_store: "redis.Redis"
) -> None:
    made = subscription(expires_at_ms=now_ms(raw_store))
    result = store.subscriptions.create(made, sink="https://a.example/", headers={}, sealed=None)
    assert result.outcome == "expired"
    assert kept_keys(raw_store) == ["partitions"]


def test_another_number_of_partitions_refuses_to_start(store: Store, environ: dict[str, str]) -> None:
    with pytest.raises(PartitionMismatch, match="made for 64"):
        Store.connect(Settings.from_environ(environ | {"WEBRTC_EVENTS_PARTITIONS": "32"}))


def test_a_store_that_is_down_is_unavailable(environ: dict[str, str]) -> None:
    gone = environ | {"WEBRTC_EVENTS_REDIS_URL": "redis://127.0.0.1:1/0"}
    with pytest.raises(Unavailable):
        Store.connect(Settings.from_environ(gone))


# Append


def test_an_event_reaches_every_matching_outbox_and_no_other(store: Store) -> None:
    first, second = created(store), created(store)
    created(store, event_type=EventType.REGISTRATION_ENDS)
    assert append(store, invitation(1)) == [(True, 2)]
    assert {each.subscription_id for each in claim(store)} == {first.id, second.id}


def test_the_same_event_again_changes_nothing(store: Store) -> None:
    created(store)
    assert append(store, invitation(1), invitation(1)) == [(True, 1), (False, 0)]
    assert append(store, invitation(1)) == [(False, 0)]
    assert append(store, invitation(1, source="/another")) == [(True, 1)]
    assert numbers(claim_one(store)) == [1, 2]


def test_a_session_status_is_matched_by_session_and_narrowed_by_registration(store: Store) -> None:
    mine = created(store, event_type=EventType.SESSION_STATUS, session="s1")
    elsewhere = next(f"r{n}" for n in range(2, 9999) if partition_of(f"r{n}", 64).number == P.number)
    other = created(store, event_type=EventType.SESSION_STATUS, session="s1", registration=elsewhere)
    assert store.session_index.partitions_of(["s1", "s2"])[1] == []
    assert [each.number for each in store.session_index.partitions_of(["s1"])[0]] == [P.number]
    assert append(store, session_status(1), to=P.number) == [(True, 2)]
    assert append(store, session_status(2, registration="r1")) == [(True, 1)]
    assert append(store, session_status(3, session="s2"), to=P.number) == [(True, 0)]
    assert {each.subscription_id: numbers(each) for each in claim(store)} == {mine.id: [1, 2], other.id: [1]}


def test_the_append_that_reaches_the_maximum_queues_the_end(store: Store) -> None:
    made = created(store, max_events=2)
    assert append(store, invitation(1), invitation(2), invitation(3)) == [(True, 1), (True, 1), (True, 0)]
    found = claim_one(store)
    # The end goes alone: after a crash, nothing is sent again behind it.
    assert (numbers(found), end_reason(found)) == ([1, 2], None)
    assert settle(store, found) == "due"
    found = claim_one(store)
    assert (numbers(found), end_reason(found)) == ([3], "MAX_EVENTS_REACHED")
    resource = store.subscriptions.get(made.id)
    assert resource is not None
    assert resource.status is Status.EXPIRED


def test_nothing_is_appended_after_expiry(store: Store, store_at: StoreAt, raw_store: "redis.Redis") -> None:
    created(store, expires_at_ms=now_ms(raw_store) + 60_000)
    assert append(store, invitation(1)) == [(True, 1)]
    # The sweeper has not come by yet.
    assert append(store_at(60), invitation(2)) == [(True, 0)]


# Claim and settle


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
    assert settle(store, found, through=0, follow_up=RetryLater(5_000, 1, 1)) == "due"
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
    ((_, letter),) = raw_store.xrange(P.dead)
    assert (letter["subscription"], letter["reason"], letter["detail"]) == (made.id, "refused", "HTTP 400")
    assert '"sequenceNumber": 1' in letter["entry"]
    assert raw_store.ttl(P.dead) > 0


def test_a_due_entry_without_its_keys_is_kept_for_later(
    store: Store, store_at: StoreAt, raw_store: "redis.Redis"
) -> None:
    made = created(store)
    append(store, invitation(1))
    raw_store.rename(P.outbox(made.id), f"{P.tag}:aside")
    assert claim(store) == []
    raw_store.rename(f"{P.tag}:aside", P.outbox(made.id))
    assert numbers(claim_one(store_at(61))) == [1]


def test_scripts_that_the_store_forgot_are_sent_again(store: Store, raw_store: "redis.Redis") -> None:
    created(store)
    raw_store.script_flush()
    assert append(store, invitation(1)) == [(True, 1)]
    raw_store.script_flush()
    assert settle(store, claim_one(store)) == "idle"


def test_what_becomes_due_wakes_a_listener(store: Store) -> None:
    created(store)
    wakeups = store.claims.wakeups()
    assert wakeups.wait(0.01) is None
    append(store, invitation(1))
    assert wakeups.wait(5) == P.number
    append(store, invitation(2))
    assert wakeups.wait(0.05) is None
    wakeups.close()


# Ends


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
    assert settle(store, leased, through=0, follow_up=RetryLater(60_000, 1, 1)) == "due"
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


def test_expiry_sends_what_was_accepted_then_the_end(
    store: Store, store_at: StoreAt, raw_store: "redis.Redis"
) -> None:
    made = created(store, expires_at_ms=now_ms(raw_store) + 10_000)
    append(store, invitation(1))
    assert store.expiry.sweep() == 0
    later = store_at(11)
    assert later.expiry.sweep() == 1
    assert later.expiry.sweep() == 0
    assert settle(later, claim_one(later)) == "due"
    found = claim_one(later)
    assert (numbers(found), end_reason(found)) == ([2], "SUBSCRIPTION_EXPIRED")
    resource = later.subscriptions.get(made.id)
    assert resource is not None
    assert resource.status is Status.EXPIRED


def test_an_ended_subscription_is_shown_for_the_retention_time_then_leaves_nothing(
    store: Store, store_at: StoreAt, raw_store: "redis.Redis"
) -> None:
    made = created(store, max_events=1, event_type=EventType.SESSION_STATUS, session="s1", sealed="secret")
    append(store, session_status(1), to=P.number)
    assert settle(store, claim_one(store)) == "due"
    assert settle(store, claim_one(store)) == "ended"
    assert raw_store.hget(P.subscription(made.id), "credential") is None
    assert store_at(3590).expiry.sweep() == 0
    assert [each.status for each in all_of(store_at(3590))] == [Status.EXPIRED]
    assert store_at(3601).expiry.sweep() == 1
    assert store.subscriptions.get(made.id) is None
    assert sorted(kept_keys(raw_store)) == sorted([P.seen("/gateway", "e1"), "partitions", "session:{s1}"])
    # What says which partitions know a session goes by itself.
    assert raw_store.ttl("session:{s1}") > 0


def test_a_deleted_subscription_leaves_nothing_at_once(store: Store, raw_store: "redis.Redis") -> None:
    made = created(store)
    delete(store, made.id)
    assert settle(store, claim_one(store)) == "ended"
    assert store.expiry.sweep() == 1
    assert kept_keys(raw_store) == ["partitions"]


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
    letters = [letter["reason"] for _, letter in raw_store.xrange(P.dead)]
    assert letters == ["refused", "subscription_ended"]


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


# Registrations, keys


def test_a_registration_is_stored_replaced_and_forgotten(store: Store, raw_store: "redis.Redis") -> None:
    registration = Registration("r1", "d1", "app", None, "2030-01-01T00:00:00Z")
    assert store.registrations.put(registration, expires_at_ms=None, end="") is True
    again = Registration("r1", "d2", "app", "alice", None)
    assert store.registrations.put(again, expires_at_ms=None, end="") is False
    record = raw_store.hgetall(P.registration_record("r1"))
    assert (record["device"], record["owner"], record["subject"]) == ("d2", "app", "alice")
    assert store.registrations.delete("r1") is True
    assert store.registrations.delete("r1") is False


def test_every_key_that_scripts_derive_is_named_by_keys_py(store: Store, raw_store: "redis.Redis") -> None:
    """A key that only Lua knows would be missed by whoever reads keys.py."""
    status = created(store, event_type=EventType.SESSION_STATUS, session="s1")
    made = created(store, expires_at_ms=now_ms(raw_store) + 60_000)
    append(store, invitation(1), invitation(2))
    settlement = Settlement(claim_one(store), 1, dead=(DroppedEvent(1, "refused", ""),), attempts=({"n": 1},))
    store.claims.settle([settlement])
    twin = created(store, expires_at_ms=now_ms(raw_store) + 60_000)
    long = dataclasses.replace(invitation(3), payload="x" * 70_000)
    append(store, long)
    part = Partition(P.number)
    expected = {
        "partitions",
        "shares-payloads",
        part.payloads,
        part.payload(hashlib.sha1(long.payload.encode(), usedforsecurity=False).hexdigest()),
        part.subscription(twin.id),
        part.outbox(twin.id),
        part.seen("/gateway", "e3"),
        "client:{app}",
        "session:{s1}",
        part.due,
        part.ends,
        part.dead,
        part.attempts,
        part.clock,
        part.subscription(made.id),
        part.subscription(status.id),
        part.outbox(made.id),
        part.registration(EventType.SESSION_INVITATION, "r1"),
        part.registration(EventType.SESSION_STATUS, "r1"),
        part.session("s1"),
        part.seen("/gateway", "e1"),
        part.seen("/gateway", "e2"),
        part.registration_state("r1"),
    }
    assert set(raw_store.keys("*")) == expected
