"""Sinks that misbehave: answers that break off, never end or never come."""

import gzip
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import BinaryIO, cast

import pytest
from h2.connection import H2Connection

from tests.harness.authority import Authority
from tests.harness.http2_sink import Http2Sink
from tests.harness.sinks import Answer, RecordingSink, plain_listener, read_request
from tests.sinks.exchanges import (
    DEFAULT,
    HASTY,
    MakeSink,
    Raw,
    after_request,
    ask,
    collect,
    failure,
    post,
    request,
    send,
    status,
)
from webrtc_events.core.outcomes import SinkReply
from webrtc_events.sinks.client import SinkClient
from webrtc_events.sinks.limits import SinkLimits

CHUNKED = b"HTTP/1.1 503 X\r\ntransfer-encoding: chunked\r\n\r\n"
INTERIM = b"HTTP/1.1 100 X\r\n\r\nHTTP/1.1 103 X\r\nlink: x\r\n\r\n"


def send_for_ever(start: bytes, part: bytes) -> Raw:
    """Up to 50 MB, far beyond every limit."""

    def act(connection: ssl.SSLSocket) -> None:
        connection.sendall(start)
        for _ in range(50_000_000 // len(part)):
            connection.sendall(part)

    return after_request(act)


def drip(server: RecordingSink, start: bytes) -> Raw:
    def act(connection: ssl.SSLSocket) -> None:
        connection.sendall(start)
        while not server.closing.wait(0.02):
            connection.sendall(b"x")

    return after_request(act)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (after_request(lambda _: None), "connect"),
        (send(b"HTTP/1.1 2"), "connect"),
        (send(b"SSH-2.0-OpenSSH\r\n" * 3), "protocol"),
        (send(b"HTTP/1.1 banana\r\n\r\n"), "protocol"),
        (send_for_ever(b"", b"x" * 1000), "protocol"),
        (send_for_ever(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 40), "too_large"),
        (send_for_ever(b"HTTP/1.1 103 Early\r\n", b"x-header: " + b"y" * 988 + b"\r\n"), "too_large"),
        (send(b"HTTP/1.1 103 Early\r\nx-header: ", b"y" * 1_000_000, b"\r\n\r\n"), "too_large"),
    ],
    ids=[
        "hangs up",
        "cut off",
        "other protocol",
        "bad status",
        "no line",
        "endless interim",
        "interim head",
        "interim header of 1 MB",
    ],
)
def test_connection_without_a_final_status_is_a_failure(
    server: RecordingSink, make: MakeSink, raw: Raw, reason: str
) -> None:
    server.raw = raw
    assert failure(post(make(), server.url)) == reason


@pytest.mark.parametrize(
    "raw",
    [
        send(b"HTTP/1.1 503 X\r\ncontent-length: 10\r\n\r\nabc"),
        send(CHUNKED + b"zz\r\n"),
        send(b"HTTP/1.1 503 X\r\nx-head-ends: he"),
        send_for_ever(b"HTTP/1.1 503 X\r\n", b"x-header: " + b"y" * 988 + b"\r\n"),
        send_for_ever(b"HTTP/1.1 503 X\r\nx-header: ", b"y" * 1000),
        send(b"HTTP/1.1 503 X\r\nx-header: ", b"y" * 1_000_000, b"\r\ncontent-length: 0\r\n\r\n"),
        send_for_ever(b"HTTP/1.1 503 X\r\n\r\n", b"y" * 1000),
        send_for_ever(CHUNKED, b"1\r\nx\r\n" * 200),
        send_for_ever(
            CHUNKED + b"0\r\n",
            b"x-trailer: " + b"y" * 987 + b"\r\n",
        ),
        send(INTERIM, b"HTTP/1.1 503 X\r\ncontent-length: 0\r\n\r\n"),
    ],
    ids=[
        "short body",
        "bad chunk",
        "head cut off",
        "large head",
        "large line",
        "header of 1 MB",
        "large body",
        "endless chunks",
        "endless trailers",
        "interim answers",
    ],
)
def test_final_status_counts_whatever_follows_it(server: RecordingSink, make: MakeSink, raw: Raw) -> None:
    server.raw = raw
    assert status(post(make(), server.url)) == 503


def test_oversized_answer_costs_its_connection_only(server: RecordingSink, make: MakeSink) -> None:
    sink = make()
    server.answer = lambda _: Answer(200, body=b"x" * 65_537)
    assert status(post(sink, server.url)) == 200
    server.answer = lambda _: Answer(200, body=b"x" * 65_536)
    assert [status(post(sink, server.url)) for _ in range(2)] == [200, 200]
    assert server.connections == 2


def test_the_limits_are_those_that_are_promised() -> None:
    assert SinkLimits() == SinkLimits(
        connect_ms=3_000, total_ms=10_000, body_ms=250, head_bytes=16 * 1024, body_bytes=64 * 1024
    )


def test_sink_whose_host_answers_nothing_times_out_while_connecting(make: MakeSink) -> None:
    """A host behind a firewall that drops packets: no refusal, no connection."""
    with _black_hole() as port:
        reply = post(make(limits=SinkLimits(connect_ms=300, total_ms=60_000)), f"https://127.0.0.1:{port}/")
    assert failure(reply) == "timeout"
    assert 300 <= reply.elapsed_ms < 30_000


@contextmanager
def _black_hole() -> Iterator[int]:
    """A port whose queue of connections is full: the host drops what else wants to connect."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        for _ in range(10):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0.2)
            try:
                waiting.connect(address)
            except TimeoutError:
                yield address[1]
                return
        pytest.fail("the queue of connections does not fill")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_compressed_answer_is_not_unpacked(server: RecordingSink, make: MakeSink, coding: str) -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    assert len(bomb) < DEFAULT.body_bytes
    server.answer = lambda _: Answer(200, (("Content-Encoding", coding),), bomb)
    sink = make()
    assert [status(post(sink, server.url)) for _ in range(2)] == [200, 200]
    assert [received.header("Accept-Encoding") for received in server.requests] == [None, None]
    # Unpacked it would be beyond the limit, which would have cost the connection.
    assert server.connections == 1


def test_sink_that_never_answers_times_out(server: RecordingSink, make: MakeSink) -> None:
    server.answer = lambda _: Answer(never=True)
    limits = SinkLimits(connect_ms=10_000, total_ms=400)
    reply = post(make(limits=limits), server.url)
    assert failure(reply) == "timeout"
    assert reply.elapsed_ms >= limits.total_ms


def test_peer_that_never_shakes_hands_times_out(make: MakeSink) -> None:
    with plain_listener(b"") as port:
        reply = post(make(limits=SinkLimits(connect_ms=200, total_ms=60_000)), f"https://127.0.0.1:{port}/")
    assert failure(reply) == "timeout"


def test_dripping_head_times_out(server: RecordingSink, make: MakeSink) -> None:
    server.raw = drip(server, b"HTTP/1.1 20")
    assert failure(post(make(limits=HASTY), server.url)) == "timeout"


def hang_after(*parts: bytes) -> Raw:
    def act(connection: ssl.SSLSocket) -> None:
        connection.sendall(b"".join(parts))
        # Until the peer hangs up, or the sink stops.
        connection.recv(1)

    return after_request(act)


def endless_answers(server: RecordingSink) -> dict[str, Raw]:
    length = b"HTTP/1.1 200 X\r\ncontent-length: 60000\r\n\r\n"
    chunked = b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n"
    return {
        "silence": hang_after(length),
        "drip": drip(server, length),
        "no length": hang_after(b"HTTP/1.1 200 X\r\n\r\nx"),
        "chunked": hang_after(chunked, b"1\r\nx\r\n"),
        "no trailer's end": hang_after(chunked, b"0\r\nx-trailer: 1\r\n"),
        "interim answer": hang_after(INTERIM, length),
    }


@pytest.mark.parametrize("kind", endless_answers(cast(RecordingSink, None)))
@pytest.mark.parametrize("send_one", [post, ask], ids=["event", "question"])
def test_an_answer_whose_body_does_not_end_is_an_answer_soon(
    server: RecordingSink, make: MakeSink, kind: str, send_one: Callable[[SinkClient[int], str], SinkReply]
) -> None:
    sink = make(limits=SinkLimits(total_ms=60_000))
    server.raw = endless_answers(server)[kind]
    for connections in (1, 2):
        reply = send_one(sink, server.url)
        assert status(reply) == 200
        assert DEFAULT.body_ms - 10 <= reply.elapsed_ms < 10_000
        # The connection is dropped, and not waited for by whoever comes next.
        assert server.connections == connections
        while sink.poll(0.05) == [] and server.open:
            pass
    server.wait_until_idle()


def test_a_body_that_ends_in_time_keeps_its_connection(server: RecordingSink, make: MakeSink) -> None:
    def late(connection: ssl.SSLSocket) -> None:
        with connection.makefile("rb") as reader:
            while read_request(cast(BinaryIO, reader)):
                connection.sendall(b"HTTP/1.1 200 X\r\ncontent-length: 4\r\n\r\n")
                for _ in range(4):
                    server.closing.wait(0.03)
                    connection.sendall(b"x")

    server.raw = late
    sink = make(limits=SinkLimits(body_ms=8_000))
    replies = [post(sink, server.url) for _ in range(3)]
    assert [status(reply) for reply in replies] == [200] * 3
    assert all(reply.elapsed_ms >= 100 for reply in replies)
    assert server.connections == 1


def test_http2_streams_that_are_left_open_cost_no_connection(authority: Authority, make: MakeSink) -> None:
    def leave_open(http: H2Connection, stream: int) -> None:
        http.send_headers(stream, [(":status", "200")])
        http.send_data(stream, b"x")

    sink = make(limits=SinkLimits(total_ms=60_000))
    with Http2Sink(authority, act=leave_open) as http2:
        for _ in range(3):
            reply = post(sink, http2.url)
            assert status(reply) == 200
            assert DEFAULT.body_ms - 10 <= reply.elapsed_ms < 10_000
        http2.act = http2.answer
        assert status(post(sink, http2.url)) == 204
        assert http2.connections == 1


def test_bodies_that_do_not_end_hold_back_no_other(server: RecordingSink, make: MakeSink) -> None:
    sink = make(limits=SinkLimits(total_ms=60_000))
    with RecordingSink(authority=server.authority) as endless:
        endless.raw = endless_answers(endless)["drip"]
        for token in range(20):
            sink.submit(token, request(endless.url))
        sink.submit(100, request(server.url))
        replies = collect(sink, 21)
    assert {token: status(reply) for token, reply in replies.items()} == dict.fromkeys(range(20), 200) | {
        100: 204
    }
    assert sink.in_flight == 0
