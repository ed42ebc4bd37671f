"""The worker's threads, on a real store with a real sink."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from tests.harness.builders import append, created, invitation
from tests.harness.sinks import Answer, RecordingSink
from tests.harness.valkeys import eventually
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.settings import Settings
from webrtc_events.delivery.store_calls import StoreAnswer
from webrtc_events.local.stack.valkey import Valkey
from webrtc_events.store.keys import partition_of
from webrtc_events.store.store import Store
from webrtc_events.worker import Worker


@pytest.fixture
def build(environ: dict[str, str], sink: RecordingSink) -> Iterator[Callable[..., Worker]]:
    made: list[Worker] = []

    def make(**changes: str) -> Worker:
        changed = environ | {"WEBRTC_EVENTS_SINK_CA_FILE": str(sink.ca_file)} | changes
        made.append(Worker.build(Settings.from_environ(changed), SystemClock()))
        made[-1].start()
        return made[-1]

    yield make
    for worker in made:
        worker.stop()


def reasons(sink: RecordingSink) -> list[str]:
    return [request.json["data"].get("terminationReason") for request in sink.requests]


def test_an_appended_event_is_delivered_at_once(
    store: Store, sink: RecordingSink, build: Callable[..., Worker]
) -> None:
    worker = build()
    created(store, sink=sink.url)
    append(store, invitation(1))
    sink.wait_for(1)
    assert worker.alive() == {"dispatcher": True, "sweeper": True, "store watch": True}


def test_the_sweeper_ends_what_expires(
    store: Store, sink: RecordingSink, build: Callable[..., Worker]
) -> None:
    build()
    created(store, sink=sink.url, expires_at_ms=round(SystemClock().now() * 1000) + 300)
    sink.wait_for(1)
    assert reasons(sink) == ["SUBSCRIPTION_EXPIRED"]


def test_stopping_lets_deliveries_end_and_settles_them(
    store: Store, sink: RecordingSink, build: Callable[..., Worker]
) -> None:
    created(store, sink=sink.url)
    sink.answer = lambda _: Answer(delay_s=0.5)
    worker = build()
    append(store, invitation(1))
    sink.wait_for(1)
    assert worker.stop() is True
    assert worker.alive() == {"dispatcher": False, "sweeper": False, "store watch": False}
    # Settled: no other worker sends it again.
    build()
    append(store, invitation(2))
    sink.wait_for(2)
    assert [request.json["data"]["sequenceNumber"] for request in sink.requests] == [1, 2]


def test_a_port_that_is_no_longer_allowed_is_never_connected_to(
    store: Store, sink: RecordingSink, build: Callable[..., Worker], raw_store: "redis.Redis"
) -> None:
    created(store, sink=sink.url)
    build(WEBRTC_EVENTS_SINK_PORTS="443")
    append(store, invitation(1))
    [[_, [[_, attempt]]]] = raw_store.xread({partition_of("r1", 64).attempts: "0"}, block=10_000)
    assert "address_refused" in repr(attempt)
    assert sink.connections == 0


def test_a_worker_outlives_its_store(
    tmp_path: Path, sink: RecordingSink, build: Callable[..., Worker], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "webrtc_events.worker")
    server = Valkey(tmp_path, SystemClock())
    server.start()
    server.wait_ready()
    worker = build(WEBRTC_EVENTS_REDIS_URL=server.url)
    server.stop()
    again = Valkey(tmp_path, SystemClock())
    again.start()
    again.wait_ready()
    store = Store.connect(Settings.from_environ(_at(again.url)))
    created(store, sink=sink.url)
    append(store, invitation(1))
    sink.wait_for(1)
    store.close()
    assert worker.stop() is True
    again.stop()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dispatcher_without_its_store_thread_is_not_alive(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: StoreAnswer[object], method: object) -> None:
        raise SystemExit

    worker = Worker.build(Settings.from_environ(environ), SystemClock())
    worker.start()
    try:
        eventually(lambda: all(worker.alive().values()), "all are alive")
        monkeypatch.setattr(StoreAnswer, "__init__", fails)
        seen = {"dispatcher": False, "sweeper": True, "store watch": True}
        eventually(lambda: worker.alive() == seen, "seen")
    finally:
        stopped = worker.stop(grace_s=1.0)
    # Nobody answers its last call: it waits for that as long as it may, and says that it did not end.
    assert stopped is False


class Ahead(SystemClock):
    """A clock that can be put forward."""

    ahead_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s


def test_a_worker_that_waits_for_its_store_is_alive(
    tmp_path: Path, sink: RecordingSink, caplog: pytest.LogCaptureFixture
) -> None:
    """However long the store is unavailable: the process that asks must not end."""
    server = Valkey(tmp_path, SystemClock())
    server.start()
    server.wait_ready()
    clock = Ahead()
    worker = Worker.build(Settings.from_environ(_at(server.url)), clock)
    worker.start()
    server.stop()
    eventually(lambda: caplog.text.count("waits for the store") >= 2, "both wait")
    clock.ahead_s = 60.0
    eventually(lambda: all(worker.alive().values()), "both are alive", 5)
    worker.stop()


def _at(url: str) -> dict[str, str]:
    return {
        "WEBRTC_EVENTS_REDIS_URL": url,
        "WEBRTC_EVENTS_OPENID_CONFIGURATION_URL": "http://127.0.0.1:1/",
        "WEBRTC_EVENTS_SECRET_KEY": "A" * 43,
    }


def test_an_emptied_store_is_reported_and_works_on(
    store: Store,
    sink: RecordingSink,
    build: Callable[..., Worker],
    raw_store: "redis.Redis",
    caplog: pytest.LogCaptureFixture,
) -> None:
    build()
    created(store, sink=sink.url)
    raw_store.flushall()
    created(store, sink=sink.url, expires_at_ms=round(SystemClock().now() * 1000) + 600)
    append(store, invitation(1))
    sink.wait_for(2)
    assert reasons(sink) == [None, "SUBSCRIPTION_EXPIRED"]
    nodes = {f"the store was emptied at {address}" for address in store.client.addresses()}
    eventually(lambda: all(node in caplog.text for node in nodes), "each node is logged", 10)
    assert caplog.text.count("the store was emptied") == len(nodes)
    # New processes are held to it.
    eventually(lambda: raw_store.get("partitions") == "64", "it is written", 10)


def test_clients_with_the_strict_format_are_logged_at_the_start(
    store: Store, build: Callable[..., Worker], caplog: pytest.LogCaptureFixture
) -> None:
    """A misspelt id is seen here or nowhere: which clients there are is the issuer's to know."""
    caplog.set_level(logging.INFO)
    build(WEBRTC_EVENTS_STRICT_CLOUDEVENTS="true")
    build()
    assert "strict form" not in caplog.text
    build(WEBRTC_EVENTS_STRICT_CLOUDEVENTS="softphone,a%2Cb%0A")
    assert "session-status goes in the strict form to the clients 'a,b\\n', 'softphone'" in caplog.text
