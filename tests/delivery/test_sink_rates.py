"""How often a sink is sent something: the rate that it allows when it is asked."""

import json
import threading
from collections.abc import Callable

import pytest
import redis

from tests.delivery.asking import Make, P, agreeing, asked
from tests.delivery.conftest import LIMITS, DispatcherDriver
from tests.harness.builders import append, created, invitation
from tests.harness.sinks import Answer, Received, RecordingSink
from webrtc_events.core.clock import SystemClock
from webrtc_events.delivery.dispatcher import DispatcherOptions
from webrtc_events.delivery.host_limits import HostLimits
from webrtc_events.store.store import Store


class Arrivals:
    """When notifications came, in s; the question is not among them."""

    def __init__(self, rate: str) -> None:
        self._clock = SystemClock()
        self._agree = agreeing(rate)
        self._lock = threading.Lock()
        self.moments: list[float] = []

    def __call__(self, request: Received) -> Answer:
        if request.method == "POST":
            with self._lock:
                self.moments.append(self._clock.monotonic())
        return self._agree(request)


def events_of(sink: RecordingSink, path: str) -> list[int]:
    posted = [request for request in sink.requests if request.method == "POST" and request.path == path]
    return [request.json["data"]["sequenceNumber"] for request in posted]


def run_both(dispatchers: list[DispatcherDriver], sink: RecordingSink, notifications: int) -> None:
    """Both work until that many notifications came."""
    done = threading.Event()

    def work(driver: DispatcherDriver) -> None:
        while not done.is_set():
            driver.dispatcher.step()

    threads = [threading.Thread(target=work, args=(dispatcher,)) for dispatcher in dispatchers]
    for thread in threads:
        thread.start()
    try:
        sink.wait_for(notifications, timeout_s=30)
    finally:
        done.set()
        for thread in threads:
            thread.join()


@pytest.mark.slow
def test_two_workers_keep_the_rate_that_a_sink_allows_all_its_subscriptions(
    store: Store, sink: RecordingSink, make_driver: Make
) -> None:
    """20 a second for five subscriptions to one sink: the 40th event is 39 * 50 ms late."""
    arrivals = Arrivals("1200")
    sink.answer = arrivals
    for _ in range(5):
        asked(store, sink, "/paced")
    make_driver().run()
    began = SystemClock().monotonic()
    append(store, *(invitation(number) for number in range(1, 9)))
    run_both([make_driver(), make_driver()], sink, 5 + 40)
    # Whatever delays an arrival, the nth cannot come before the nth slot.
    for index, moment in enumerate(sorted(arrivals.moments)):
        assert moment - began >= index * 0.05 - 0.005
    assert sorted(events_of(sink, "/paced")) == sorted([*range(1, 9)] * 5)


def test_a_slow_rate_holds_events_back_and_keeps_their_order(
    store: Store,
    store_at: Callable[..., Store],
    sink: RecordingSink,
    make_driver: Make,
    raw_store: "redis.Redis",
) -> None:
    """One a minute: the second waits in the store, not with the worker."""
    sink.answer = agreeing("1")
    made = asked(store, sink)
    make_driver().run()
    append(store, invitation(1), invitation(2))
    first = make_driver().dispatcher
    while not first.idle or len(sink.requests) < 2:
        first.step()
    assert events_of(sink, "/") == [1]
    due_ms = raw_store.zscore(P.due, made.id)
    now_ms = round(SystemClock().now() * 1000)
    assert due_ms is not None
    assert 50_000 < due_ms - now_ms <= 60_000
    early = make_driver(store_at(40)).dispatcher
    for _ in range(5):
        early.step()
    assert events_of(sink, "/") == [1]
    make_driver(store_at(61)).run()
    assert events_of(sink, "/") == [1, 2]
    # No attempt was made in between: the event's own attempts begin with the first.
    attempts = [json.loads(entry["attempt"]) for _, entry in raw_store.xrange(P.attempts)]
    assert [attempt["attempt"] for attempt in attempts] == [1, 1, 1]


@pytest.mark.slow
def test_what_waits_for_its_slot_past_its_deadline_is_dropped(
    store: Store,
    store_at: Callable[..., Store],
    sink: RecordingSink,
    make_driver: Make,
    raw_store: "redis.Redis",
) -> None:
    """At one a minute an invitation, which is worth 120 s, goes out third at the latest."""
    sink.answer = agreeing("1")
    asked(store, sink)
    make_driver().run()
    append(store, *(invitation(number) for number in range(1, 6)))
    for seconds in range(0, 130, 5):
        dispatcher = make_driver(store_at(seconds)).dispatcher
        dispatcher.step()
        while not dispatcher.idle:
            dispatcher.step(claiming=True)
    make_driver(store_at(130)).run()
    assert events_of(sink, "/")[:2] == [1, 2]
    assert {dead_letter["reason"] for _, dead_letter in raw_store.xrange(P.dead)} == {"deadline_exceeded"}


def test_what_waits_for_its_host_uses_no_slot(
    store: Store, sink: RecordingSink, make_driver: Make, raw_store: "redis.Redis"
) -> None:
    """At one a minute, a slot that is not used costs a minute."""
    sink.answer = agreeing("1")
    asked(store, sink, "/paced")
    created(store, sink=sink.url_of("/slow"), registration="r2")
    make_driver().run()
    sink.answer = lambda request: Answer(delay_s=0.3 if request.path == "/slow" else 0)
    append(store, invitation(1, registration="r2"))
    options = DispatcherOptions(HostLimits(in_flight=1, connections=1), poll_s=0.02, limits=LIMITS)
    both = make_driver(options=options)
    while len(sink.requests) < 2:
        both.dispatcher.step()
    append(store, invitation(2))
    for _ in range(3):
        both.dispatcher.step()
    assert [request.path for request in sink.requests] == ["/paced", "/slow"]
    assert raw_store.keys("turns:*") == []
    both.run()
    assert [request.path for request in sink.requests] == ["/paced", "/slow", "/paced"]
    assert len(raw_store.keys("turns:*")) == 1


def test_sinks_that_named_no_rate_are_not_held_back(
    store: Store, sink: RecordingSink, make_driver: Make, raw_store: "redis.Redis"
) -> None:
    sink.answer = agreeing("*")
    asked(store, sink)
    make_driver().run()
    append(store, *(invitation(number) for number in range(1, 31)))
    make_driver().run()
    assert events_of(sink, "/") == list(range(1, 31))
    assert raw_store.keys("turns:*") == []


def test_a_dispatcher_that_stops_gives_back_what_waits_for_its_slot(
    store: Store, sink: RecordingSink, make_driver: Make
) -> None:
    sink.answer = agreeing("75")
    asked(store, sink)
    make_driver().run()
    append(store, invitation(1), invitation(2))
    stopping = make_driver().dispatcher
    while len(sink.requests) < 2:
        stopping.step()
    for _ in range(3):
        stopping.step()
    # Its rate-limit slot comes after 0.8 s, which are forty steps.
    for _ in range(10):
        stopping.step(claiming=False)
        if stopping.idle:
            break
    assert stopping.idle
    assert events_of(sink, "/") == [1]
    make_driver().run()
    assert events_of(sink, "/") == [1, 2]
