"""A client's index: it is mended, costs the same at any length, and is read by the release before."""

import json
import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import redis

from tests.conftest import servers_of
from tests.harness.builders import created
from tests.production.releases import previous
from tests.store.client_indexes import INDEX, LONG_AGO, P, ended_by_the_operator, outcome, standings
from webrtc_events.store.keys import Partition, new_subscription_id, partition_of
from webrtc_events.store.standings import Standing, standing_call
from webrtc_events.store.store import Store


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
    # EVAL follows the EVALSHA of a script that the server does not know yet.
    return Counter({name: count for name, count in spent.items() if name not in ("info", "ping", "eval")})


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
        # What the time of its partition has come to is kept each 5 s.
        spent[-1].pop("set", None)
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
    limited(0)
    # A store that 0.1.0 began: it could not go back to one that it never used.
    raw_store.delete("shares-payloads")
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
        # It knows no channels, and refuses a name that it does not know.
        del changed["WEBRTC_EVENTS_CHANNELS_URL"]
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
