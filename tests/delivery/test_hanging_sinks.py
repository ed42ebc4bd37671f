"""Sinks that hang or are crowded delay no other, and do not make a dispatcher spin."""

import socket

import pytest

from tests.delivery.conftest import LIMITS
from tests.delivery.deliveries import Make, sequence
from tests.harness.builders import append, created, invitation
from tests.harness.sinks import Answer, RecordingSink
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.settings import Settings
from webrtc_events.delivery.dispatcher import DispatcherOptions
from webrtc_events.delivery.host_limits import HostLimits
from webrtc_events.sinks.limits import SinkLimits
from webrtc_events.store.store import Store


def test_a_sink_that_hangs_delays_no_other(store: Store, sink: RecordingSink, make_driver: Make) -> None:
    created(store, sink=sink.url_of("/hangs"))
    created(store, sink=sink.url_of("/healthy"), registration="r2")
    sink.answer = lambda request: Answer(never=request.path == "/hangs")
    append(store, invitation(1))
    append(store, *(invitation(number, registration="r2") for number in range(2, 12)))
    dispatcher = make_driver().dispatcher
    for _ in range(100):
        dispatcher.step()
        healthy = [request for request in sink.requests if request.path == "/healthy"]
        if len(healthy) == 10:
            break
    assert sequence(healthy) == list(range(2, 12))
    assert not dispatcher.idle


@pytest.mark.slow
def test_many_that_hang_delay_no_other(store: Store, sink: RecordingSink, make_driver: Make) -> None:
    """More than a dispatcher keeps on its way to one host, and more than may wait for it."""
    hanging = socket.create_server(("127.0.0.1", 0), backlog=512)
    with hanging:
        for _ in range(300):
            created(store, sink=f"https://127.0.0.1:{hanging.getsockname()[1]}/")
        created(store, sink=sink.url, registration="r2")
        append(store, invitation(1))
        limits = SinkLimits(connect_ms=8_000, total_ms=8_000)
        options = DispatcherOptions(poll_s=0.02, limits=limits)
        dispatcher = make_driver(options=options, limits=limits).dispatcher
        dispatcher.step()
        append(store, *(invitation(number, registration="r2") for number in range(2, 12)))
        clock = SystemClock()
        started = clock.monotonic()
        while len(sink.requests) < 10 and clock.monotonic() < started + 7:
            dispatcher.step()
        assert sequence(sink.requests) == list(range(2, 12))
        # Before the first of those that hang has run into its timeout of 8 s.
        assert clock.monotonic() - started < 7


def test_a_crowded_host_does_not_make_a_dispatcher_spin(
    store: Store, settings: Settings, sink: RecordingSink, make_driver: Make
) -> None:
    for number in range(8):
        created(store, sink=sink.url, registration=f"r{number}")
    sink.answer = lambda _: Answer(never=True)
    for number in range(8):
        append(store, invitation(number, registration=f"r{number}"))
    options = DispatcherOptions(HostLimits(permits=4), poll_s=0.02, limits=LIMITS)
    full = make_driver(options=options).dispatcher
    clock = SystemClock()
    started, rounds = clock.monotonic(), 0
    while clock.monotonic() - started < 0.4:
        full.step()
        rounds += 1
    # A host that has not answered yet is asked once.
    assert len(sink.wait_for(1)) == 1
    assert rounds < 60
