"""The store is awaited with the sinks: whatever becomes of an exchange, they go on, and nothing is lost."""

import dataclasses
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis

from tests.cluster.relays import HalvingRelay, TlsRelay
from tests.delivery.asking import ORIGIN, agreeing
from tests.delivery.conftest import CALLS, LIMITS, DispatcherDriver
from tests.delivery.deliveries import Make, sequence
from tests.delivery.test_store_thread import step_until
from tests.harness.authority import Authority
from tests.harness.builders import append, created, invitation, new_subscription, session_status
from tests.harness.clocks import SteppedClock
from tests.harness.sinks import RecordingSink
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.model import EventType
from webrtc_events.core.settings import Settings
from webrtc_events.delivery.dispatcher import DispatcherOptions
from webrtc_events.delivery.store_loop import StoreLoop
from webrtc_events.local.stack.valkey import Valkey
from webrtc_events.store.keys import partition_of
from webrtc_events.store.redis.topology import TIMEOUT_S
from webrtc_events.store.store import Store

# A claim's answer has the sink's address, that of a settle only the word. Source: lua/settle.lua.
CLAIM, SETTLE = b"/held", b"idle"


class CountedLoop(StoreLoop):
    """What it gave to its thread: how often."""

    threaded = 0

    def start(self, method: Any, take: Any) -> None:
        self.threaded += 1
        super().start(method, take)


def path_of(valkey: Valkey) -> str:
    return urlsplit(valkey.url).path


@pytest.fixture
def relay(valkey: Valkey) -> Iterator[HalvingRelay]:
    relay = HalvingRelay(path_of(valkey))
    yield relay
    relay.go_on.set()
    relay.close()


@pytest.fixture
def authority() -> Iterator[Authority]:
    authority = Authority()
    yield authority
    authority.close()


@pytest.fixture
def relayed(relay: HalvingRelay, environ: dict[str, str]) -> Iterator[Store]:
    store = Store.connect(
        Settings.from_environ(environ | {"WEBRTC_EVENTS_REDIS_URL": f"redis://127.0.0.1:{relay.port}"})
    )
    yield store
    store.close()


@pytest.fixture
def warm(relayed: Store, store: Store, sink: RecordingSink, make_driver: Make) -> DispatcherDriver:
    """It has delivered one event, so its connections are made and the scripts are known."""
    created(store, sink=sink.url_of("/first"))
    append(store, invitation(1))
    driver = make_driver(relayed, calls="in the loop")
    settled(driver, sink, 1)
    return driver


def settled(driver: DispatcherDriver, sink: RecordingSink, requests: int) -> None:
    step_until(
        driver,
        lambda: (
            len(sink.requests) >= requests and driver.dispatcher.idle and not driver.raw_store.keys("*:due")
        ),
    )


def paths(sink: RecordingSink) -> list[str]:
    return [request.path for request in sink.requests]


@pytest.mark.parametrize("breaks_off", [False, True])
def test_sinks_go_on_while_half_a_claim_has_come(
    relay: HalvingRelay,
    store: Store,
    sink: RecordingSink,
    warm: DispatcherDriver,
    make_driver: Make,
    *,
    breaks_off: bool,
) -> None:
    created(store, sink=sink.url_of("/held"), registration="r2")
    relay.mark, relay.breaks_off = CLAIM, breaks_off
    append(store, invitation(1, registration="r2"))
    step_until(warm, relay.halved.is_set)
    for _ in range(3):
        warm.dispatcher.step()
    assert not warm.dispatcher.idle
    assert paths(sink) == ["/first"]
    relay.go_on.set()
    settled(warm, sink, 2)
    assert paths(sink) == ["/first", "/held"]


@pytest.mark.parametrize("breaks_off", [False, True])
def test_half_a_settle_repeats_nothing(
    relay: HalvingRelay, store: Store, sink: RecordingSink, warm: DispatcherDriver, *, breaks_off: bool
) -> None:
    relay.mark, relay.breaks_off = SETTLE, breaks_off
    append(store, invitation(2), invitation(3))
    step_until(warm, relay.halved.is_set)
    relay.go_on.set()
    settled(warm, sink, 3)
    assert sequence(sink.requests) == [1, 2, 3]


def test_a_store_that_hangs_in_an_answer_is_given_up_and_asked_anew(
    relay: HalvingRelay, relayed: Store, store: Store, sink: RecordingSink, make_driver: Make
) -> None:
    created(store, sink=sink.url_of("/held"))
    append(store, invitation(1))
    clock = SteppedClock()
    driver = make_driver(relayed, calls="in the loop", clock=clock)
    settled(driver, sink, 1)
    relay.mark = CLAIM
    append(store, invitation(2))
    driver.dispatcher.notice(partition_of("r1", 64).number)
    step_until(driver, relay.halved.is_set)
    clock.sleep(TIMEOUT_S + 1)
    # Moves on, as its other partitions are asked, and this one once more.
    step_until(driver, lambda: clock.sleep(0.5) or len(sink.requests) == 2)
    settled(driver, sink, 2)
    assert sequence(sink.requests) == [1, 2]
    assert not relay.go_on.is_set()


def test_scripts_that_were_flushed_are_sent_again(
    raw_store: "redis.Redis", store: Store, sink: RecordingSink, warm: DispatcherDriver
) -> None:
    append(store, invitation(2))
    raw_store.script_flush()
    settled(warm, sink, 2)
    assert sequence(sink.requests) == [1, 2]


def test_connections_that_the_store_closed_are_replaced(
    raw_store: "redis.Redis", store: Store, sink: RecordingSink, warm: DispatcherDriver
) -> None:
    for number in range(2, 5):
        raw_store.client_kill_filter(_type="normal", skipme=True)
        append(store, invitation(number))
        settled(warm, sink, number)
    assert sequence(sink.requests) == [1, 2, 3, 4]


def test_an_event_that_comes_alone_asks_no_thread(
    store: Store, sink: RecordingSink, make_driver: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[CountedLoop] = []

    def counted(*args: Any) -> CountedLoop:
        made.append(CountedLoop(*args))
        return made[-1]

    def deliver(number: int) -> None:
        append(store, invitation(number))
        driver.dispatcher.notice(partition_of("r1", 64).number)
        while len(sink.requests) < number or not driver.dispatcher.idle:
            # With nothing in hand a round lasts until the next look, which is not to come.
            driver.sink.wake()
            driver.dispatcher.step()

    monkeypatch.setitem(CALLS, "in the loop", counted)
    created(store, sink=sink.url)
    driver = make_driver(options=DispatcherOptions(poll_s=600, limits=LIMITS), calls="in the loop")
    for number in range(1, 4):
        deliver(number)
    (calls,) = made
    before = calls.threaded
    deliver(4)
    assert calls.threaded == before
    assert sequence(sink.requests) == [1, 2, 3, 4]


def test_a_store_that_is_away_is_an_outage_and_then_none(
    relay: HalvingRelay, valkey: Valkey, store: Store, sink: RecordingSink, warm: DispatcherDriver
) -> None:
    relay.target = 1
    append(store, invitation(2))

    def fails() -> bool:
        try:
            warm.dispatcher.step()
        except Unavailable:
            return True
        return False

    warm.raw_store.client_kill_filter(_type="normal", skipme=True)
    step_until(warm, fails)
    relay.target = path_of(valkey)
    settled(warm, sink, 2)
    assert sequence(sink.requests) == [1, 2]


def test_what_came_before_a_sink_agreed_follows_it(
    store: Store, sink: RecordingSink, warm: DispatcherDriver
) -> None:
    """The answer to a settle says that there is more to ask of the store: its thread does so."""
    latest = session_status(1, registration="r1", status="Connected")
    store.session_states.record([latest])
    wishing = dataclasses.replace(
        new_subscription(event_type=EventType.SESSION_STATUS, session="s1", origin=ORIGIN), initial_event=True
    )
    sink.answer = agreeing()
    store.subscriptions.create(wishing, sink=sink.url_of("/asked"), headers={}, sealed=None)
    settled(warm, sink, 3)
    assert [(request.method, request.path) for request in sink.requests[1:]] == [
        ("OPTIONS", "/asked"),
        ("POST", "/asked"),
    ]


def test_what_cannot_be_read_is_taken_out_and_the_rest_delivered(
    raw_store: "redis.Redis", store: Store, sink: RecordingSink, warm: DispatcherDriver
) -> None:
    """So does the answer to a claim."""
    victim = created(store, sink=sink.url_of("/second"), registration="r2")
    partition = partition_of("r2", 64)
    append(store, invitation(1, registration="r2"))
    raw_store.lset(partition.outbox(victim.id), 0, "garbled")
    append(store, invitation(2, registration="r2"))
    settled(warm, sink, 2)
    assert [request.path for request in sink.requests] == ["/first", "/second"]
    assert [entry["reason"] for _, entry in raw_store.xrange(partition.dead)] == ["damaged"]


def test_over_tls(
    valkey: Valkey,
    environ: dict[str, str],
    store: Store,
    sink: RecordingSink,
    make_driver: Make,
    authority: Authority,
) -> None:
    relay = TlsRelay(authority.context("127.0.0.1"), path_of(valkey))
    url = f"rediss://127.0.0.1:{relay.port}?ssl_ca_certs={authority.ca_file}"
    secure = Store.connect(Settings.from_environ(environ | {"WEBRTC_EVENTS_REDIS_URL": url}))
    created(store, sink=sink.url)
    driver = make_driver(secure, calls="in the loop")
    for number in range(1, 4):
        append(store, invitation(number))
        settled(driver, sink, number)
    assert sequence(sink.requests) == [1, 2, 3]
    secure.close()
    relay.close()
