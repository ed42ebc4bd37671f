"""A client's quota: what counts towards it, through ends, crashes and races."""

import threading
from collections import Counter
from collections.abc import Callable

import pytest
import redis

from tests.conftest import contents
from tests.harness.builders import SINK, all_of, append, created, invitation, new_subscription
from tests.store.client_indexes import INDEX, LONG_AGO, P, ended_by_the_operator, outcome, standings
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.model import EventType, Registration, Status, Subscription, TerminationReason
from webrtc_events.store.erasure import Erasure
from webrtc_events.store.keys import Partition, client_key, end_note, new_subscription_id
from webrtc_events.store.store import Store


def deleted(store: Store, made: Subscription) -> None:
    store.subscriptions.end(
        made.id, TerminationReason.SUBSCRIPTION_DELETED, Status.DELETED, drop_pending=True
    )


def at_its_maximum(store: Store, made: Subscription) -> None:
    append(store, invitation(1), invitation(2))


def discarded(store: Store, made: Subscription) -> None:
    store.client.delete(P.subscription(made.id))
    store.client.set(P.subscription(made.id), "garbled")
    assert store.subscriptions.discard(made.id, "app")


def erased(store: Store, made: Subscription) -> None:
    erasure = Erasure(store)
    erasure.erase(erasure.find("r1"))


@pytest.mark.parametrize(
    "end", [deleted, ended_by_the_operator, at_its_maximum, discarded, erased], ids=lambda end: end.__name__
)
def test_an_end_gives_back_quota_without_a_worker(
    limited: Callable[..., Store], end: Callable[[Store, Subscription], None]
) -> None:
    store = limited(2)
    made = created(store, max_events=2)
    created(store, registration="r2")
    assert outcome(store) == "quota"
    end(store, made)
    assert outcome(store) == "created"
    assert outcome(store) == "quota"


def test_an_end_by_time_gives_back_quota_once_the_sweeper_ran(
    limited: Callable[..., Store], raw_store: "redis.Redis"
) -> None:
    store = limited(1)
    seconds, _ = raw_store.time()
    made = created(store, expires_at_ms=(seconds + 60) * 1000)
    raw_store.hset(P.subscription(made.id), "expires_at", 1)
    raw_store.zadd(P.ends, {made.id: 1})
    assert outcome(store) == "quota"
    store.expiry.sweep()
    assert outcome(store) == "created"


def test_an_end_with_its_registration_gives_back_quota(limited: Callable[..., Store]) -> None:
    store = limited(2)
    registration = Registration("r1", "d1", "app", None, None)
    past = '{"id": "x", "type": "' + EventType.REGISTRATION_ENDS + '", "data": {}}'
    store.registrations.put(registration, expires_at_ms=1, end=past)
    created(store)
    created(store, event_type=EventType.REGISTRATION_ENDS)
    assert outcome(store, registration="r2") == "quota"
    store.expiry.sweep()
    assert [outcome(store, registration="r2") for _ in range(3)] == ["created", "created", "quota"]


def test_the_sweeper_settles_notes_and_leaves_none(store: Store, raw_store: "redis.Redis") -> None:
    made = [created(store, registration=f"r{number}") for number in range(5)]
    for subscription in made[:3]:
        ended_by_the_operator(store, subscription)
    assert sum(raw_store.zcard(Partition(number).ended) for number in range(64)) == 3
    store.expiry.sweep()
    # The last one is confirmed by the next.
    expected = ["ended", "ended", "ended", "live", "pending"]
    assert standings(raw_store) == dict(
        zip((subscription.id for subscription in made), expected, strict=True)
    )
    assert sum(raw_store.zcard(Partition(number).ended) for number in range(64)) == 0
    # Ended ones are shown for as long as they are kept.
    assert {subscription.id for subscription in all_of(store)} == {subscription.id for subscription in made}


def test_notes_of_more_than_one_round_bring_the_sweeper_back_at_once(
    store: Store, raw_store: "redis.Redis"
) -> None:
    ids = [new_subscription_id(P) for _ in range(250)]
    raw_store.zadd(INDEX, dict.fromkeys(ids, LONG_AGO))
    raw_store.zadd(P.ended, {end_note("app", subscription_id): 0 for subscription_id in ids})
    assert [store.expiry.sweep() for _ in range(3)] == [100, 100, 0]
    assert set(standings(raw_store).values()) == {"ended"}
    assert not raw_store.exists(P.ended)


def test_an_erased_subscription_leaves_no_note(store: Store, raw_store: "redis.Redis") -> None:
    ended_by_the_operator(store, created(store))
    assert raw_store.exists(P.ended)
    erased(store, new_subscription())
    assert not raw_store.exists(P.ended)
    assert standings(raw_store) == {}


@pytest.mark.parametrize("note", ["", "x", "app", "3:app", "4:app " + "0" * 32 + "-00", "3:app x", "\udcff"])
def test_a_note_that_says_nothing_goes(store: Store, raw_store: "redis.Redis", note: str) -> None:
    made = created(store)
    raw_store.zadd(P.ended, {note.encode("utf-8", "surrogateescape"): 0, end_note("app", made.id): 0})
    store.expiry.sweep()
    assert not raw_store.exists(P.ended)
    assert standings(raw_store) == {made.id: "ended"}


def test_clients_whose_names_begin_alike_have_separate_quotas(limited: Callable[..., Store]) -> None:
    store = limited(1)
    clients = ["app", "app 1", "app 1 ", "3:app", "app}", "{app", "é", "é 1"]
    made = {client: created(store, client=client) for client in clients}
    for index, client in enumerate(clients):
        ended_by_the_operator(store, made[client])
        for other in clients[index + 1 :]:
            assert outcome(store, client=other) == "quota"
        assert outcome(store, client=client) == "created"


# Crashes in between


def test_a_crash_before_the_subscription_takes_quota_for_a_minute(
    limited: Callable[..., Store], raw_store: "redis.Redis"
) -> None:
    store = limited(2)
    lost = [new_subscription_id(P) for _ in range(2)]
    now = SystemClock().now()
    raw_store.zadd(INDEX, {lost[0]: now - 5, lost[1]: now - 61})
    assert all_of(store) == []
    assert outcome(store) == "created"
    assert outcome(store) == "quota"
    assert raw_store.zscore(INDEX, lost[0])
    assert raw_store.zscore(INDEX, lost[1]) is None


def test_what_was_made_is_confirmed_by_the_next_create(store: Store, raw_store: "redis.Redis") -> None:
    first, other = created(store), created(store, client="other")
    assert standings(raw_store) == {first.id: "pending"}
    second = created(store)
    assert standings(raw_store) == {first.id: "live", second.id: "pending"}
    assert outcome(store, expires_at_ms=1) == "expired"
    assert standings(raw_store) == {first.id: "live", second.id: "live"}
    assert raw_store.zscore(client_key("other"), other.id) > 2**20


def test_a_crash_before_it_was_confirmed_costs_nothing(
    limited: Callable[..., Store], raw_store: "redis.Redis"
) -> None:
    """Of a process that makes no other."""
    store = limited(2)
    made = created(limited(2))
    assert standings(raw_store) == {made.id: "pending"}
    assert [subscription.id for subscription in all_of(store)] == [made.id]
    raw_store.zadd(INDEX, {made.id: LONG_AGO})
    assert outcome(store) == "created"
    assert outcome(store) == "quota"
    assert standings(raw_store)[made.id] == "live"
    ended_by_the_operator(store, made)
    assert outcome(store) == "created"


def test_a_confirmation_that_comes_late_brings_nothing_back(store: Store, raw_store: "redis.Redis") -> None:
    made = created(store)
    ended_by_the_operator(store, made)
    store.expiry.sweep()
    assert outcome(store, expires_at_ms=1) == "expired"
    assert standings(raw_store) == {made.id: "ended"}
    store.client_index.remove("app", made.id)
    store.client_index.confirm("app", made.id)
    assert outcome(store, expires_at_ms=1) == "expired"
    assert standings(raw_store) == {}


def test_a_crash_before_a_note_is_settled_leaves_it_to_the_next(
    limited: Callable[..., Store], raw_store: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    store = limited(1)
    made = created(store)
    ended_by_the_operator(store, made)

    def crash(*_: object) -> None:
        raise Unavailable

    with monkeypatch.context() as context:
        context.setattr(store.client_index, "settle_notes", crash)
        store.expiry.sweep()
    assert standings(raw_store) == {made.id: "pending"}
    assert outcome(store) == "created"
    assert standings(raw_store)[made.id] == "ended"


def test_a_create_whose_answer_was_lost_counts_once(store: Store, raw_store: "redis.Redis") -> None:
    """The client of the store sends what broke again."""
    made = new_subscription()
    assert store.client_index.reserve("app", made.id, 1)
    before = contents(raw_store)
    assert store.client_index.reserve("app", made.id, 1)
    assert contents(raw_store) == before
    assert not store.client_index.reserve("app", new_subscription().id, 1)


def test_a_refused_create_takes_no_quota(store: Store, raw_store: "redis.Redis") -> None:
    assert outcome(store, expires_at_ms=1) == "expired"
    assert standings(raw_store) == {}


# Races


def test_creates_at_once_are_as_many_as_may_be(
    limited: Callable[..., Store], raw_store: "redis.Redis"
) -> None:
    stores = [limited(5) for _ in range(12)]
    start, outcomes = threading.Barrier(len(stores)), []

    def create(store: Store) -> None:
        start.wait()
        outcomes.extend(outcome(store) for _ in range(3))

    threads = [threading.Thread(target=create, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(outcomes) == {"created": 5, "quota": 31}
    assert len(standings(raw_store)) == 5
    assert "ended" not in standings(raw_store).values()


def test_ends_and_creates_at_once_keep_the_count(
    limited: Callable[..., Store], raw_store: "redis.Redis"
) -> None:
    max_subscriptions, workers = 10, 4
    stores = [limited(max_subscriptions, max_registration_subscriptions=0) for _ in range(workers + 1)]
    start, over = threading.Barrier(workers + 1), threading.Event()
    seen: list[int] = []

    def come_and_go(store: Store) -> None:
        start.wait()
        for _ in range(40):
            made = new_subscription()
            if store.subscriptions.create(made, sink=SINK, headers={}, sealed=None).outcome == "created":
                deleted(store, made)

    def keep(store: Store) -> None:
        start.wait()
        while not over.is_set():
            store.expiry.sweep()
            seen.append(sum(standing != "ended" for standing in standings(raw_store).values()))

    sweeper = threading.Thread(target=keep, args=(stores[-1],))
    threads = [threading.Thread(target=come_and_go, args=(store,)) for store in stores[:-1]]
    for thread in (sweeper, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    over.set()
    sweeper.join()
    for _ in range(3):
        stores[0].expiry.sweep()
    assert max(seen) <= max_subscriptions
    # Every one was ended, and waits for a worker to tell its sink.
    assert set(standings(raw_store).values()) == {"ended"}
    assert not [key for key in raw_store.scan_iter() if key.endswith(":ended")]
