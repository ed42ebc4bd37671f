"""Lists are read in few round trips, whatever they hold, and never many bytes at once."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from redis.exceptions import ClusterCrossSlotError

from tests.harness.builders import created
from tests.store.client_indexes import INDEX, LONG_AGO
from webrtc_events.core.errors import NewerRelease
from webrtc_events.core.model import EventType, ListedSubscription
from webrtc_events.store import record_texts
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
    assert max(sent) <= (partitions + 10 if store.client.nodes.has_slots else 10)


def test_a_node_of_a_cluster_that_was_taken_for_a_server_is_asked_by_slots(
    store: Store, raw_store: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = made(store, raw_store, 10)
    if store.client.nodes.has_slots:
        pytest.skip("a cluster is known as one")
    nodes, run = store.client.nodes, store.client.run

    def as_a_node(commands: Sequence[Any], **options: Any) -> list[Any]:
        """What it says of keys in two slots."""
        answers = run(commands, **options)
        keys = [args[3 : 3 + args[2]] if args[0] == "EVALSHA" else () for args, _ in commands]
        apart = [len({key.partition("}")[0] for key in some}) > 1 for some in keys]
        error = ClusterCrossSlotError("Keys in request don't hash to the same slot")
        return [error if is_apart else answer for is_apart, answer in zip(apart, answers, strict=True)]

    monkeypatch.setattr(store.client, "run", as_a_node)
    assert listed(store) == ids
    assert nodes.has_slots


def test_what_is_read_at_once_has_a_bound_in_bytes(
    store: Store, raw_store: "redis.Redis", sent: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond it there are more round trips; one that is larger by itself comes alone."""
    ids = made(store, raw_store, 300, 5)
    for subscription_id in ids[40:60]:
        grown(raw_store, subscription_id, 20_000)
    grown(raw_store, ids[100], 500_000)
    assert listed(store) == ids
    monkeypatch.setattr(record_texts, "_BYTES_AT_ONCE", 100_000)
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
        monkeypatch.setattr(record_texts, "_BYTES_AT_ONCE", bytes_at_once)
        assert listed(store) == [found for found in ids if found not in left_out]
    for damaged in (garbled, foreign, lacking):
        assert f"damaged subscription={damaged}" in caplog.text


def test_one_of_a_newer_release_ends_the_list(store: Store, raw_store: "redis.Redis") -> None:
    ids = made(store, raw_store, 5)
    raw_store.hset(key_of(ids[2]), "format", "99")
    with pytest.raises(NewerRelease):
        listed(store)
    with pytest.raises(NewerRelease):
        owned(store)


@pytest.mark.parametrize("text", ["a\x1fb", "\x1f", "a\x1eb", "\x1e", "é\x00", "}{"])
def test_a_list_shows_what_a_read_shows(store: Store, text: str) -> None:
    """Whatever is in its fields, also what stands between them as they are read for a list."""
    more: tuple[dict[str, Any], ...] = (
        {},
        {"registration": text},
        {"subject": text, "session": text, "event_type": EventType.SESSION_STATUS},
        {"max_events": 3, "expires_at_ms": 4_000_000_000_000, "origin": "https://a.example"},
    )
    for values in more:
        created(store, client=text, **values)
    shown = [found for page in store.subscription_lists.pages_of(text) for found in page]
    assert len(shown) == 4
    read = [store.subscriptions.get(found.id) for found in shown]
    assert shown == [ListedSubscription.of(found) for found in read if found]
    assert [one.id for page in store.subscription_lists.owned_by(text) for one in page] == [
        found.id for found in shown
    ]


def owned(store: Store) -> list[str]:
    return [found.id for page in store.subscription_lists.owned_by("app") for found in page]


def test_who_only_asks_which_there_are_is_not_sent_their_requests(
    store: Store, raw_store: "redis.Redis", sent: list[int]
) -> None:
    """As long as they can be read at all: what is shown of each is not looked at."""
    ids = made(store, raw_store, 300, 5)
    for subscription_id in ids:
        grown(raw_store, subscription_id, 100_000)
    assert owned(store) == ids
    with counting(sent):
        assert owned(store) == ids
    assert len(sent) == 2
    raw_store.delete(key_of(ids[0]))
    raw_store.hset(key_of(ids[1]), "status", "DELETED")
    raw_store.hset(key_of(ids[2]), "status", "WELL")
    raw_store.hset(key_of(ids[3]), "request", "{")
    assert owned(store) == ids[3:]
    assert listed(store) == ids[4:]


def test_some_are_read_in_the_order_in_which_they_are_asked_for(
    store: Store, raw_store: "redis.Redis"
) -> None:
    ids = made(store, raw_store, 7)
    raw_store.delete(key_of(ids[3]))
    wanted = [ids[5], ids[3], ids[0], "no id"]
    assert [found.id for found in store.subscription_lists.read(wanted)] == [ids[5], ids[0]]
    assert store.subscription_lists.read([]) == []
