"""Two workers on one store: each has its part of the work, and what one leaves the other takes."""

import contextlib
import logging
from collections.abc import Callable
from typing import Any

import pytest
import redis

from tests.delivery.conftest import LIMITS, DispatcherDriver
from tests.delivery.deliveries import Make
from tests.delivery.test_worker import build
from tests.harness.builders import append, created, invitation
from tests.harness.clocks import SteppedClock
from tests.harness.sinks import RecordingSink
from tests.harness.valkeys import eventually
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.outcomes import SinkRequest
from webrtc_events.delivery.dispatcher import DispatcherOptions
from webrtc_events.store.keys import WORKERS_KEY, partition_of
from webrtc_events.store.running_workers import RunningWorkers
from webrtc_events.store.store import Store
from webrtc_events.worker import Worker

__all__ = ["build"]

REGISTRATIONS = [f"r{number}" for number in range(40)]
EVENTS = 40
# As often as in production.
POLLING = DispatcherOptions(limits=LIMITS)


def counted(running: DispatcherDriver, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What that dispatcher asks the sinks."""
    asked: list[str] = []
    submit = running.sink.submit

    def counting(token: Any, request: SinkRequest) -> None:
        asked.append(request.url)
        submit(token, request)

    monkeypatch.setattr(running.sink, "submit", counting)
    return asked


def test_who_came_first_leaves_the_other_its_part(
    store: Store, sink: RecordingSink, make_driver: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has claimed all there is when the other comes, and settles it before the other can ask.

    Time goes by as both are asked: how busy this machine is decides nothing.
    """
    clock = SteppedClock()
    for registration in REGISTRATIONS:
        created(store, sink=sink.url_of(f"/{registration}"), registration=registration)
        for number in range(1, EVENTS + 1):
            append(store, invitation(number, registration=registration, source=f"/{registration}"))
    first, second = make_driver(clock=clock), make_driver(clock=clock)
    by_first, by_second = counted(first, monkeypatch), counted(second, monkeypatch)
    first.dispatcher.step()
    for _ in range(5000):
        clock.elapsed += 0.02
        second.dispatcher.step()
        # It is quicker: it asks again before the other does.
        for _ in range(5):
            first.dispatcher.step()
        if len(sink.requests) == EVENTS * len(REGISTRATIONS):
            break
    come: dict[str, list[int]] = {}
    for request in sink.requests:
        come.setdefault(request.path, []).append(request.json["data"]["sequenceNumber"])
    assert come == {f"/{registration}": [*range(1, EVENTS + 1)] for registration in REGISTRATIONS}
    # The first of them had 16 of the 40 events of each before the other came.
    assert len(by_second) > 0.27 * (len(by_first) + len(by_second))


def test_what_is_at_home_with_one_that_does_nothing_is_delivered(
    store: Store, sink: RecordingSink, build: Callable[..., Worker], raw_store: "redis.Redis"
) -> None:
    """It was killed a moment ago, or hangs."""
    build()
    eventually(lambda: raw_store.zcard(WORKERS_KEY) == 1, "the worker says that it runs")
    store.workers.beat("killed")
    for registration in REGISTRATIONS:
        created(store, sink=sink.url_of(f"/{registration}"), registration=registration)
    eventually(lambda: _knows_two(raw_store), "the worker knows of the other", 10)
    assert len({partition_of(registration, 64).number % 2 for registration in REGISTRATIONS}) == 2
    for registration in REGISTRATIONS:
        append(store, invitation(1, registration=registration, source=f"/{registration}"))
    assert len(sink.wait_for(len(REGISTRATIONS), 10)) == len(REGISTRATIONS)


def test_one_of_more_workers_than_there_are_partitions_delivers(
    store: Store, sink: RecordingSink, make_driver: Make
) -> None:
    """It has no partition of its own."""
    for number in range(500):
        store.workers.beat(f"0{number}")
    created(store, sink=sink.url)
    append(store, invitation(1))
    driver = make_driver()
    eventually(lambda: driver.dispatcher.step() or sink.requests, "it helps out")


def test_one_that_stops_is_known_to_have_stopped(
    build: Callable[..., Worker], raw_store: "redis.Redis", caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "webrtc_events.delivery.dispatcher")
    stays, stops = build(), build()
    eventually(lambda: raw_store.zcard(WORKERS_KEY) == 2, "both say that they run")
    eventually(lambda: caplog.text.count("workers=2 share the partitions, before=1") == 2, "both log it", 10)
    assert stops.stop()
    assert raw_store.zcard(WORKERS_KEY) == 1
    eventually(lambda: "workers=1 share the partitions, before=2" in caplog.text, "it logs that too", 10)
    assert all(stays.alive().values())


def test_in_an_outage_or_a_standstill_and_after_it_nobody_says_that_the_others_are_gone(
    store: Store,
    make_driver: Make,
    raw_store: "redis.Redis",
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It lasts so long that the store has forgotten both; one notices its end before the other does."""
    caplog.set_level(logging.INFO, "webrtc_events.delivery.dispatcher")
    clock = SteppedClock()
    first, second = make_driver(clock=clock, options=POLLING), make_driver(clock=clock, options=POLLING)

    def run(seconds: float, *running: DispatcherDriver) -> None:
        until = clock.elapsed + seconds
        while clock.elapsed < until:
            clock.elapsed += 0.5
            for driver in running:
                # With nothing in hand it would rest until its next look, by a clock that stands still.
                driver.sink.wake()
                with contextlib.suppress(Unavailable):
                    driver.dispatcher.step()

    def unavailable(_: RunningWorkers, __: str) -> list[str]:
        raise Unavailable

    run(4, first, second)
    assert caplog.messages == ["workers=2 share the partitions, before=1"] * 2
    # Their machine stands still, and the store's does not.
    clock.elapsed += 60
    raw_store.delete(WORKERS_KEY)
    run(3, first)
    run(10, first, second)
    assert len(caplog.messages) == 2
    with monkeypatch.context() as outage:
        outage.setattr(RunningWorkers, "beat", unavailable)
        run(10, first, second)
    raw_store.delete(WORKERS_KEY)
    run(3, first)
    run(10, first, second)
    assert len(caplog.messages) == 2
    # One that does not come back is gone.
    with monkeypatch.context() as outage:
        outage.setattr(RunningWorkers, "beat", unavailable)
        run(10, first)
    raw_store.delete(WORKERS_KEY)
    run(10, first)
    assert caplog.messages[2:] == ["workers=1 share the partitions, before=2"]


def _knows_two(raw_store: "redis.Redis") -> bool:
    """The worker has said again that it runs, and was answered with both."""
    killed, other = sorted(
        (score, name) for name, score in raw_store.zrange(WORKERS_KEY, 0, -1, withscores=True)
    )
    return killed[1] == "killed" and other[0] > killed[0]
