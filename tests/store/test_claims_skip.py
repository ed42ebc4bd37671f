"""A worker that leaves subscriptions to others passes them, and claims what is due behind 10,000 of them."""

from collections.abc import Callable

import pytest
import redis

from tests.conftest import servers_of
from tests.harness.builders import append, created, invitation
from tests.harness.channels import BASE, listening, new_channel
from tests.store.claiming import P
from tests.store.shared_payloads import StoreWith
from webrtc_events.core.errors import Unavailable
from webrtc_events.store.formats import BASE_FORMAT, FORMAT
from webrtc_events.store.keys import new_subscription_id
from webrtc_events.store.store import Store

MANY = 10_000
SOME = 2_000
# Source: lua/claim.lua.
MAX_PASSED = 500
LOOK_AGAIN_S = 60


@pytest.fixture
def knowing(store_with: StoreWith) -> Store:
    return store_with(channels_url=BASE)


@pytest.fixture
def ignorant(store_with: StoreWith) -> Store:
    """A worker without CHANNELS_URL."""
    return store_with(channels_url=None)


def copied(raw_store: "redis.Redis", original: str, count: int, **changes: object) -> list[str]:
    """That many due subscriptions like this one, in the order of their becoming due, 50 in a ms."""
    record = raw_store.hgetall(P.subscription(original)) | changes
    outbox = raw_store.lrange(P.outbox(original), 0, -1)
    due_at = raw_store.zscore(P.due, original)
    made = [new_subscription_id(P) for _ in range(count)]
    pipe = raw_store.pipeline(transaction=False)
    for number, subscription_id in enumerate(made):
        pipe.hset(P.subscription(subscription_id), mapping=record)
        pipe.rpush(P.outbox(subscription_id), *outbox)
        pipe.zadd(P.due, {subscription_id: due_at - MANY + number // 50})
    pipe.execute()
    return made


def unknown(knowing: Store, raw_store: "redis.Redis", count: int = SOME) -> list[str]:
    """Due subscriptions whose sink is a channel."""
    original = listening(knowing, new_channel(knowing))
    append(knowing, invitation(1))
    return [*copied(raw_store, original.id, count - 1), original.id]


@pytest.fixture
def read(raw_store: "redis.Redis") -> Callable[[], int]:
    """How many subscriptions scripts have read since it was asked last."""
    before = [0]

    def count() -> int:
        stats = [server.info("commandstats") for server in servers_of(raw_store)]
        now = sum(stat.get("cmdstat_hmget", {"calls": 0})["calls"] for stat in stats)
        found, before[0] = now - before[0], now
        return int(found)

    count()
    return count


def claim(store: Store, subscriptions: int = 50) -> tuple[list[str], bool]:
    """What was claimed, and whether more may be due at once."""
    found = store.claims.claim_round([P], subscriptions=subscriptions, events=8)
    return [claimed.subscription_id for claimed in found.claims], found.due_in_ms.get(P.number) == 0


def walk(store: Store, read: Callable[[], int]) -> list[str]:
    """Claims until nothing more is due: what was claimed. No claim holds up the store for long."""
    found: list[str] = []
    read()
    for _ in range(2 * MANY // MAX_PASSED):
        claimed, more = claim(store)
        found += claimed
        assert read() <= MAX_PASSED + 3 * 50
        if not more and not claimed:
            return found
    raise AssertionError("there is always more")


def test_what_is_due_behind_ten_thousand_is_found_and_a_claim_stays_cheap(
    knowing: Store, ignorant: Store, raw_store: "redis.Redis", read: Callable[[], int]
) -> None:
    left = unknown(knowing, raw_store, MANY)
    due = raw_store.zrange(P.due, 0, -1, withscores=True)
    assert walk(ignorant, read) == []
    assert raw_store.zrange(P.due, 0, -1, withscores=True) == due
    assert {raw_store.hget(P.subscription(subscription_id), "fence") for subscription_id in left[::99]} == {
        "0"
    }
    # From now on they cost nothing.
    assert claim(ignorant) == ([], False)
    assert read() < 100
    webhook = created(ignorant)
    append(ignorant, invitation(2))
    assert claim(ignorant)[0] == [webhook.id]
    assert read() < 200


def test_who_knows_their_channels_has_them_all(
    knowing: Store, ignorant: Store, raw_store: "redis.Redis", read: Callable[[], int]
) -> None:
    """Also while the other passes them, from places that are gone by then."""
    left = unknown(knowing, raw_store)
    claim(ignorant)
    found: list[str] = []
    while len(found) < SOME:
        claimed, _ = claim(knowing, 300)
        assert claimed
        found += claimed
        assert claim(ignorant)[0] == []
    assert sorted(found) == sorted(left)
    webhook = created(ignorant)
    append(ignorant, invitation(2))
    assert walk(ignorant, read) == [webhook.id]


def test_those_that_it_may_take_by_now_it_finds_again(
    store_with: StoreWith, ignorant: Store, raw_store: "redis.Redis", read: Callable[[], int]
) -> None:
    """A newer release wrote them, and was taken back."""
    original = created(ignorant)
    append(ignorant, invitation(1))
    newer = copied(raw_store, original.id, MAX_PASSED + 1, format=FORMAT + 1)
    assert walk(ignorant, read) == [original.id]
    for subscription_id in newer:
        raw_store.hset(P.subscription(subscription_id), "format", BASE_FORMAT)
    assert claim(ignorant) == ([], False)
    later = store_with(LOOK_AGAIN_S + 1, channels_url=None)
    later.claims._passed = ignorant.claims._passed
    assert set(newer) <= set(walk(later, read))


@pytest.mark.parametrize("subscriptions", [1, 3, 50])
def test_where_some_are_between_them_none_is_passed(
    knowing: Store, ignorant: Store, raw_store: "redis.Redis", subscriptions: int
) -> None:
    """However few are asked for at once."""
    left = unknown(knowing, raw_store)
    original = created(ignorant)
    append(ignorant, invitation(2))
    webhooks = {original.id, *copied(raw_store, original.id, SOME // 100)}
    for place, subscription_id in zip(range(0, SOME, 100), webhooks - {original.id}, strict=True):
        raw_store.zadd(P.due, {subscription_id: raw_store.zscore(P.due, left[place])})
    found: list[str] = []
    for _ in range(200):
        claimed, more = claim(ignorant, subscriptions)
        found += claimed
        if not claimed and not more:
            break
    assert sorted(found) == sorted(webhooks)


@pytest.mark.parametrize("back_s", [3, 2 * 86_400])
def test_what_becomes_due_once_the_clock_went_back_is_found_at_once(
    store_with: StoreWith, back_s: int
) -> None:
    """Whether by less than a partition makes up for, or by more than it believes."""
    unknown_channel = listening(knowing := store_with(back_s, channels_url=BASE), new_channel(knowing))
    append(knowing, invitation(1))
    ahead = store_with(back_s + 1, channels_url=None)
    assert claim(ahead) == ([], False)
    now = store_with(channels_url=None)
    now.claims._passed = ahead.claims._passed
    assert unknown_channel.id in now.claims._passed[P.number]
    webhook = created(now)
    append(now, invitation(2))
    assert claim(now)[0] == [webhook.id]


def test_what_a_replica_does_not_know_as_claimed_is_claimed_again(
    knowing: Store, ignorant: Store, raw_store: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once it took over: a claim that it did not answer, or that came to nobody, lies between."""
    webhook = created(ignorant)
    append(ignorant, invitation(1))
    due_at = raw_store.zscore(P.due, webhook.id)
    assert claim(ignorant)[0] == [webhook.id]
    unknown(knowing, raw_store, 1)
    assert claim(ignorant) == ([], False)
    with monkeypatch.context() as away:
        away.setattr(
            ignorant.connection.scripts, "run_some", lambda calls, **_: [Unavailable() for _ in calls]
        )
        with pytest.raises(Unavailable):
            claim(ignorant)
    raw_store.zadd(P.due, {webhook.id: due_at})
    assert claim(ignorant)[0] == [webhook.id]
