"""Deliveries through an egress proxy that fails: nothing is lost, no sink is blamed, order is kept."""

import logging
from collections.abc import Callable, Iterator

import pytest
import redis

from tests.harness.builders import append, created, invitation
from tests.harness.proxies import ConnectProxy
from tests.harness.sinks import Received, RecordingSink
from tests.harness.valkeys import eventually
from tests.store.claiming import delete
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.settings import Settings
from webrtc_events.store.keys import partition_of
from webrtc_events.store.store import Store
from webrtc_events.worker import Worker

NAME = "sink.example"
P = partition_of("r1", 64)


@pytest.fixture
def sink() -> Iterator[RecordingSink]:
    with RecordingSink(names=[NAME, "localhost"]) as sink:
        yield sink


@pytest.fixture
def proxy() -> Iterator[ConnectProxy]:
    with ConnectProxy() as proxy:
        yield proxy


@pytest.fixture
def build(
    environ: dict[str, str], sink: RecordingSink, proxy: ConnectProxy
) -> Iterator[Callable[..., Worker]]:
    made: list[Worker] = []

    def make(**changes: str) -> Worker:
        changed = environ | {
            "WEBRTC_EVENTS_SINK_CA_FILE": str(sink.ca_file),
            "WEBRTC_EVENTS_SINK_ALLOWED_NETWORKS": "",
            "WEBRTC_EVENTS_EGRESS_PROXY": proxy.url,
        }
        worker = Worker.build(Settings.from_environ(changed | changes), SystemClock())
        made.append(worker)
        worker.start()
        return worker

    yield make
    for worker in made:
        worker.stop()


def url(sink: RecordingSink, path: str = "/", name: str = NAME) -> str:
    return f"https://{name}:{sink.port}{path}"


def in_order(requests: list[Received], path: str) -> list[int]:
    """The sequence numbers of a sink without repeats, as they came."""
    numbers = [request.json["data"]["sequenceNumber"] for request in requests if request.path == path]
    return list(dict.fromkeys(numbers))


def test_a_sink_in_no_network_that_the_worker_may_reach_is_reached_by_the_proxy(
    store: Store, sink: RecordingSink, proxy: ConnectProxy, build: Callable[..., Worker]
) -> None:
    build()
    created(store, sink=url(sink))
    append(store, invitation(1))
    sink.wait_for(1)
    assert proxy.asked == [f"{NAME}:{sink.port}"]


def test_a_thousand_are_delivered_in_order_over_restarts_of_the_proxy(
    store: Store, sink: RecordingSink, proxy: ConnectProxy, build: Callable[..., Worker]
) -> None:
    for number in range(20):
        created(store, sink=url(sink, f"/{number}"))
    for number in range(1, 26):
        append(store, invitation(number))
    build()
    sink.wait_for(100, 30)
    proxy.stop()
    for number in range(26, 51):
        append(store, invitation(number))
    proxy.start()
    sink.wait_for(600, 60)
    proxy.stop()
    proxy.start()
    eventually(
        lambda: all(in_order(sink.requests, f"/{number}")[-1:] == [50] for number in range(20)),
        "every sink has its last event",
        60,
    )
    for number in range(20):
        assert in_order(sink.requests, f"/{number}") == list(range(1, 51))


@pytest.mark.parametrize("how", ["refuses", 407, 502, 503, "closes"])
def test_a_proxy_that_fails_is_never_counted_against_a_sink(
    how: "str | int",
    store: Store,
    sink: RecordingSink,
    proxy: ConnectProxy,
    build: Callable[..., Worker],
    raw_store: "redis.Redis",
) -> None:
    """A second of failures of a sink would end its subscription."""
    if how == "refuses":
        proxy.stop()
    else:
        proxy.answer = lambda _: -1 if how == "closes" else int(how)
    build(WEBRTC_EVENTS_SINK_FAILURE_S="1")
    subscription = created(store, sink=url(sink))
    append(store, invitation(1))
    clock = SystemClock()
    attempts: list[str] = []
    started_s = clock.monotonic()
    while clock.monotonic() - started_s < 3 or len(attempts) < 3:
        attempts = [str(fields) for _, fields in raw_store.xrange(P.attempts)]
        assert clock.monotonic() - started_s < 60
        clock.sleep(0.05)
    found = store.subscriptions.get(subscription.id)
    assert found is not None
    assert found.status.value == "ACTIVE"
    proxy.answer = lambda _: 200
    if how == "refuses":
        proxy.start()
    sink.wait_for(1, 60)
    assert in_order(sink.requests, "/") == [1]


def test_an_end_that_is_sent_once_outlives_a_failing_proxy(
    store: Store,
    sink: RecordingSink,
    proxy: ConnectProxy,
    build: Callable[..., Worker],
    raw_store: "redis.Redis",
) -> None:
    """So is the end that a failing sink gets. It was the sink's only one, and the proxy failed just then."""
    subscription = created(store, sink=url(sink))
    raw_store.hset(P.subscription(subscription.id), "end_once", "1")
    assert delete(store, subscription.id) == "ended"
    proxy.answer = lambda _: 503
    build()
    eventually(lambda: len(proxy.asked) >= 2, "it was tried again", 60)
    proxy.answer = lambda _: 200
    (end,) = sink.wait_for(1, 60)
    assert end.json["type"].endswith("subscription-ended")


def test_a_sink_behind_a_proxy_that_works_is_still_to_blame_for_itself(
    store: Store, sink: RecordingSink, build: Callable[..., Worker]
) -> None:
    sink.answer = [500]
    build(WEBRTC_EVENTS_SINK_FAILURE_S="1")
    subscription = created(store, sink=url(sink))
    append(store, invitation(1))

    def ended() -> bool:
        found = store.subscriptions.get(subscription.id)
        return found is None or found.status.value != "ACTIVE"

    eventually(ended, "the subscription is ended", 60)


def test_a_dead_sink_does_not_hold_up_those_that_live(
    store: Store, sink: RecordingSink, proxy: ConnectProxy, build: Callable[..., Worker]
) -> None:
    proxy.unreachable = {f"dead{number}.example" for number in range(20)}
    for name in proxy.unreachable:
        created(store, sink=url(sink, name=name), client="hostile")
    created(store, sink=url(sink, "/alive"))
    build()
    for number in range(1, 31):
        append(store, invitation(number))
    eventually(lambda: in_order(sink.requests, "/alive") == list(range(1, 31)), "it has all", 30)


def test_the_operator_reads_that_the_proxy_fails_and_that_it_is_back(
    store: Store,
    sink: RecordingSink,
    proxy: ConnectProxy,
    build: Callable[..., Worker],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    proxy.stop()
    for _ in range(10):
        created(store, sink=url(sink))
    build(WEBRTC_EVENTS_EGRESS_PROXY_CREDENTIALS="me:a-secret-word")
    append(store, invitation(1))
    eventually(lambda: any("the egress proxy fails" in line for line in caplog.messages), "a line", 30)
    proxy.start()
    sink.wait_for(10, 60)
    assert any("the egress proxy works again" in line for line in caplog.messages)
    assert sum("the egress proxy fails" in line for line in caplog.messages) == 1
    assert "a-secret-word" not in caplog.text
