"""The pages of a client's subscriptions."""

from collections.abc import Iterator
from hashlib import sha256

import hypothesis
import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.builders import created
from tests.store.client_indexes import INDEX, LONG_AGO, P
from webrtc_events.store import client_index
from webrtc_events.store.keys import new_subscription_id
from webrtc_events.store.standings import Standing, standing_call
from webrtc_events.store.store import Store

PAGE = 25


@pytest.fixture(autouse=True)
def _few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_index, "IDS_AT_ONCE", PAGE)


def pages(store: Store, client: str = "app") -> Iterator[list[str]]:
    _, found = store.client_index.ids(client)
    return found


def ids_of_pages(store: Store) -> list[str]:
    return [entry for page in pages(store) for entry in page]


def test_pages_are_in_the_order_of_making_whatever_became_of_each(
    store: Store, raw_store: "redis.Redis"
) -> None:
    made = [created(store, registration=f"r{number % 7}").id for number in range(PAGE * 2 + 7)]
    kinds = [Standing.LIVE, Standing.ENDED]
    store.scripts.run(
        [standing_call("app", {subscription_id: kinds[n % 2] for n, subscription_id in enumerate(made)})]
    )
    assert ids_of_pages(store) == made
    assert [len(page) for page in pages(store)] == [PAGE, PAGE, 7]


def test_many_that_were_named_in_one_second_are_all_there(store: Store, raw_store: "redis.Redis") -> None:
    ids = [new_subscription_id(P) for _ in range(PAGE * 5)]
    raw_store.zadd(INDEX, dict.fromkeys(ids, LONG_AGO))
    assert ids_of_pages(store) == sorted(ids)
    count, _ = store.client_index.ids("app")
    assert count == len(ids)


def test_a_last_page_that_is_full_is_the_last(store: Store, raw_store: "redis.Redis") -> None:
    raw_store.zadd(INDEX, {new_subscription_id(P): LONG_AGO + n for n in range(PAGE)})
    assert [len(page) for page in pages(store)] == [PAGE]
    assert list(pages(store, "nobody")) == []


def test_many_of_every_standing_are_merged_in_their_order(
    store: Store, raw_store: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    """More of each than the script reads at once."""
    monkeypatch.setattr(client_index, "IDS_AT_ONCE", 900)
    ids = [new_subscription_id(P) for _ in range(2_000)]
    raw_store.zadd(INDEX, {subscription_id: LONG_AGO + n // 3 for n, subscription_id in enumerate(ids)})
    for offset, standing in ((0, Standing.LIVE), (1, Standing.ENDED)):
        # The first 600 alternate, the others come in stretches.
        chosen = ids[offset:600:3] + ids[700 + 500 * offset : 1_100 + 500 * offset]
        store.scripts.run([standing_call("app", dict.fromkeys(chosen, standing))])
    named = {subscription_id: n // 3 for n, subscription_id in enumerate(ids)}
    assert ids_of_pages(store) == sorted(
        ids, key=lambda subscription_id: (named[subscription_id], subscription_id)
    )
    assert [len(page) for page in pages(store)] == [900, 900, 200]


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
    for page in pages(store):
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
