"""One sink's trouble is not that of the others, and a sink is not asked for more than it can do."""

import json
import logging
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import pytest
import redis

from tests.delivery.conftest import LIMITS, DispatcherDriver
from tests.harness.builders import append, created, invitation
from tests.harness.sinks import Answer, Received, RecordingSink
from webrtc_events.core.clock import SystemClock
from webrtc_events.delivery.dispatcher import DispatcherOptions
from webrtc_events.delivery.host_limits import HostLimits
from webrtc_events.delivery.host_records import MAX_PROBES
from webrtc_events.sinks.limits import SinkLimits
from webrtc_events.store.keys import partition_of
from webrtc_events.store.store import Store

P = partition_of("r1", 64)
Make = Callable[..., DispatcherDriver]


class Load:
    """An answer that notes how many requests are with the sink at once."""

    def __init__(self, delay_s: float = 0.02, status: int = 204) -> None:
        self._delay_s = delay_s
        self._status = status
        self._lock = threading.Lock()
        self._pause = threading.Event()
        self.now = 0
        self.max_load = 0

    def __call__(self, _: Received) -> Answer:
        with self._lock:
            self.now += 1
            self.max_load = max(self.max_load, self.now)
        self._pause.wait(self._delay_s)
        with self._lock:
            self.now -= 1
        return Answer(self._status)


@contextmanager
def hanging() -> Iterator[str]:
    """The URL of a sink that accepts connections and says nothing, not even in TLS."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        yield f"https://127.0.0.1:{listener.getsockname()[1]}/"


def attempts(raw_store: "redis.Redis") -> list[dict[str, object]]:
    return [json.loads(entry["attempt"]) for _, entry in raw_store.xrange(P.attempts)]


def step_until(driver: DispatcherDriver, done: Callable[[], bool], seconds: float = 10) -> None:
    clock = SystemClock()
    until = clock.monotonic() + seconds
    while not done():
        assert clock.monotonic() < until, f"not within {seconds} s"
        driver.dispatcher.step()


def received(sink: RecordingSink, count: int) -> bool:
    return len(sink.requests) >= count


def all_received(sinks: Sequence[RecordingSink], count: int) -> bool:
    return sum(len(sink.requests) for sink in sinks) >= count


def subscribed(store: Store, url: str, count: int, *, registration: str = "r1") -> list[str]:
    return [created(store, sink=url, registration=registration).id for _ in range(count)]


def test_no_more_than_the_limit_is_with_a_sink_at_once(
    store: Store, sink: RecordingSink, make_driver: Make
) -> None:
    subscribed(store, sink.url, 40)
    append(store, invitation(1), invitation(2))
    sink.answer = load = Load()
    make_driver(options=DispatcherOptions(HostLimits(in_flight=6), poll_s=0.02, limits=LIMITS)).run()
    assert len(sink.requests) == 80
    assert 4 <= load.max_load <= 6


def test_no_more_connections_to_a_sink_than_the_limit_and_none_waits_for_one(
    store: Store, sink: RecordingSink, make_driver: Make, raw_store: "redis.Redis"
) -> None:
    """Inside libcurl a request that waits for a connection would use up its time to connect."""
    subscribed(store, sink.url, 40)
    append(store, invitation(1))
    sink.answer = Load(0.05)
    limits = SinkLimits(connect_ms=200, total_ms=1_000)
    options = DispatcherOptions(HostLimits(in_flight=16, connections=2), poll_s=0.02, limits=limits)
    make_driver(options=options).run()
    assert sink.connections <= 2
    assert Counter(attempt["outcome"] for attempt in attempts(raw_store)) == {"delivered": 40}


def test_a_sink_that_asks_for_less_is_left_alone_for_its_retry_after(
    store: Store, sink: RecordingSink, make_driver: Make
) -> None:
    """Not by the event alone that was refused: by all that go to that sink."""
    clock = SystemClock()
    times: list[float] = []

    def answer(_: Received) -> Answer:
        times.append(clock.monotonic())
        return Answer(429, (("Retry-After", "1"),)) if len(times) == 5 else Answer()

    for number in range(10):
        subscribed(store, sink.url, 1, registration=f"r{number}")
    sink.answer = answer
    running = make_driver()
    for number in range(10):
        append(store, invitation(number, registration=f"r{number}"))
        if number < 5:
            step_until(running, lambda sent=number + 1: len(times) == sent and running.dispatcher.idle)
    step_until(running, lambda: len(times) == 11)
    assert times[5] - times[4] >= 0.9


@pytest.mark.slow
def test_a_sink_that_hangs_is_asked_by_few_at_a_time(
    store: Store, make_driver: Make, raw_store: "redis.Redis"
) -> None:
    """The others are given back, and nothing is counted against them."""
    with hanging() as url:
        made = subscribed(store, url, 50)
        append(store, invitation(1))
        clock = SystemClock()
        running = make_driver()
        started = clock.monotonic()
        step_until(running, lambda: clock.monotonic() > started + 2.5)
        tried = attempts(raw_store)
    assert 1 <= len(tried) <= 2 * MAX_PROBES
    assert {attempt["reason"] for attempt in tried} == {"timeout"}
    counted = [
        int(raw_store.hget(P.subscription(subscription_id), "attempts") or 0) for subscription_id in made
    ]
    assert sum(counted) <= len(tried)


def test_what_is_given_back_untouched_keeps_its_order(
    store: Store, sink: RecordingSink, make_driver: Make, raw_store: "redis.Redis"
) -> None:
    made = subscribed(store, sink.url, 30)
    sink.raw = lambda _: None
    append(store, *(invitation(number) for number in range(1, 6)))
    running = make_driver()
    step_until(running, lambda: len(attempts(raw_store)) >= 2)
    sink.raw = None
    step_until(running, lambda: not raw_store.exists(P.due), 20)
    for subscription_id in made:
        events = [request.json for request in sink.requests if request.json["id"].startswith(subscription_id)]
        assert [event["data"]["sequenceNumber"] for event in events] == [1, 2, 3, 4, 5]


def test_what_is_too_late_is_given_up_although_its_sink_is_unreachable(
    store: Store, store_at: Callable[..., Store], make_driver: Make, raw_store: "redis.Redis"
) -> None:
    with hanging() as url:
        subscribed(store, url, 20)
        append(store, invitation(1))
        late = store_at(121)
        append(late, invitation(2))
        running = make_driver(late)
        step_until(running, lambda: raw_store.xlen(P.dead) == 20, 3)
    dead_letters = [dead_letter for _, dead_letter in raw_store.xrange(P.dead)]
    assert {dead_letter["reason"] for dead_letter in dead_letters} == {"deadline_exceeded"}
    assert raw_store.llen(P.outbox(dead_letters[0]["subscription"])) == 1


@pytest.mark.slow
def test_a_sink_that_is_unreachable_for_all_fails_for_each_of_them(
    store: Store, make_driver: Make, raw_store: "redis.Redis"
) -> None:
    """Of many subscriptions few are tried while their sink is unreachable; its days are counted for all."""
    with hanging() as url:
        made = subscribed(store, url, 20)
        append(store, invitation(1))
        running = make_driver()
        step_until(running, lambda: len(attempts(raw_store)) >= 1)
        step_until(
            running,
            lambda: all(
                raw_store.hexists(P.subscription(subscription_id), "failing_since")
                for subscription_id in made
            ),
        )


def test_a_due_entry_that_is_no_subscription_holds_back_no_other(
    store: Store,
    sink: RecordingSink,
    make_driver: Make,
    raw_store: "redis.Redis",
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = subscribed(store, sink.url, 1)[0]
    append(store, invitation(1))
    # Copied by a foreign hand, and due before all others.
    raw_store.copy(P.subscription(made), P.subscription("foreign"))
    raw_store.copy(P.outbox(made), P.outbox("foreign"))
    raw_store.zadd(P.due, {"foreign": 0})
    running = make_driver()
    step_until(running, lambda: len(sink.requests) == 1)
    append(store, invitation(2))
    step_until(running, lambda: len(sink.requests) == 2)
    assert {request.json["id"].partition(".")[0] for request in sink.requests} == {made}
    assert "'foreign', which is no subscription id" in caplog.text


@pytest.mark.slow
def test_no_lease_runs_out_while_its_task_waits_for_a_permit(
    store_at: Callable[..., Store],
    sink: RecordingSink,
    make_driver: Make,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Exchanges may take 1 s here; leases of 2 s leave one second in which to start one."""
    caplog.set_level(logging.WARNING)
    store = store_at(lease_ms=2_000)
    subscribed(store, sink.url, 30)
    append(store, invitation(1))
    sink.answer = load = Load(0.1)
    options = DispatcherOptions(HostLimits(in_flight=1), poll_s=0.02, limits=LIMITS)
    running = make_driver(store, options=options)
    running.run(2000)
    assert load.max_load == 1
    assert len({request.json["id"] for request in sink.requests}) == len(sink.requests) == 30
    assert "lease lost" not in caplog.text


@pytest.mark.slow
def test_many_sinks_that_hang_leave_tasks_to_the_others(
    store: Store, sink: RecordingSink, make_driver: Make
) -> None:
    """Each of twelve hosts has more due than it may have on its way and waiting."""
    listeners = [socket.create_server(("127.0.0.1", 0), backlog=512) for _ in range(12)]
    for listener in listeners:
        subscribed(store, f"https://127.0.0.1:{listener.getsockname()[1]}/", 40)
    created(store, sink=sink.url, registration="r2")
    append(store, invitation(1))
    hosts = HostLimits(in_flight=8, permits=32, waiting=64)
    limits = SinkLimits(connect_ms=5_000, total_ms=5_000)
    options = DispatcherOptions(hosts, poll_s=0.02, limits=limits)
    running = make_driver(options=options, limits=limits)
    running.dispatcher.step()
    clock = SystemClock()
    durations_s = []
    for number in range(2, 22):
        append(store, invitation(number, registration="r2"))
        started = clock.monotonic()
        step_until(running, partial(received, sink, number - 1))
        durations_s.append(clock.monotonic() - started)
    for listener in listeners:
        listener.close()
    # Every exchange with one of those that hang takes 5 s.
    assert sorted(durations_s)[10] < 1.5


def test_what_waits_for_a_sink_that_becomes_unreachable_leaves_its_room_to_the_others(
    store: Store, sink: RecordingSink, make_driver: Make
) -> None:
    """It was prompt until then, so all the room there was waited for it. An exchange takes 5 s here."""
    subscribed(store, sink.url_of("/falls-silent"), 150)
    created(store, sink=sink.url.replace("localhost", "127.0.0.1"), registration="r2")
    limits = SinkLimits(connect_ms=5_000, total_ms=5_000)
    options = DispatcherOptions(HostLimits(in_flight=4, waiting=64), poll_s=0.02, limits=limits)
    running = make_driver(options=options, limits=limits)
    append(store, invitation(1))
    step_until(running, partial(received, sink, 150), 30)
    sink.answer = lambda request: Answer(never=request.path == "/falls-silent")
    append(store, invitation(2))
    clock = SystemClock()
    started = clock.monotonic()
    step_until(running, lambda: clock.monotonic() > started + 0.1)
    append(store, invitation(3, registration="r2"))
    step_until(running, lambda: any(request.path == "/" for request in sink.requests), 4)
