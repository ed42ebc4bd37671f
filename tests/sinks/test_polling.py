"""Polling the client: waking it, closing it, and what is left behind."""

import itertools
import threading
from pathlib import Path

import pytest

from tests.harness.sinks import Answer, Received, RecordingSink
from tests.sinks.exchanges import MakeSink, post, request
from webrtc_events.sinks.limits import SinkLimits


def test_poll_with_nothing_to_do_returns_nothing(make: MakeSink) -> None:
    assert make().poll(0.01) == []


def test_wake_from_another_thread_ends_a_poll(server: RecordingSink, make: MakeSink) -> None:
    sink = make(limits=SinkLimits(total_ms=60_000))

    def answer(_: Received) -> Answer:
        sink.wake()
        return Answer(never=True)

    server.answer = answer
    sink.submit(1, request(server.url))
    assert sink.poll(50) == []
    assert sink.in_flight == 1


def test_wake_before_a_poll_counts_once(make: MakeSink) -> None:
    sink = make()
    for _ in range(100_000):
        sink.wake()
    assert sink.poll(50) == []
    again = threading.Event()

    def wake_again() -> None:
        again.set()
        sink.wake()

    waker = threading.Timer(0.05, wake_again)
    waker.start()
    assert sink.poll(50) == []
    assert again.is_set()
    waker.join()


def test_close_drops_what_is_in_flight_and_may_be_repeated(server: RecordingSink, make: MakeSink) -> None:
    server.answer = lambda _: Answer(never=True)
    sink = make()
    sink.submit(1, request(server.url))
    assert sink.poll(0) == []
    sink.close()
    sink.close()
    sink.wake()
    assert sink.in_flight == 0


def test_closed_connections_leave_no_descriptors_behind(server: RecordingSink, make: MakeSink) -> None:
    descriptors = Path("/proc/self/fd")
    if not descriptors.is_dir():
        pytest.skip("the host does not list its descriptors")
    sink = make(limits=SinkLimits(body_bytes=10))
    ends = itertools.cycle([b"", b"x" * 20])
    server.answer = lambda _: Answer(200, body=next(ends), close=True)

    def settled() -> int:
        """libcurl lets go of a closed TLS connection while it is driven, a little later."""
        server.wait_until_idle()
        counts = [len(list(descriptors.iterdir()))]
        while len(counts) < 3 or len(set(counts[-3:])) > 1:
            assert len(counts) < 50, counts
            sink.poll(0.1)
            counts.append(len(list(descriptors.iterdir())))
        return counts[-1]

    post(sink, server.url)
    before = settled()
    for _ in range(20):
        post(sink, server.url)
    assert settled() <= before
