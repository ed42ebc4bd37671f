"""Workers know of each other, soon and no longer than they run."""

from collections.abc import Callable

import pytest
import redis

from webrtc_events.store.keys import WORKERS_KEY
from webrtc_events.store.store import Store

StoreAt = Callable[..., Store]


def test_whoever_says_so_is_running_until_it_leaves(store: Store) -> None:
    assert store.workers.beat("one") == ["one"]
    assert set(store.workers.beat("two")) == {"one", "two"}
    store.workers.leave("one")
    assert store.workers.beat("two") == ["two"]
    # Leaving twice, or never having come, is no error.
    store.workers.leave("one")
    store.workers.leave("two")
    assert store.workers.beat("three") == ["three"]


def test_they_are_counted(store: Store, raw_store: "redis.Redis") -> None:
    assert store.workers.count() == 0
    store.workers.beat("one")
    store.workers.beat("two")
    assert store.workers.count() == 2
    store.workers.leave("one")
    assert store.workers.count() == 1
    raw_store.set(WORKERS_KEY, "x")
    assert store.workers.count() == 0


def test_who_falls_silent_is_forgotten(store: Store, store_at: StoreAt) -> None:
    store.workers.beat("killed")
    assert set(store_at(5).workers.beat("one")) == {"killed", "one"}
    assert store_at(7).workers.beat("one") == ["one"]


def test_who_falls_silent_is_forgotten_when_the_clock_goes_back(store: Store, store_at: StoreAt) -> None:
    ahead = store_at(3600)
    ahead.workers.beat("killed")
    assert set(ahead.workers.beat("one")) == {"killed", "one"}
    # The others say again that they are running.
    assert store.workers.beat("one") == ["one"]
    assert set(store.workers.beat("two")) == {"one", "two"}
    store.workers.leave("two")
    assert store.workers.beat("one") == ["one"]


def test_leaving_removes_nobody_else(store: Store) -> None:
    store.workers.beat("one")
    store.workers.leave("two")
    store.workers.beat("three")
    store.workers.leave("three")
    assert set(store.workers.beat("four")) == {"one", "four"}


def test_when_all_are_gone_nothing_of_them_stays(store: Store, raw_store: "redis.Redis") -> None:
    store.workers.beat("one")
    assert 0 < raw_store.pttl(WORKERS_KEY) <= 6000
    store.workers.leave("one")
    assert raw_store.exists(WORKERS_KEY) == 0


@pytest.mark.parametrize("value", ["x", ""])
def test_a_key_of_another_type_is_made_anew(store: Store, raw_store: "redis.Redis", value: str) -> None:
    raw_store.set(WORKERS_KEY, value)
    assert store.workers.beat("one") == ["one"]
    assert store.workers.beat("one") == ["one"]
