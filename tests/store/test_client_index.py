"""A client's index: who counts towards its quota, whatever happens in between, and pages that lose nobody."""

import dataclasses
import json
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import hypothesis
import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import contents, servers_of
from tests.harness.builders import SINK, all_of, append, created, invitation, new_subscription
from tests.production.releases import previous
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.model import EventType, Registration, Status, Subscription, TerminationReason
from webrtc_events.core.settings import Settings
from webrtc_events.store.client_index import PAGE
from webrtc_events.store.erasure import Erasure
from webrtc_events.store.keys import Partition, client_key, end_note, new_subscription_id, partition_of
from webrtc_events.store.standings import Standing, standing_call
from webrtc_events.store.store import Store

P = partition_of("r1", 64)
INDEX = client_key("app")
LONG_AGO = 1_700_000_000


@pytest.fixture
def limited(settings: Settings) -> Iterator[Callable[..., Store]]:
    """Opens the store with a quota."""
    opened: list[Store] = []

    def connect(max_subscriptions: int, **changes: int) -> Store:
        changed = dataclasses.replace(settings, max_subscriptions=max_subscriptions, **changes)  # type: ignore[arg-type]
        opened.append(Store.connect(changed))
        return opened[-1]

    yield connect
    for store in opened:
        store.close()


def outcome(store: Store, **values: object) -> str:
    made = new_subscription(**values)  # type: ignore[arg-type]
    return store.subscriptions.create(made, sink=SINK, headers={}, sealed=None).outcome


def standings(raw: "redis.Redis") -> dict[str, str]:
    """By the scores, as lua/shared/client_index.lua explains them."""
    scores = raw.zrange(INDEX, 0, -1, withscores=True)
    return {
        subscription_id: "ended" if score < 0 else "live" if score < 2**20 else "pending"
        for subscription_id, score in scores
    }


def named_by_the_release_before(raw: "redis.Redis", count: int, status: str | None) -> list[str]:
    """Members of the index, and records of which no more is read than the status."""
    ids = [new_subscription_id(Partition(number % 64)) for number in range(count)]
    pipe = raw.pipeline(transaction=False)
    for number, subscription_id in enumerate(ids):
        if status is not None:
            pipe.hset(
                Partition(number % 64).subscription(subscription_id),
                mapping={"status": status, "client": "app"},
            )
    pipe.execute()
    for first in range(0, count, 1000):
        raw.zadd(INDEX, dict.fromkeys(ids[first : first + 1000], LONG_AGO))
    return ids


# An end gives back quota


def deleted(store: Store, made: Subscription) -> None:
    store.subscriptions.end(
        made.id, TerminationReason.SUBSCRIPTION_DELETED, Status.DELETED, drop_pending=True
    )


def ended_by_the_operator(store: Store, made: Subscription) -> None:
    store.subscriptions.end(made.id, TerminationReason.NETWORK_TERMINATED, Status.EXPIRED, drop_pending=False)


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
    assert standings(raw_store) == {
        subscription.id: "ended" if subscription in made[:3] else "live" for subscription in made
    }
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


def test_a_crash_before_it_was_confirmed_costs_nothing(
    limited: Callable[..., Store], raw_store: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    store = limited(2)

    def crash(*_: object) -> None:
        raise Unavailable

    with monkeypatch.context() as context:
        context.setattr(store.client_index, "confirm", crash)
        made = created(store)
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
    store.client_index.confirm("app", made.id)
    assert standings(raw_store) == {made.id: "ended"}
    store.client_index.remove("app", made.id)
    store.client_index.confirm("app", made.id)
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
    assert standings(raw_store) == {made.id: "live"}
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


# Who counts wrongly is found


def test_what_is_not_there_is_found_among_those_that_count(
    limited: Callable[..., Store], raw_store: "redis.Redis"
) -> None:
    """A record that an operator removed, or a release before ended: nobody left a note."""
    store = limited(100)
    made = [created(store, registration=f"r{number}") for number in range(100)]
    assert outcome(store) == "quota"
    gone, over = made[41], made[73]
    raw_store.delete(partition_of("r41", 64).subscription(gone.id))
    raw_store.hset(partition_of("r73", 64).subscription(over.id), "status", "EXPIRED")
    outcomes = Counter(outcome(store) for _ in range(200))
    assert outcomes == {"created": 2, "quota": 198}
    assert (raw_store.zscore(INDEX, gone.id), standings(raw_store)[over.id]) == (None, "ended")


def test_one_that_cannot_be_read_counts(limited: Callable[..., Store], raw_store: "redis.Redis") -> None:
    store = limited(3)
    made = [created(store) for _ in range(3)]
    raw_store.delete(P.subscription(made[0].id))
    raw_store.set(P.subscription(made[0].id), "garbled")
    raw_store.hdel(P.subscription(made[1].id), "status")
    raw_store.hset(P.subscription(made[2].id), "status", "\udcff".encode("utf-8", "surrogateescape"))
    raw_store.zadd(INDEX, {subscription.id: LONG_AGO for subscription in made})
    assert outcome(store, registration="r2") == "quota"
    assert standings(raw_store) == {subscription.id: "live" for subscription in made}


def test_an_index_of_another_type_is_made_anew_with_what_counts(
    limited: Callable[..., Store], raw_store: "redis.Redis"
) -> None:
    store = limited(2)
    made = [created(store) for _ in range(2)]
    ended_by_the_operator(store, made[0])
    raw_store.delete(INDEX)
    raw_store.set(INDEX, "garbled")
    assert outcome(store) == "created"
    assert outcome(store) == "quota"
    assert [standings(raw_store)[subscription.id] for subscription in made] == ["ended", "live"]


def test_notes_of_another_type_are_made_anew(limited: Callable[..., Store], raw_store: "redis.Redis") -> None:
    store = limited(1)
    made = created(store)
    raw_store.set(P.ended, "garbled")
    ended_by_the_operator(store, made)
    store.expiry.sweep()
    store.expiry.sweep()
    assert outcome(store) == "created"
    assert raw_store.get(f"set-aside:{P.ended}") == "garbled"


# What a create costs


def calls_of(raw: "redis.Redis") -> Counter[str]:
    """Commands that the store ran, those of scripts among them."""
    found: Counter[str] = Counter()
    for server in servers_of(raw):
        for name, stat in server.info("commandstats").items():
            found[name.removeprefix("cmdstat_")] += stat["calls"]
    return found


def cost(raw: "redis.Redis", act: Callable[[], object]) -> Counter[str]:
    before = calls_of(raw)
    act()
    spent = calls_of(raw) - before
    return Counter({name: count for name, count in spent.items() if name not in ("info", "ping")})


def costs_as_much(raw: "redis.Redis", store: Store, few: Counter[str]) -> bool:
    """But once in some seconds, when a partition's time is written down."""
    return any(cost(raw, lambda: outcome(store)) == few for _ in range(3))


def test_a_create_costs_the_same_whatever_the_client_has(
    limited: Callable[..., Store], raw_store: "redis.Redis"
) -> None:
    store = limited(0)
    outcome(store)
    few = cost(raw_store, lambda: outcome(store))
    live = named_by_the_release_before(raw_store, 3_000, "ACTIVE")
    raw_store.zadd(INDEX, dict.fromkeys(live, LONG_AGO / 2**20))
    assert costs_as_much(raw_store, store, few)
    # With a quota that has room, too, and with ended ones in the index.
    over = named_by_the_release_before(raw_store, 3_000, "EXPIRED")
    raw_store.zadd(INDEX, dict.fromkeys(over, LONG_AGO - 2**34))
    assert cost(raw_store, lambda: outcome(limited(4_000)))["hget"] == few["hget"]
    assert sum(few.values()) < 60


def test_a_refused_create_costs_the_same_whatever_the_client_has(
    limited: Callable[..., Store], raw_store: "redis.Redis"
) -> None:
    spent = []
    for count in (500, 3_000):
        live = named_by_the_release_before(raw_store, count, "ACTIVE")
        raw_store.zadd(INDEX, dict.fromkeys(live, LONG_AGO / 2**20))
        store = limited(1)
        spent.append(cost(raw_store, lambda: outcome(store)))  # noqa: B023
    assert spent[0]["hget"] == spent[1]["hget"] == 20
    assert sum(spent[1].values()) == sum(spent[0].values()) < 200


# What the release before left


@pytest.mark.slow
@pytest.mark.parametrize("status", ["EXPIRED", "DELETED", None])
def test_an_index_full_of_ended_ones_is_read_once(
    limited: Callable[..., Store],
    raw_store: "redis.Redis",
    monkeypatch: pytest.MonkeyPatch,
    status: str | None,
) -> None:
    """Of 30,000 no more than it takes to find room."""
    named_by_the_release_before(raw_store, 30_000, status)
    store = limited(10_000)
    # Whatever is read is read in steps of some hundreds.
    largest: list[int] = []
    look = store.client_index._look_at

    def looked_at(client: str, ids: Sequence[str]) -> int:
        largest.append(len(ids))
        return look(client, ids)

    monkeypatch.setattr(store.client_index, "_look_at", looked_at)
    assert outcome(store) == "created"
    assert max(largest) <= 200
    found = Counter(standings(raw_store).values())
    # One page more may have been read than was needed, and one subscription was made.
    assert 9_800 < found["pending"] + found["live"] <= 10_000
    assert cost(raw_store, lambda: outcome(store))["hget"] <= 210


def test_one_full_of_living_ones_stays_full(limited: Callable[..., Store], raw_store: "redis.Redis") -> None:
    ids = named_by_the_release_before(raw_store, 1_000, "ACTIVE")
    store = limited(1_000)
    assert [outcome(store) for _ in range(3)] == ["quota"] * 3
    assert standings(raw_store) == dict.fromkeys(ids, "live")


OLD_READS = """
import json, sys
from webrtc_events.keys import new_subscription_id, partition_of
from webrtc_events.model import EventType, Subscription
from webrtc_events.settings import Settings
from webrtc_events.store import Store
store = Store.connect(Settings.from_environ(json.loads(sys.argv[1])))
made = Subscription(
    id=new_subscription_id(partition_of("r9", 64)), client="app", subject=None,
    type=EventType.SESSION_INVITATION, registration="r9", session=None, request={}, starts_at_ms=0,
    expires_at_ms=None, max_events=None,
)
shown = sorted(each.id for each in store.list_of("app"))
outcomes = [store.create(made, sink="https://a.example/", headers={}, sealed=None).outcome]
print(json.dumps([shown, outcomes[0], made.id]))
"""


@pytest.mark.slow
def test_the_release_before_reads_the_index_after_a_rollback(
    raw_store: "redis.Redis",
    environ: dict[str, str],
    former_wheel: Path,
    tmp_path: Path,
    limited: Callable[..., Store],
) -> None:
    """It shows the same, counts the same, and what it writes is understood."""
    if len(servers_of(raw_store)) > 1:
        pytest.skip("0.1.0 knows no cluster")
    store = limited(0)
    old = previous(former_wheel, tmp_path)
    made = [created(store, registration=f"r{number}") for number in range(4)]
    for subscription in made[:2]:
        ended_by_the_operator(store, subscription)
    store.expiry.sweep()
    lost = new_subscription_id(P)
    # A record that went without a word, in each standing.
    for standing in (Standing.LIVE, Standing.ENDED):
        gone = new_subscription_id(P)
        raw_store.zadd(INDEX, {gone: LONG_AGO})
        store.scripts.run([standing_call("app", {gone: standing})])
    raw_store.zadd(INDEX, {lost: LONG_AGO})

    def at_the_old(max_subscriptions: int) -> list[str]:
        changed = environ | {"WEBRTC_EVENTS_MAX_SUBSCRIPTIONS": str(max_subscriptions)}
        command = old.python("-c", OLD_READS, json.dumps(changed))
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
        answer: list[str] = json.loads(done.stdout)
        return answer

    shown, refused, _ = at_the_old(2)
    assert (shown, refused) == (sorted(subscription.id for subscription in made), "quota")
    assert set(standings(raw_store)) == {subscription.id for subscription in made}
    _, taken, by_old = at_the_old(3)
    assert taken == "created"
    assert standings(raw_store)[by_old] == "pending"
    assert outcome(limited(3)) == "quota"
    assert outcome(limited(4)) == "created"


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
    assert Counter(standings(raw_store).values()) == {"live": 5}


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


# Pages


def ids_of_pages(store: Store) -> list[str]:
    return [entry for page in store.client_index.pages("app") for entry in page]


def test_pages_are_in_the_order_of_making_whatever_became_of_each(
    store: Store, raw_store: "redis.Redis"
) -> None:
    made = [created(store, registration=f"r{number % 7}").id for number in range(PAGE * 2 + 7)]
    kinds = [Standing.LIVE, Standing.ENDED]
    store.scripts.run(
        [standing_call("app", {subscription_id: kinds[n % 2] for n, subscription_id in enumerate(made)})]
    )
    assert ids_of_pages(store) == made
    assert [len(page) for page in store.client_index.pages("app")] == [PAGE, PAGE, 7]


def test_many_that_were_named_in_one_second_are_all_there(store: Store, raw_store: "redis.Redis") -> None:
    ids = [new_subscription_id(P) for _ in range(PAGE * 5)]
    raw_store.zadd(INDEX, dict.fromkeys(ids, LONG_AGO))
    assert ids_of_pages(store) == sorted(ids)
    assert store.client_index.count("app") == len(ids)


def test_a_last_page_that_is_full_is_the_last(store: Store, raw_store: "redis.Redis") -> None:
    raw_store.zadd(INDEX, {new_subscription_id(P): LONG_AGO + n for n in range(PAGE)})
    assert [len(page) for page in store.client_index.pages("app")] == [PAGE]
    assert list(store.client_index.pages("nobody")) == []


@hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.data())
def test_who_is_there_throughout_comes_once(
    store: Store, raw_store: "redis.Redis", data: st.DataObject
) -> None:
    """Between two pages others end, are confirmed, are removed, are made."""
    raw_store.flushall()
    seconds = data.draw(st.lists(st.integers(0, 3), min_size=PAGE, max_size=PAGE * 3))
    # The same each time: how many pages there are depends on their order, and so what is drawn.
    ids = [f"{sha256(b'%d' % n).hexdigest()[:32]}-{n % 64:02x}" for n in range(len(seconds))]
    raw_store.zadd(
        INDEX, {subscription_id: LONG_AGO + at for subscription_id, at in zip(ids, seconds, strict=True)}
    )
    some = st.lists(st.sampled_from(ids), max_size=20)
    found: list[str] = []
    removed: set[str] = set()
    for page in store.client_index.pages("app"):
        found += page
        for standing in Standing:
            chosen = dict.fromkeys(data.draw(some), standing)
            if chosen:
                store.scripts.run([standing_call("app", chosen)])
            if standing is Standing.GONE:
                removed |= chosen.keys()
    assert len(found) == len(set(found))
    assert set(ids) - removed <= set(found)
    order = dict(zip(ids, seconds, strict=True))
    assert [(order[subscription_id], subscription_id) for subscription_id in found] == sorted(
        (order[subscription_id], subscription_id) for subscription_id in found
    )
