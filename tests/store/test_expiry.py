"""What time does to a subscription."""

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import count, islice

import pytest
import redis

from tests.conftest import kept_keys
from tests.harness.builders import all_of, append, created, invitation, session_status
from tests.store.claiming import P, StoreAt, claim_one, delete, end_reason, now_ms, numbers, settle
from tests.store.shared_payloads import StoreWith
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.model import Credential, EventType, Registration, Status
from webrtc_events.store.keys import Partition, client_key, new_subscription_id, partition_of
from webrtc_events.store.redis.begun import Begun
from webrtc_events.store.redis.scripts import Call
from webrtc_events.store.store import Store


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
    assert [subscription.status for subscription in all_of(store_at(3590))] == [Status.EXPIRED]
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


def test_what_could_not_be_removed_is_not_done_and_is_with_the_next_sweep(
    store: Store, raw_store: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    made = created(store)
    delete(store, made.id)
    assert settle(store, claim_one(store)) == "ended"

    def away(*_: object) -> None:
        raise Unavailable

    monkeypatch.setattr(store.client_index, "remove", away)
    assert store.expiry.sweep() == 0
    assert raw_store.exists(P.subscription(made.id))
    monkeypatch.undo()
    assert store.expiry.sweep() == 1
    assert kept_keys(raw_store) == ["partitions"]


MANY = 120
# Of no more than this nobody has to wait, and so many end in one sweep: see sweep.lua.
AT_ONCE = 50


def ended_together(
    store: Store, store_at: Callable[[float], Store], raw_store: "redis.Redis"
) -> tuple[list[str], Store]:
    """The ids of MANY that expired at once, and the store after the sweeps that ended them."""
    expires_at_ms = now_ms(raw_store) + 10_000
    names = map("registration-{}".format, count())
    registrations = islice((name for name in names if partition_of(name, 64).number == P.number), MANY)
    ids = [created(store, expires_at_ms=expires_at_ms, registration=name).id for name in registrations]
    later = store_at(11)
    while later.expiry.sweep():
        pass
    return ids, later


def test_many_that_end_at_once_are_sent_their_ends_over_a_while(
    store: Store, store_at: StoreAt, raw_store: "redis.Redis"
) -> None:
    ids, later = ended_together(store, store_at, raw_store)
    assert {subscription.status for subscription in all_of(later)} == {Status.EXPIRED}
    due_ms = [raw_store.zscore(P.due, subscription_id) or 0 for subscription_id in ids]
    # Evenly, 40 in a second, the last ones too: of each of three sweeps one at a time.
    assert max(Counter(due_ms).values()) <= MANY / AT_ONCE + 1
    waiting = sorted(round(at - now_ms(raw_store) - 11_000) for at in due_ms)
    assert len({at // 100 for at in waiting}) > len(waiting) // 8
    # None waits for longer than all of them take.
    assert waiting[-1] <= MANY * 25


def test_few_that_end_are_sent_their_ends_at_once_whatever_is_retried(
    store: Store, store_at: StoreAt, raw_store: "redis.Redis"
) -> None:
    (ids,) = expiring(store, raw_store, 1, AT_ONCE).values()
    due = Partition(0).due
    raw_store.zadd(due, {f"retry-{number}": now_ms(raw_store) + 11_000 + 5_000 for number in range(MANY)})
    later = store_at(11)
    while later.expiry.sweep():
        pass
    due_by_now = raw_store.zrange(due, "-inf", now_ms(raw_store) + 11_000, byscore=True)
    assert set(due_by_now) == {*ids}


def expiring(store: Store, raw_store: "redis.Redis", partitions: int, of_each: int) -> dict[int, list[str]]:
    """The ids of some that expire in 10 s, by partition, all of one client."""
    expires_at_ms = now_ms(raw_store) + 10_000
    found: dict[int, list[str]] = {number: [] for number in range(partitions)}
    for name in map("registration-{}".format, count()):
        ids = found.get(partition_of(name, 64).number)
        if ids is not None and len(ids) < of_each:
            ids.append(created(store, expires_at_ms=expires_at_ms, registration=name).id)
        if all(len(ids) == of_each for ids in found.values()):
            return found
    raise AssertionError


def test_one_that_is_damaged_keeps_nothing_from_others_that_end_with_it(
    store: Store, store_at: StoreAt, raw_store: "redis.Redis"
) -> None:
    (ids,) = expiring(store, raw_store, 1, 70).values()
    partition, damaged = Partition(0), ids[35]
    raw_store.set(partition.outbox(damaged), "x")
    later = store_at(11)
    while later.expiry.sweep():
        pass
    others = {subscription_id for subscription_id in ids if subscription_id != damaged}
    assert set(raw_store.zrange(partition.due, 0, -1)) == others
    assert all(raw_store.llen(partition.outbox(subscription_id)) == 1 for subscription_id in others)
    # It comes back when it may have been repaired.
    assert raw_store.zrange(partition.ends, 0, -1) == [damaged]
    raw_store.delete(partition.outbox(damaged))
    mended = store_at(11 + 61)
    while mended.expiry.sweep():
        pass
    assert set(raw_store.zrange(partition.due, 0, -1)) == {*ids}


def test_while_ends_are_left_the_indexes_of_clients_wait_and_are_right_in_the_end(
    store: Store, store_at: StoreAt, raw_store: "redis.Redis"
) -> None:
    (ids,) = expiring(store, raw_store, 1, 70).values()
    later = store_at(11)
    later.expiry.sweep()
    assert raw_store.zcard(Partition(0).ended) == AT_ONCE
    # Whoever finds no room meanwhile does not wait for that.
    assert later.client_index.reserve("app", new_subscription_id(Partition(0)), len(ids) - AT_ONCE + 1)
    while later.expiry.sweep():
        pass
    assert raw_store.exists(Partition(0).ended) == 0
    # Those that are over do not count.
    assert all((raw_store.zscore(client_key("app"), subscription_id) or 0) < 0 for subscription_id in ids)


def test_many_in_several_partitions_are_ended_two_at_a_time_and_nothing_is_left_under_way(
    store: Store, store_at: StoreAt, raw_store: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    made = expiring(store, raw_store, 14, 26)
    later = store_at(11)
    under_way, most = 0, 0
    begin, end = later.scripts.begin, later.scripts.end

    def begun(calls: Sequence[Call]) -> Begun | None:
        nonlocal under_way, most
        found = begin(calls)
        under_way += found is not None
        most = max(most, under_way)
        return found

    def ended(what: Begun) -> None:
        nonlocal under_way
        under_way -= 1
        end(what)

    monkeypatch.setattr(later.scripts, "begin", begun)
    monkeypatch.setattr(later.scripts, "end", ended)
    while later.expiry.sweep():
        pass
    assert {subscription.status for subscription in all_of(later)} == {Status.EXPIRED}
    for number, ids in made.items():
        assert set(raw_store.zrange(Partition(number).due, 0, -1)) == {*ids}
    assert (most, under_way) == (2, 0)


def test_an_event_does_not_wait_behind_many_ends(
    store: Store, store_at: StoreAt, raw_store: "redis.Redis"
) -> None:
    awake = created(store, expires_at_ms=now_ms(raw_store) + 3_600_000)
    _, later = ended_together(store, store_at, raw_store)
    append(later, invitation(1))
    found = later.claims.claim_round([P], subscriptions=MANY, events=8)
    assert awake.id in [claimed.subscription_id for claimed in found.claims]
    assert len(found.claims) <= AT_ONCE + 2
    # Whoever claimed knows when the next of them is due.
    assert 0 <= found.due_in_ms[P.number] <= 1_500


def test_half_of_its_deadline_is_left_when_an_end_is_due(
    store: Store, store_with: StoreWith, raw_store: "redis.Redis"
) -> None:
    ids, _ = ended_together(
        store, lambda seconds: store_with(seconds, subscription_ended_deadline_s=1), raw_store
    )
    now = now_ms(raw_store) + 11_000
    assert max(raw_store.zscore(P.due, subscription_id) or 0 for subscription_id in ids) <= now + 500


def test_who_ends_with_its_registration_and_expires_before_the_sweep_keeps_what_was_accepted(
    store: Store, store_at: StoreAt, raw_store: "redis.Redis"
) -> None:
    store.registrations.put(
        Registration("r1", "d1", "app", None, None), expires_at_ms=now_ms(raw_store) + 9_000, end="{}"
    )
    created(store, expires_at_ms=now_ms(raw_store) + 10_000)
    append(store, invitation(1))
    later = store_at(11)
    while later.expiry.sweep():
        pass
    assert raw_store.xlen(P.dead) == 0
    assert raw_store.zcard(P.ends) == 0
    found = claim_one(later, events=1)
    assert numbers(found) == [1]
    assert settle(later, found) == "due"
    assert end_reason(claim_one(later)) == "NETWORK_TERMINATED"


def test_who_ends_with_its_registration_has_its_tokens_time_for_what_was_accepted(
    store: Store, store_at: StoreAt, raw_store: "redis.Redis"
) -> None:
    store.registrations.put(
        Registration("r1", "d1", "app", None, None), expires_at_ms=now_ms(raw_store) + 9_000, end="{}"
    )
    token_until_ms = now_ms(raw_store) + 3_600_000
    made = created(
        store,
        sealed="sealed",
        credential=Credential("token", token_until_ms),
        expires_at_ms=now_ms(raw_store) + 10_000,
    )
    append(store, invitation(1))
    later = store_at(11)
    while later.expiry.sweep():
        pass
    assert raw_store.xlen(P.dead) == 0
    # The token's time for what is pending has not passed.
    cut_at = raw_store.hget(P.subscription(made.id), "token_cut_at")
    assert raw_store.zrange(P.ends, 0, -1, withscores=True) == [(made.id, float(cut_at or 0))]
    assert numbers(claim_one(later)) == [1]
