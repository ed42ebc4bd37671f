"""Rate-limit slots: the moments at which a sink's own rate allows the next notification."""

import dataclasses

import pytest
import redis

from tests.store.activations import StoreAt, asked, claim_one, other
from webrtc_events.core.model import Claim
from webrtc_events.store.keys import rate_slots_key
from webrtc_events.store.store import Store


def waits(store: Store, claim: Claim, rate: int, times: int, patience_ms: int = 1_000_000) -> list[int]:
    return [store.rate_limits.take_slot(claim, rate, patience_ms) for _ in range(times)]


@pytest.fixture
def rate_limited(store: Store) -> Claim:
    asked(store)
    return claim_one(store)


@pytest.mark.parametrize(("rate", "apart_ms"), [(1, 60_000), (60, 1_000), (7, 60_000 / 7), (6_000, 10)])
def test_moments_are_as_far_apart_as_the_rate_says(
    store: Store, rate_limited: Claim, rate: int, apart_ms: float
) -> None:
    found = waits(store, rate_limited, rate, 5)
    assert found[0] == 0
    for index, wait_ms in enumerate(found):
        assert index * apart_ms - 1_000 < wait_ms <= index * apart_ms + 1


def test_all_subscriptions_of_a_sink_share_its_rate_and_those_of_others_do_not(
    store: Store, rate_limited: Claim
) -> None:
    assert waits(store, rate_limited, 1, 1) == [0]
    assert 59_000 < store.rate_limits.take_slot(other(rate_limited, 1), 1, 10**6) <= 60_000
    elsewhere = dataclasses.replace(rate_limited, sink=f"{rate_limited.sink}/elsewhere")
    assert waits(store, elsewhere, 1, 1) == [0]


def test_a_late_moment_is_kept_for_the_subscription(
    store: Store, store_at: StoreAt, rate_limited: Claim
) -> None:
    first, second = other(rate_limited, 1), other(rate_limited, 2)
    assert store.rate_limits.take_slot(rate_limited, 1, 1_000) == 0
    kept = [store.rate_limits.take_slot(leased, 1, 1_000) for leased in (first, second, first, second)]
    assert [round(ms / 60_000) for ms in kept] == [1, 2, 1, 2]
    # It is taken once its worker can wait for it.
    nearly = store_at(59.5)
    assert 0 < nearly.rate_limits.take_slot(first, 1, 1_000) <= 500
    assert round(nearly.rate_limits.take_slot(second, 1, 1_000) / 60_000) == 1
    assert round(nearly.rate_limits.take_slot(first, 1, 1_000) / 60_000) == 2


def test_a_missed_rate_limit_slot_is_not_lost_if_nobody_has_the_next(
    store: Store, store_at: StoreAt, rate_limited: Claim
) -> None:
    store.rate_limits.take_slot(rate_limited, 1, 100)
    assert round(store.rate_limits.take_slot(rate_limited, 1, 100) / 1000) == 60
    assert store_at(61).rate_limits.take_slot(rate_limited, 1, 100) == 0
    assert round(store_at(62).rate_limits.take_slot(rate_limited, 1, 100) / 1000) == 59


def test_a_missed_rate_limit_slot_goes_to_the_end_if_somebody_has_the_next(
    store: Store, store_at: StoreAt, rate_limited: Claim
) -> None:
    first, second = other(rate_limited, 1), other(rate_limited, 2)
    assert [
        round(store.rate_limits.take_slot(leased, 1, 100) / 1000) for leased in (rate_limited, first, second)
    ] == [
        0,
        60,
        120,
    ]
    late = store_at(65)
    assert round(late.rate_limits.take_slot(first, 1, 100) / 1000) == 120 + 60 - 65
    assert round(late.rate_limits.take_slot(second, 1, 100) / 1000) == 120 - 65


def test_moments_that_passed_unused_are_not_made_up_for(
    store: Store, store_at: StoreAt, rate_limited: Claim
) -> None:
    """Else all that were kept while no worker ran would be used at once."""
    late = [other(rate_limited, number) for number in range(5)]
    for leased in late:
        store.rate_limits.take_slot(leased, 60, 100)
    after = store_at(30)
    assert [round(after.rate_limits.take_slot(leased, 60, 100) / 1000) for leased in late] == [0, 1, 2, 3, 4]


def test_nothing_is_kept_of_a_sink_that_is_sent_nothing(
    store: Store, rate_limited: Claim, raw_store: "redis.Redis"
) -> None:
    store.rate_limits.take_slot(rate_limited, 60, 1_000)
    assert 0 < raw_store.pttl(rate_slots_key(rate_limited.sink)) <= 2_000
