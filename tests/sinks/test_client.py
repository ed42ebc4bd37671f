"""Requests to sinks: what is sent, what counts as an answer, and which connection carries it."""

import errno
import socket
import ssl
import threading
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from tests.harness.authority import Authority
from tests.harness.http2_sink import Act, Http2Sink, go_away, refuse_stream
from tests.harness.sinks import Answer, RecordingSink, read_request
from tests.sinks.exchanges import (
    BODY,
    HEADERS,
    SECRET,
    MakeSink,
    after_request,
    collect,
    failure,
    post,
    request,
    send,
    status,
)
from webrtc_events.core.outcomes import SinkAnswer
from webrtc_events.sinks.client import SinkPool
from webrtc_events.sinks.headers import is_sendable_header
from webrtc_events.sinks.limits import SinkLimits


def test_event_is_posted_with_exactly_the_given_headers(server: RecordingSink, make: MakeSink) -> None:
    reply = post(make(), server.url_of("/a/../b?c=d"))
    assert status(reply) == 204
    assert 0 <= reply.elapsed_ms < 10_000
    [received] = server.wait_for(1)
    assert (received.method, received.path, received.body) == ("POST", "/a/../b?c=d", BODY)
    sent = {name: value for name, value in received.headers if name != "User-Agent"}
    assert sent == {
        "Host": f"localhost:{server.port}",
        "Content-Length": str(len(BODY)),
        **dict(HEADERS),
    }
    assert (received.header("User-Agent") or "").startswith("webrtc-events")


def test_header_without_value_is_sent(server: RecordingSink, make: MakeSink) -> None:
    assert status(post(make(), server.url, (("X-Empty", ""), ("User-Agent", "mine")))) == 204
    [received] = server.wait_for(1)
    assert (received.header("X-Empty"), received.header("User-Agent")) == ("", "mine")
    assert received.header("Content-Type") is None


def test_headers_of_one_post_do_not_stay_for_the_next(server: RecordingSink, make: MakeSink) -> None:
    sink = make()
    post(sink, server.url, (("X-First", "1"),))
    post(sink, server.url, (("X-Second", "2"),))
    _, second = server.wait_for(2)
    assert (second.header("X-First"), second.header("X-Second")) == (None, "2")


def test_connection_is_kept_for_the_next_post(server: RecordingSink, make: MakeSink) -> None:
    sink = make()
    assert [status(post(sink, server.url)) for _ in range(5)] == [204] * 5
    assert server.connections == 1


def test_an_answer_says_whether_its_connection_is_shared(
    authority: Authority, server: RecordingSink, make: MakeSink
) -> None:
    sink = make()
    with Http2Sink(authority) as http2:
        answers = [post(sink, url) for url in (http2.url, server.url)]
    assert [isinstance(answer, SinkAnswer) and answer.multiplexed for answer in answers] == [True, False]


@pytest.mark.parametrize(
    ("version", "shared"), [(b"HTTP/1.0", False), (b"HTTP/2.0", False), (b"HTTP/2", None), (b"HTTP/3", None)]
)
def test_a_sink_cannot_say_that_its_connection_is_shared(
    server: RecordingSink, make: MakeSink, version: bytes, shared: bool | None
) -> None:
    server.raw = send(version + b" 204 No Content\r\n\r\n")
    answer = post(make(), server.url)
    assert (answer.multiplexed if isinstance(answer, SinkAnswer) else None) is shared


def test_many_requests_share_the_connections_that_a_host_may_have(
    authority: Authority, make: MakeSink
) -> None:
    """None is answered before eight of them are on their way on one connection."""
    sink = make(pool=SinkPool(per_host=1))
    with Http2Sink(authority, together=8) as http2:
        for token in range(8):
            sink.submit(token, request(http2.url))
        assert {status(reply) for reply in collect(sink, 8).values()} == {204}
        assert http2.connections == 1


def test_having_no_socket_left_is_no_fault_of_the_peer(
    make: MakeSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> socket.socket:
        raise OSError(errno.EMFILE, "too many open files")

    sink = make()
    monkeypatch.setattr(socket, "socket", refuse)
    assert failure(post(sink, "https://127.0.0.1:49151/")) == "other"


def test_connection_that_the_sink_closed_meanwhile_is_replaced(server: RecordingSink, make: MakeSink) -> None:
    server.answer = lambda _: Answer(204, close=True)
    sink = make()
    assert [status(post(sink, server.url)) for _ in range(3)] == [204] * 3
    assert server.connections == 3


@pytest.mark.parametrize("act", [refuse_stream, go_away])
def test_an_attempt_is_one_request_also_to_a_sink_that_refuses_it(
    authority: Authority, make: MakeSink, act: Act
) -> None:
    """libcurl would send each six times."""
    sink = make()
    with Http2Sink(authority, act=act) as http2:
        for attempts in (1, 2, 3):
            reply = post(sink, http2.url)
            assert failure(reply) == "connect"
            assert "refused the request, before an answer" in repr(reply)
            assert http2.requests == attempts
        http2.act = http2.answer
        assert status(post(sink, http2.url)) == 204


@pytest.mark.parametrize("act", [refuse_stream, go_away])
def test_many_that_are_refused_together_are_each_sent_once_more_at_most(
    authority: Authority, make: MakeSink, act: Act
) -> None:
    """Those that joined a connection which was there may find that it has ended."""
    sink = make(pool=SinkPool(per_host=1))
    with Http2Sink(authority, act=act) as http2:
        for token in range(20):
            sink.submit(token, request(http2.url))
        assert {failure(reply) for reply in collect(sink, 20).values()} == {"connect"}
        assert http2.requests <= 40


def test_a_kept_connection_that_ends_unanswered_costs_one_more_request(
    server: RecordingSink, make: MakeSink
) -> None:
    """As when the sink closes it at the moment of the request."""
    sink = make()
    unanswered = threading.Semaphore(0)

    def answers_once(connection: ssl.SSLSocket) -> None:
        with connection.makefile("rb") as reader:
            read_request(cast(BinaryIO, reader))
            connection.sendall(b"HTTP/1.1 204 X\r\n\r\n")
            if read_request(cast(BinaryIO, reader)):
                unanswered.release()

    server.raw = answers_once
    assert [status(post(sink, server.url)) for _ in range(3)] == [204] * 3
    assert unanswered.acquire(timeout=5)
    assert unanswered.acquire(timeout=5)
    server.raw = after_request(lambda _: unanswered.release())
    assert failure(post(sink, server.url)) == "connect"
    # One on the kept connection, one on a new one.
    assert unanswered.acquire(timeout=5)
    assert unanswered.acquire(timeout=5)
    assert not unanswered.acquire(blocking=False)


@pytest.mark.parametrize("code", [200, 299, 301, 304, 307, 308, 400, 401, 404, 410, 429, 500, 503, 599])
def test_any_final_status_is_an_answer(server: RecordingSink, make: MakeSink, code: int) -> None:
    server.answer = lambda _: Answer(code)
    assert status(post(make(), server.url)) == code


def test_redirect_is_not_followed(server: RecordingSink, make: MakeSink) -> None:
    server.answer = lambda _: Answer(308, (("Location", server.url_of("/elsewhere")),))
    sink = make()
    assert status(post(sink, server.url)) == 308
    assert status(post(sink, server.url)) == 308
    assert [received.path for received in server.requests] == ["/", "/"]


def test_retry_after_is_handed_on(server: RecordingSink, make: MakeSink) -> None:
    server.answer = lambda _: Answer(503, (("retry-AFTER", " 120 "), ("Retry-After", "1")))
    sink = make()
    reply = post(sink, server.url)
    assert isinstance(reply, SinkAnswer)
    assert reply.retry_after == "120"
    server.answer = [503]
    reply = post(sink, server.url)
    assert isinstance(reply, SinkAnswer)
    assert reply.retry_after is None


def test_replies_carry_the_token_of_their_request(server: RecordingSink, make: MakeSink) -> None:
    server.answer = lambda received: Answer(int(received.path[1:]))
    sink = make()
    for token in range(200, 220):
        sink.submit(token, request(server.url_of(f"/{token}")))
    assert sink.in_flight == 20
    replies = collect(sink, 20)
    assert {token: status(reply) for token, reply in replies.items()} == {n: n for n in range(200, 220)}
    assert sink.in_flight == 0


def test_a_hanging_sink_delays_no_other(server: RecordingSink, make: MakeSink) -> None:
    server.answer = lambda received: Answer(never=received.path == "/hang")
    # 200 handshakes with a sink in Python take a while on a busy machine.
    sink = make(limits=SinkLimits(connect_ms=20_000, total_ms=25_000))
    sink.submit(0, request(server.url_of("/hang")))
    for token in range(1, 201):
        sink.submit(token, request(server.url_of("/")))
    replies = collect(sink, 200)
    assert 0 not in replies
    assert {status(reply) for reply in replies.values()} == {204}
    assert sink.in_flight == 1


@pytest.mark.parametrize(
    "name", ["https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]
)
def test_proxies_of_the_environment_are_ignored(
    server: RecordingSink, make: MakeSink, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with RecordingSink() as proxy:
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert status(post(make(), server.url)) == 204
        assert proxy.connections == 0


def test_a_netrc_file_is_ignored(
    server: RecordingSink, make: MakeSink, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine localhost login operator password hidden\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    assert status(post(make(), server.url, (("X-A", "1"),))) == 204
    [received] = server.wait_for(1)
    assert received.header("Authorization") is None


# Requests that cannot be sent


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost/",
        "ftp://localhost/",
        "https://bücher.example/",
        "https://a b/",
        "https://x\x00y/",
        "",
    ],
)
def test_url_that_cannot_be_sent_is_a_failure_of_that_request_alone(
    server: RecordingSink, make: MakeSink, url: str
) -> None:
    sink = make()
    sink.submit(1, request(url))
    sink.submit(2, request(server.url))
    assert sink.in_flight == 2
    replies = collect(sink, 2)
    assert (failure(replies[1]), status(replies[2])) == ("protocol", 204)


UNSENDABLE = [
    ("X-A", f"{SECRET}\r\nX-B: c"),
    ("X-A", f"{SECRET}\nX-B: c"),
    ("X-A", f"{SECRET}\x00"),
    ("X-A", f"{SECRET}ü"),
    ("X-A\r\nX-B", SECRET),
    ("X A", SECRET),
    ("", SECRET),
    ("X-A:", SECRET),
    ("Host: elsewhere.example", SECRET),
    ("Transfer-Encoding: chunked;x", SECRET),
    ("Host", "elsewhere.example"),
    ("content-length", "1"),
    ("Transfer-Encoding", "chunked"),
    ("Connection", "close"),
    ("Expect", "100-continue"),
]


@pytest.mark.parametrize("header", UNSENDABLE)
def test_header_that_must_not_be_sent_is_a_failure_of_that_request_alone(
    server: RecordingSink, make: MakeSink, header: tuple[str, str]
) -> None:
    sink = make()
    assert not is_sendable_header(*header)
    assert failure(post(sink, server.url, (header,))) == "protocol"
    assert status(post(sink, server.url)) == 204
    assert len(server.requests) == 1
