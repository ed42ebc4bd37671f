"""The store's clock goes back, as when a node takes over whose clock is behind: time does not."""

import itertools
import logging
from collections.abc import Callable

import pytest
import redis
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from tests.harness.builders import append, created, invitation
from tests.store.machine_time import hold_time
from webrtc_events.core.model import Claim, Status
from webrtc_events.core.outcomes import ScheduledRetry
from webrtc_events.core.settings import Settings
from webrtc_events.store.keys import partition_of
from webrtc_events.store.script_options import StoreOptions
from webrtc_events.store.settlements import Settlement
from webrtc_events.store.store import Store

StoreAt = Callable[..., Store]
P = partition_of("r1", 64)
HOUR_S = 3600
DAY_S = 24 * HOUR_S
# A clock that goes back by less than what is kept is followed.
KEPT_EVERY_S = 5
NUMBERS = itertools.count(1)


@pytest.fixture
def held_at(store_at: StoreAt, raw_store: "redis.Redis") -> StoreAt:
    """As `store_at`, but the time stands still: what a test takes on a busy machine is no part of it."""
    start_ms = raw_store.time()[0] * 1000

    def connect(seconds: float = 0) -> Store:
        store = store_at()
        hold_time(store.scripts)
        store.scripts.offset_ms = start_ms + round(seconds * 1000)
        return store

    return connect


def claim(store: Store) -> list[Claim]:
    return list(store.claims.claim([P], subscriptions=9, events=1))


def moment(store: Store, raw_store: "redis.Redis", subscription_id: str) -> float:
    """What time it is for a partition, s: that of an event which it accepts."""
    append(store, invitation(next(NUMBERS)))
    return int(raw_store.lrange(P.outbox(subscription_id), -1, -1)[0].split()[2]) / 1000


def test_what_waits_for_a_retry_waits_no_longer(store: Store, store_at: StoreAt) -> None:
    ahead = store_at(HOUR_S)
    created(ahead)
    append(ahead, invitation(1))
    (found,) = claim(ahead)
    assert ahead.claims.settle([Settlement(found, 0, follow_up=ScheduledRetry(10_000, 1, 1))]) == ["due"]
    assert claim(store) == []
    assert claim(store_at(10)) == []
    assert [leased.attempts for leased in claim(store_at(12))] == [1]


def test_the_lease_of_a_dead_worker_runs_out_as_it_would(store: Store, store_at: StoreAt) -> None:
    ahead = store_at(HOUR_S)
    created(ahead)
    append(ahead, invitation(1))
    (lost,) = claim(ahead)
    assert claim(store) == []
    assert claim(store_at(12)) == []
    (found,) = claim(store_at(34))
    assert int(found.fence) > int(lost.fence)
    assert store.claims.settle([Settlement(lost, 1)]) == ["lost"]
    assert store.claims.settle([Settlement(found, 1)]) == ["idle"]


def test_a_subscription_ends_when_it_would(store: Store, store_at: StoreAt, raw_store: "redis.Redis") -> None:
    ahead = store_at(HOUR_S)
    now_s = raw_store.time()[0]
    made = created(ahead, expires_at_ms=(now_s + HOUR_S + 20) * 1000)
    for seconds, status in ((0, Status.ACTIVE), (15, Status.ACTIVE), (25, Status.EXPIRED)):
        store_at(seconds).expiry.sweep()
        shown = store.subscriptions.get(made.id)
        assert shown is not None
        assert shown.status is status


def test_a_clock_that_is_set_right_again_is_followed_at_once(
    held_at: StoreAt, raw_store: "redis.Redis"
) -> None:
    made = created(held_at(HOUR_S))
    start_s = moment(held_at(HOUR_S), raw_store, made.id)
    assert moment(held_at(), raw_store, made.id) == pytest.approx(start_s, abs=KEPT_EVERY_S)
    assert moment(held_at(HOUR_S + 100), raw_store, made.id) == pytest.approx(start_s + 100, abs=5)


def test_a_clock_that_stays_behind_catches_up(held_at: StoreAt, raw_store: "redis.Redis") -> None:
    """Ten minutes in a hundred."""
    made = created(held_at(600))
    start_s = moment(held_at(600), raw_store, made.id)

    def passed(minutes: int) -> float:
        return moment(held_at(minutes * 60), raw_store, made.id) - start_s

    found = [passed(minutes) for minutes in range(120)]
    assert found[50] == pytest.approx(50 * 60 * 0.9, abs=30)
    assert found[110] == pytest.approx(100 * 60, abs=30)


def test_a_clock_that_was_wrong_by_days_is_not_followed(
    store: Store, store_at: StoreAt, raw_store: "redis.Redis"
) -> None:
    made = created(store)
    start_s = moment(store, raw_store, made.id)
    moment(store_at(2 * DAY_S), raw_store, made.id)
    assert moment(store, raw_store, made.id) == pytest.approx(start_s, abs=30)


@pytest.mark.parametrize(
    "kept", ["", "x", "1", "1 2", "9999999999999999 9999999999999999", f"{'9' * 400} {'9' * 400}", "-1 -1"]
)
def test_what_is_kept_is_damaged(store: Store, raw_store: "redis.Redis", kept: str) -> None:
    made = created(store)
    start_s = moment(store, raw_store, made.id)
    raw_store.set(P.clock, kept)
    assert moment(store, raw_store, made.id) == pytest.approx(start_s, abs=30)
    raw_store.delete(P.clock)
    raw_store.rpush(P.clock, kept)
    assert moment(store, raw_store, made.id) == pytest.approx(start_s, abs=30)
    assert raw_store.type(P.clock) == "string"


def test_what_is_kept_is_written_every_few_seconds_only(
    store: Store, store_at: StoreAt, raw_store: "redis.Redis"
) -> None:
    created(store_at(0))
    first = raw_store.get(P.clock)
    for seconds in (0.5, 1, 2):
        append(store_at(seconds), invitation(next(NUMBERS)))
        assert raw_store.get(P.clock) == first
    append(store_at(6), invitation(next(NUMBERS)))
    assert raw_store.get(P.clock) != first
    assert 0 < raw_store.pttl(P.clock) <= DAY_S * 1000


@given(jumps=st.lists(st.integers(-7200, 7200), min_size=1, max_size=12))
@profile(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_time_does_not_go_back(jumps: list[int], settings: Settings, raw_store: "redis.Redis") -> None:
    """By more than the store's clock is followed; and it is never behind it."""
    raw_store.flushall()
    latest_s, clock_s, made = 0.0, 0, ""
    for jump in (0, *jumps):
        clock_s += jump
        with_clock = Store.connect(settings, StoreOptions(offset_ms=clock_s * 1000))
        made = made or created(with_clock).id
        now_s = moment(with_clock, raw_store, made)
        with_clock.close()
        assert now_s >= latest_s - KEPT_EVERY_S
        assert now_s >= raw_store.time()[0] + clock_s - 1
        latest_s = max(latest_s, now_s)


def test_it_is_logged_once_and_when_it_is_over(
    store: Store, held_at: StoreAt, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    held_at(HOUR_S).expiry.sweep()
    for seconds in (0, 1, 20):
        # The log is that of one process.
        behind = held_at(seconds)
        behind.expiry._time_log = store.expiry._time_log
        behind.expiry.sweep()
    messages = [record.message for record in caplog.records if "clock" in record.message]
    assert len(messages) == 1
    assert "the store's clock is 3600 s behind the time that it gave before" in messages[0]
    assert "up to 10 h" in messages[0]
    right = held_at(HOUR_S + 120)
    right.expiry._time_log = store.expiry._time_log
    right.expiry.sweep()
    assert "is up with the time" in caplog.messages[-1]
