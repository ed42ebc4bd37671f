"""Wake-ups are heard while the sinks are awaited, and again once a connection broke."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from tests.conftest import servers_of
from tests.delivery.conftest import LIMITS, DispatcherDriver
from tests.delivery.deliveries import Make, sequence
from tests.delivery.store_loop.test_exchanges import settled
from tests.delivery.test_store_thread import step_until
from tests.harness.builders import append, created, invitation
from tests.harness.sinks import RecordingSink
from webrtc_events.core.clock import SystemClock
from webrtc_events.delivery.dispatcher import DispatcherOptions
from webrtc_events.store.redis.wakeups import Wakeups
from webrtc_events.store.store import Store

# Nothing is found by a look.
DEAF = DispatcherOptions(poll_s=3600, limits=LIMITS)
# So long a test rests, where a dispatcher would until its next look.
REST_S = 0.7


@pytest.fixture
def wakeups(store: Store) -> Iterator[Wakeups]:
    found = store.claims.wakeups()
    yield found
    found.close()


@pytest.fixture
def rests_s() -> list[float]:
    """The waits of rounds that nothing ended although something was due."""
    return []


@pytest.fixture(params=["at once", "in the loop"])
def hearing(
    request: Any,
    make_driver: Make,
    wakeups: Wakeups,
    sink: RecordingSink,
    store: Store,
    rests_s: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> DispatcherDriver:
    """It has delivered one event that it heard of."""
    driver = make_driver(options=DEAF, calls=request.param)
    poll, now_s = driver.sink.poll, SystemClock().monotonic

    def polled(timeout_s: float) -> Any:
        until_s = now_s() + REST_S
        replies = poll(min(timeout_s, REST_S))
        if timeout_s > REST_S and now_s() >= until_s and driver.raw_store.keys("*:due"):
            rests_s.append(timeout_s)
        return replies

    monkeypatch.setattr(driver.sink, "poll", polled)
    driver.dispatcher.hear(wakeups)
    created(store, sink=sink.url)
    # All partitions count as noticed once they are listened to.
    step_until(driver, lambda: wakeups.is_current and driver.dispatcher.idle)
    deliver(driver, store, sink, 1)
    rests_s.clear()
    return driver


def deliver(driver: DispatcherDriver, store: Store, sink: RecordingSink, number: int) -> None:
    append(store, invitation(number))
    settled(driver, sink, number)


def test_what_becomes_due_is_heard_of(hearing: DispatcherDriver, store: Store, sink: RecordingSink) -> None:
    for number in range(2, 6):
        deliver(hearing, store, sink, number)
    assert sequence(sink.requests) == [1, 2, 3, 4, 5]


def test_what_was_missed_while_a_connection_was_broken_is_found_before_the_next_look(
    hearing: DispatcherDriver,
    store: Store,
    sink: RecordingSink,
    raw_store: "redis.Redis",
    rests_s: list[float],
) -> None:
    for number in range(2, 5):
        for server in servers_of(raw_store):
            server.client_kill_filter(_type="pubsub")
        deliver(hearing, store, sink, number)
    assert sequence(sink.requests) == [1, 2, 3, 4]
    assert rests_s == []


def test_nobody_listens_twice(
    hearing: DispatcherDriver, wakeups: Wakeups, store: Store, sink: RecordingSink, raw_store: "redis.Redis"
) -> None:
    for number in range(2, 5):
        for server in servers_of(raw_store):
            server.client_kill_filter(_type="pubsub")
        deliver(hearing, store, sink, number)
    step_until(hearing, lambda: wakeups.is_current)
    # One on each node, whatever was made in between.
    assert [len(server.client_list(_type="pubsub")) for server in servers_of(raw_store)] == [1] * len(
        servers_of(raw_store)
    )
