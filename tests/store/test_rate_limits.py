"""How many requests a client may make: some at once, and then so many a second."""

import dataclasses

import redis

from tests.store.claiming import StoreAt
from webrtc_events.core.settings import Settings
from webrtc_events.store.rate_limits import RateLimits, RequestRate
from webrtc_events.store.store import Store


def limits(store: Store, per_s: int, at_once: int) -> RateLimits:
    return RateLimits(store.rate_limits._connection, RequestRate(per_s, at_once))


def test_the_rate_is_that_of_the_settings(settings: Settings) -> None:
    changed = dataclasses.replace(settings, requests_per_s=7, requests_at_once=9)
    assert RequestRate.of(changed) == RequestRate(per_s=7, at_once=9)


def test_a_client_may_make_some_at_once_and_then_waits(store: Store, raw_store: "redis.Redis") -> None:
    mine = limits(store, per_s=1, at_once=3)
    assert [mine.take_token("app") for _ in range(3)] == [0, 0, 0]
    assert 0 < mine.take_token("app") <= 1_000
    assert mine.take_token("other") == 0
    assert 1_000 < mine.take_token("app", 2) <= 2_000
    assert sorted(raw_store.keys("quota:*")) == ["quota:{app}", "quota:{other}"]


def test_a_request_may_count_as_several(store: Store) -> None:
    mine = limits(store, per_s=1, at_once=3)
    assert mine.take_token("app", 2) == 0
    assert 0 < mine.take_token("app", 2) <= 1_000
    assert mine.take_token("app", 1) == 0


def test_as_time_passes_it_may_make_more(store: Store, store_at: StoreAt) -> None:
    assert limits(store, per_s=2, at_once=3).take_token("app", 3) == 0
    later = limits(store_at(1.0), per_s=2, at_once=3)
    assert [later.take_token("app") > 0 for _ in range(3)] == [False, False, True]


def test_a_rate_of_0_is_no_limit(store: Store, raw_store: "redis.Redis") -> None:
    free = limits(store, per_s=0, at_once=1)
    assert [free.take_token("app") for _ in range(5)] == [0] * 5
    assert not raw_store.keys("quota:*")
