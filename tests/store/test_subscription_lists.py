"""Lists are read in few round trips, whatever they hold, and never many bytes at once."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis

from tests.harness.builders import created
from tests.store.client_indexes import INDEX, LONG_AGO
from webrtc_events.core.errors import NewerRelease
from webrtc_events.store import subscription_lists
from webrtc_events.store.keys import Partition, new_subscription_id
from webrtc_events.store.packed_requests import whole
from webrtc_events.store.store import Store
from webrtc_events.store.subscription_lists import PAGE


def made(store: Store, raw: "redis.Redis", count: int, partitions: int = 64) -> list[str]:
    """Subscriptions spread over partitions, in the order in which they were named."""
    first = created(store)
    fields = raw.hgetall(Partition(int(first.id.rpartition("-")[2], 16)).subscription(first.id))
    raw.zrem(INDEX, first.id)
    ids = [new_subscription_id(Partition(number % partitions)) for number in range(count)]
    pipe = raw.pipeline(transaction=False)
    for number, subscription_id in enumerate(ids):
        pipe.hset(Partition(number % partitions).subscription(subscription_id), mapping=fields)
    pipe.execute()
    raw.zadd(INDEX, {subscription_id: LONG_AGO + number for number, subscription_id in enumerate(ids)})
    return ids


def key_of(subscription_id: str) -> str:
    return Partition(int(subscription_id.rpartition("-")[2], 16)).subscription(subscription_id)


def listed(store: Store) -> list[str]:
    return [found.id for page in store.subscription_lists.pages_of("app") for found in page]


def grown(raw: "redis.Redis", subscription_id: str, size: int) -> None:
    record = raw.hgetall(key_of(subscription_id))
    request = json.loads(whole(record["request"], record))
    request["config"]["subscriptionDetail"]["deviceId"] = "x" * size
    raw.hset(key_of(subscription_id), "request", json.dumps(request))


@contextmanager
def counting(sent: list[int]) -> Iterator[None]:
    sent.clear()
    yield


@pytest.mark.parametrize("partitions", [1, 7, 64])
def test_a_list_of_a_thousand_takes_two_round_trips(
    store: Store, raw_store: "redis.Redis", sent: list[int], partitions: int
) -> None:
    ids = made(store, raw_store, 1_000, partitions)
    # By then the store knows the scripts.
    assert listed(store) == ids
    with counting(sent):
        pages = list(store.subscription_lists.pages_of("app"))
    assert [len(page) for page in pages] == [PAGE] * 10
    assert len(sent) == 2
    assert max(sent) <= partitions + 10


def test_what_is_read_at_once_has_a_bound_in_bytes(
    store: Store, raw_store: "redis.Redis", sent: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond it there are more round trips; one that is larger by itself comes alone."""
    ids = made(store, raw_store, 300, 5)
    for subscription_id in ids[40:60]:
        grown(raw_store, subscription_id, 20_000)
    grown(raw_store, ids[100], 500_000)
    assert listed(store) == ids
    monkeypatch.setattr(subscription_lists, "_BYTES_AT_ONCE", 100_000)
    with counting(sent):
        assert listed(store) == ids
    # Some kB for most of them, 400 kB for twenty, 500 kB for one.
    assert 7 <= len(sent) < 60


def test_what_is_not_there_or_is_damaged_is_passed_over(
    store: Store, raw_store: "redis.Redis", monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also when there is room for one at a time."""
    ids = made(store, raw_store, 30, 3)
    gone, garbled, foreign, deleted, lacking = ids[0], ids[3], ids[4], ids[11], ids[29]
    raw_store.delete(*map(key_of, (gone, garbled, foreign)))
    raw_store.set(key_of(garbled), "x")
    raw_store.hset(key_of(foreign), "colour", "green")
    raw_store.hset(key_of(deleted), "status", "DELETED")
    raw_store.hdel(key_of(lacking), "client")
    raw_store.zadd(INDEX, {"no id": LONG_AGO - 1, "0" * 32 + "-ff": LONG_AGO})
    left_out = {gone, garbled, foreign, deleted, lacking}
    for bytes_at_once in (1, 2_000, 2_000_000):
        monkeypatch.setattr(subscription_lists, "_BYTES_AT_ONCE", bytes_at_once)
        assert listed(store) == [found for found in ids if found not in left_out]
    for damaged in (garbled, foreign, lacking):
        assert f"damaged subscription={damaged}" in caplog.text


def test_one_of_a_newer_release_ends_the_list(store: Store, raw_store: "redis.Redis") -> None:
    ids = made(store, raw_store, 5)
    raw_store.hset(key_of(ids[2]), "format", "99")
    with pytest.raises(NewerRelease):
        listed(store)
