import errno
import gzip
import itertools
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import BinaryIO, cast

import pytest
from h2.connection import H2Connection

from tests.harness.http2_sink import Act, Http2Sink, go_away, refuse_stream
from tests.harness.sinks import (
    Answer,
    Authority,
    Received,
    RecordingSink,
    plain_listener,
    read_request,
    self_signed,
)
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.outcomes import SinkAnswer, SinkFailure, SinkReply, SinkRequest
from webrtc_events.sinks.addresses import AddressPolicy
from webrtc_events.sinks.client import SinkClient, SinkPool
from webrtc_events.sinks.headers import is_sendable_header
from webrtc_events.sinks.limits import SinkLimits
from webrtc_events.sinks.resolver import Lookup, system_lookup

LOOPBACK = AddressPolicy((ip_network("127.0.0.0/8"), ip_network("::1/128")))
DEFAULT = SinkLimits()
POOL = SinkPool()
HASTY = SinkLimits(connect_ms=300, total_ms=400)
SECRET = "a-secret-token"
HEADERS = (
    ("Content-Type", "application/cloudevents+json"),
    ("x-correlator", "b4333c46-49c0-4f62-80d7-f0ef930f1c46"),
    ("Authorization", f"Bearer {SECRET}"),
)
BODY = b'{"id":"1","text":"private"}'

CHUNKED = b"HTTP/1.1 503 X\r\ntransfer-encoding: chunked\r\n\r\n"
INTERIM = b"HTTP/1.1 100 X\r\n\r\nHTTP/1.1 103 X\r\nlink: x\r\n\r\n"

Raw = Callable[[ssl.SSLSocket], None]
MakeSink = Callable[..., SinkClient[int]]


@pytest.fixture(scope="module")
def authority() -> Iterator[Authority]:
    authority = Authority()
    yield authority
    authority.close()


@pytest.fixture
def server(authority: Authority) -> Iterator[RecordingSink]:
    with RecordingSink(authority=authority) as server:
        yield server


@pytest.fixture
def make(authority: Authority) -> Iterator[MakeSink]:
    with ExitStack() as stack:

        def make(
            *,
            policy: AddressPolicy = LOOPBACK,
            ca_file: Path | None = authority.ca_file,
            limits: SinkLimits = DEFAULT,
            resolve: Sequence[str] = (),
            pool: SinkPool = POOL,
            lookup: Lookup = system_lookup,
        ) -> SinkClient[int]:
            sink = SinkClient[int](
                policy=policy,
                ca_file=ca_file,
                clock=SystemClock(),
                limits=limits,
                pool=pool,
                lookup=lookup,
                resolve=resolve,
            )
            stack.callback(sink.close)
            return sink

        yield make


def request(url: str, headers: tuple[tuple[str, str], ...] = HEADERS) -> SinkRequest:
    return SinkRequest(url, headers, BODY)


def collect(sink: SinkClient[int], count: int) -> dict[int, SinkReply]:
    replies: dict[int, SinkReply] = {}
    while len(replies) < count:
        finished = sink.poll(10)
        assert finished, f"nothing within 10 s, {count - len(replies)} to come"
        replies.update(finished)
    return replies


def post(sink: SinkClient[int], url: str, headers: tuple[tuple[str, str], ...] = HEADERS) -> SinkReply:
    sink.submit(1, request(url, headers))
    return collect(sink, 1)[1]


def failure(reply: SinkReply) -> str:
    """The reason; whatever failed, its text must not show what was sent."""
    assert isinstance(reply, SinkFailure)
    assert SECRET not in repr(reply)
    assert "private" not in repr(reply)
    return reply.reason


def status(reply: SinkReply) -> int:
    assert isinstance(reply, SinkAnswer), reply
    return reply.status


# Deliveries


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
    sink = make()
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


# Asking a sink


def ask(sink: SinkClient[int], url: str) -> SinkReply:
    sink.submit(1, SinkRequest(url, (("WebHook-Request-Origin", "here.example"),), b"", "OPTIONS"))
    return collect(sink, 1)[1]


def allowing(*headers: tuple[str, str]) -> Callable[[Received], Answer]:
    return lambda _: Answer(200, headers, body=b"words that nobody reads")


def allowed(reply: SinkReply) -> tuple[str | None, str | None]:
    assert isinstance(reply, SinkAnswer), reply
    return reply.allowed_origin, reply.allowed_rate


def test_a_question_is_options_without_a_body(server: RecordingSink, make: MakeSink) -> None:
    assert status(ask(make(), server.url_of("/a?b"))) == 204
    [received] = server.wait_for(1)
    assert (received.method, received.path, received.body) == ("OPTIONS", "/a?b", b"")
    assert {name for name, _ in received.headers} == {"Host", "User-Agent", "WebHook-Request-Origin"}


def test_questions_and_events_alternate_on_one_connection(server: RecordingSink, make: MakeSink) -> None:
    sink = make()
    server.answer = allowing(("webhook-allowed-origin", "*"))
    for _ in range(2):
        assert allowed(ask(sink, server.url)) == ("*", None)
        assert status(post(sink, server.url)) == 200
    assert [request.method for request in server.requests] == ["OPTIONS", "POST"] * 2
    assert [request.body for request in server.requests] == [b"", BODY] * 2
    assert server.connections == 1


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (
            [("WebHook-Allowed-Origin", "here.example"), ("webhook-allowed-rate", "60")],
            ("here.example", "60"),
        ),
        ([("WEBHOOK-ALLOWED-ORIGIN", " \t*\t ")], ("*", None)),
        ([("webhook-allowed-origin", "a"), ("WebHook-Allowed-Origin", "b")], ("a, b", None)),
        ([("webhook-allowed-origin", "a"), ("webhook-allowed-origin", "a")], ("a, a", None)),
        ([("webhook-allowed-origin", "")], ("", None)),
        ([("webhook-allowed-origin ", "a")], (None, None)),
        ([("webhook-allowed-originator", "a"), ("x-webhook-allowed-origin", "a")], (None, None)),
        ([("webhook-allowed-origin", "\xa0a\x85")], ("\xa0a\x85", None)),
        ([("webhook-allowed-rate", "7"), ("webhook-allowed-rate", "8")], (None, "7, 8")),
        ([("webhook-allowed-origin", "a" * 5_000)], ("a" * 300, None)),
        ([("webhook-allowed-origin", "a" * 200)] * 20, (("a" * 200 + ", " + "a" * 200)[:300], None)),
    ],
)
def test_the_permission_is_handed_on_as_it_was_written(
    server: RecordingSink,
    make: MakeSink,
    headers: list[tuple[str, str]],
    expected: tuple[str | None, str | None],
) -> None:
    server.answer = allowing(*headers)
    assert allowed(ask(make(), server.url)) == expected


def test_a_permission_may_come_by_http2(authority: Authority, make: MakeSink) -> None:
    sink = make()
    with Http2Sink(authority, headers=(("webhook-allowed-origin", "*"),)) as http2:
        assert allowed(ask(sink, http2.url)) == ("*", None)
        assert status(post(sink, http2.url)) == 204
        assert http2.connections == 1


PERMITS = b"webhook-allowed-origin: *\r\n"


@pytest.mark.parametrize(
    "parts",
    [
        (b"HTTP/1.1 103 X\r\n", PERMITS, b"\r\nHTTP/1.1 200 X\r\ncontent-length: 0\r\n\r\n"),
        (b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\ntrailer: x\r\n\r\n0\r\n", PERMITS, b"\r\n"),
        (b"HTTP/1.1 200 X\r\ncontent-length: 27\r\n\r\n", PERMITS),
        (b"HTTP/1.1 200 X\r\ncontent-length: 0\r\nx-other: a\r\n ", PERMITS, b"\r\n"),
    ],
    ids=["interim answer", "trailer", "body", "folded line"],
)
def test_only_the_head_of_the_final_answer_permits(
    server: RecordingSink, make: MakeSink, parts: tuple[bytes, ...]
) -> None:
    server.raw = send(*parts)
    reply = ask(make(), server.url)
    assert isinstance(reply, SinkFailure) or allowed(reply) == (None, None)


@pytest.mark.parametrize(
    ("remainder", "reason"),
    [(b"x-head-ends: he", "connect"), (b"x-long: " + b"y" * 20_000 + b"\r\n\r\n", "too_large")],
    ids=["head cut off", "large head"],
)
def test_half_a_head_permits_nothing(
    server: RecordingSink, make: MakeSink, remainder: bytes, reason: str
) -> None:
    server.raw = send(b"HTTP/1.1 200 X\r\n", PERMITS, remainder)
    assert failure(ask(make(), server.url)) == reason


def test_a_redirect_of_a_question_is_not_followed(server: RecordingSink, make: MakeSink) -> None:
    server.answer = lambda _: Answer(
        307, (("location", server.url_of("/b")), ("webhook-allowed-origin", "*"))
    )
    assert status(ask(make(), server.url)) == 307
    assert len(server.requests) == 1


def test_a_refused_address_is_not_asked_either(server: RecordingSink, make: MakeSink) -> None:
    assert failure(ask(make(policy=AddressPolicy()), server.url)) == "address_refused"
    assert server.connections == 0


def test_a_permission_does_not_stay_for_the_next_answer(server: RecordingSink, make: MakeSink) -> None:
    sink = make()
    server.answer = allowing(("webhook-allowed-origin", "*"), ("webhook-allowed-rate", "5"))
    assert allowed(ask(sink, server.url)) == ("*", "5")
    server.answer = allowing()
    assert allowed(ask(sink, server.url)) == (None, None)


# Trust


def test_certificate_of_an_unknown_ca_is_refused(server: RecordingSink, make: MakeSink) -> None:
    other = Authority()
    try:
        assert failure(post(make(ca_file=other.ca_file), server.url)) == "tls"
        assert failure(post(make(ca_file=None), server.url)) == "tls"
    finally:
        other.close()
    assert server.requests == []


@pytest.mark.parametrize(
    ("names", "not_after"),
    [(["example.com"], None), (["localhost"], datetime(2020, 1, 1, tzinfo=UTC))],
    ids=["other name", "expired"],
)
def test_certificate_that_does_not_hold_is_refused(
    authority: Authority, make: MakeSink, names: list[str], not_after: datetime | None
) -> None:
    with RecordingSink(authority=authority, names=names, not_after=not_after) as server:
        assert failure(post(make(), server.url)) == "tls"
        assert server.requests == []


def test_self_signed_certificate_is_refused(server: RecordingSink, make: MakeSink, tmp_path: Path) -> None:
    server.use(self_signed(tmp_path / "own.pem", "localhost", "localhost"))
    assert failure(post(make(), server.url)) == "tls"
    assert server.requests == []
    # The certificate is in order otherwise: who trusts it gets through.
    assert status(post(make(ca_file=tmp_path / "own.pem"), server.url)) == 204


def test_old_tls_is_refused(authority: Authority, server: RecordingSink, make: MakeSink) -> None:
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        server.use(authority.old_context("localhost"))
    # The sink does speak it: a client that puts up with it gets through.
    assert _tls_version_with(authority, server.port) == "TLSv1.1"
    assert failure(post(make(), server.url)) == "tls"
    assert server.requests == []


def _tls_version_with(authority: Authority, port: int) -> str | None:
    """What is agreed on by a client that takes whatever there is."""
    lenient = ssl.create_default_context(cafile=str(authority.ca_file))
    lenient.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        lenient.minimum_version = ssl.TLSVersion.TLSv1
    with (
        socket.create_connection(("127.0.0.1", port), 5) as plain,
        lenient.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        return connection.version()


def test_peer_that_speaks_no_tls_is_a_failure(make: MakeSink) -> None:
    with plain_listener(b"HTTP/1.1 200 OK\r\n\r\n") as port:
        assert failure(post(make(), f"https://localhost:{port}/")) == "tls"


# Addresses


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "127.1", "2130706433", "[::1]", "[::ffff:7f00:1]"]
)
def test_refused_address_is_never_connected_to(server: RecordingSink, make: MakeSink, host: str) -> None:
    sink = make(policy=AddressPolicy())
    assert failure(post(sink, f"https://{host}:{server.port}/")) == "address_refused"
    assert server.connections == 0


def test_name_that_resolves_to_a_refused_address_is_refused(authority: Authority, make: MakeSink) -> None:
    with RecordingSink(authority=authority, names=["sink.example"]) as server:
        resolve = (f"sink.example:{server.port}:127.0.0.1",)
        url = f"https://sink.example:{server.port}/"
        reply = post(make(policy=AddressPolicy(), resolve=resolve), url)
        assert failure(reply) == "address_refused"
        assert server.connections == 0
        assert status(post(make(resolve=resolve), url)) == 204


@pytest.mark.parametrize(
    "answer", ["169.254.169.254,10.0.0.1,127.0.0.1", "127.0.0.2,[::1],127.0.0.1", "127.0.0.1,127.0.0.2"]
)
def test_of_mixed_answers_only_the_allowed_address_is_connected_to(
    authority: Authority, make: MakeSink, answer: str
) -> None:
    with RecordingSink(authority=authority, names=["sink.example"]) as server, _bystander(server) as refused:
        sink = make(
            policy=AddressPolicy((ip_network("127.0.0.1/32"),)),
            resolve=(f"sink.example:{server.port}:{answer}",),
        )
        assert status(post(sink, f"https://sink.example:{server.port}/")) == 204
        assert server.connections == 1
        assert refused() == 0


def test_answers_that_are_all_refused_are_never_connected_to(authority: Authority, make: MakeSink) -> None:
    with RecordingSink(authority=authority, names=["sink.example"]) as server, _bystander(server) as refused:
        resolve = (f"sink.example:{server.port}:127.0.0.2,[::1],127.0.0.1",)
        url = f"https://sink.example:{server.port}/"
        assert failure(post(make(policy=AddressPolicy(), resolve=resolve), url)) == "address_refused"
        assert (server.connections, refused()) == (0, 0)


def test_a_name_that_changes_between_two_attempts_is_checked_anew(
    authority: Authority, make: MakeSink
) -> None:
    with RecordingSink(authority=authority, names=["sink.example"]) as server, _bystander(server) as refused:
        server.answer = lambda _: Answer(503, close=True)
        good, bad = (f"sink.example:{server.port}:{host}" for host in ("127.0.0.1", "127.0.0.2"))
        url = f"https://sink.example:{server.port}/"
        resolve = [good]
        sink = make(policy=AddressPolicy((ip_network("127.0.0.1/32"),)), resolve=resolve)
        assert status(post(sink, url)) == 503
        resolve[:] = [bad]
        assert failure(post(sink, url)) == "address_refused"
        resolve[:] = [good]
        assert status(post(sink, url)) == 503
        assert (server.connections, refused()) == (2, 0)


def test_what_a_lookup_finds_is_checked_at_every_connection(authority: Authority, make: MakeSink) -> None:
    """As at a hostile name server, which answers each name as it likes."""
    answers = {
        "refused.example": ["127.0.0.2"],
        "mixed.example": ["127.0.0.2", "::1", "127.0.0.1"],
        "spelt.example": ["::ffff:127.0.0.2", "127.0.0.2%lo", "2130706434", "/etc/passwd", ""],
    }
    with RecordingSink(authority=authority, names=list(answers)) as server, _bystander(server) as refused:
        server.answer = lambda _: Answer(204, close=True)
        sink = make(policy=AddressPolicy((ip_network("127.0.0.1/32"),)), lookup=answers.__getitem__)
        for _ in range(2):
            assert failure(post(sink, f"https://refused.example:{server.port}/")) == "address_refused"
            assert isinstance(post(sink, f"https://spelt.example:{server.port}/"), SinkFailure)
            assert status(post(sink, f"https://mixed.example:{server.port}/")) == 204
        assert (server.connections, refused()) == (2, 0)


def test_a_port_that_sinks_may_no_longer_have_is_never_connected_to(
    server: RecordingSink, make: MakeSink
) -> None:
    policy = AddressPolicy((ip_network("127.0.0.0/8"), ip_network("::1/128")), frozenset({443}))
    assert failure(post(make(policy=policy), server.url)) == "address_refused"
    assert server.connections == 0


@contextmanager
def _bystander(server: RecordingSink) -> Iterator[Callable[[], int]]:
    """Listens at the server's port on 127.0.0.2, and counts who connects."""
    with socket.create_server(("127.0.0.2", server.port)) as listener:
        listener.setblocking(False)

        def connections() -> int:
            count = 0
            while True:
                try:
                    connection, _ = listener.accept()
                except BlockingIOError:
                    return count
                connection.close()
                count += 1

        yield connections


def test_unknown_name_is_a_dns_failure(make: MakeSink) -> None:
    assert failure(post(make(), "https://no-such-name.invalid/")) == "dns"


class Names:
    """A lookup where every name is this host, and those that begin with `hangs` hang until `let_go`."""

    def __init__(self) -> None:
        self.let_go = threading.Event()

    def __call__(self, name: str) -> list[str]:
        if name.startswith("hangs"):
            self.let_go.wait(30)
        return ["127.0.0.1"]


@pytest.fixture
def names() -> Iterator[Names]:
    names = Names()
    yield names
    names.let_go.set()


def test_names_that_hang_hold_back_no_other(authority: Authority, make: MakeSink, names: Names) -> None:
    """libcurl's own resolver stands still at ten of them."""
    with RecordingSink(authority=authority, names=["a.example", "b.example"]) as server:
        sink = make(lookup=names)
        for token in range(30):
            sink.submit(token, request(f"https://hangs-{token}.example:{server.port}/"))
        for token, name in ((100, "a"), (101, "b")):
            sink.submit(token, request(f"https://{name}.example:{server.port}/"))
        replies = collect(sink, 2)
        assert {token: status(reply) for token, reply in replies.items()} == {100: 204, 101: 204}
        assert all(reply.elapsed_ms < 10_000 for reply in replies.values())


def test_a_name_that_hangs_is_a_dns_failure_within_the_time_to_connect(make: MakeSink, names: Names) -> None:
    reply = post(make(limits=HASTY, lookup=names), "https://hangs.example/")
    assert failure(reply) == "dns"
    # The lookup hangs for 30 s.
    assert HASTY.connect_ms <= reply.elapsed_ms < 10_000


@pytest.mark.slow
def test_the_time_of_a_lookup_is_part_of_the_exchange(authority: Authority, make: MakeSink) -> None:
    def slow(_: str) -> list[str]:
        threading.Event().wait(1.3)
        return ["127.0.0.1"]

    with RecordingSink(authority=authority, names=["a.example"]) as server:
        limits = SinkLimits(connect_ms=2_000, total_ms=2_000)
        sink = make(limits=limits, lookup=slow)
        server.answer = lambda _: Answer(never=True)
        reply = post(sink, f"https://a.example:{server.port}/")
        assert failure(reply) == "timeout"
        assert reply.elapsed_ms < limits.total_ms + 1_000
        # The next exchange, whose name is known, has all its time.
        reply = post(sink, f"https://a.example:{server.port}/")
        assert failure(reply) == "timeout"
        assert reply.elapsed_ms >= limits.total_ms - 10


def test_a_sink_with_names_under_way_closes_at_once(make: MakeSink, names: Names) -> None:
    sink = make(lookup=names)
    sink.submit(1, request("https://hangs.example/"))
    assert sink.in_flight == 1
    clock = SystemClock()
    started = clock.monotonic()
    sink.close()
    # The lookup hangs for 30 s.
    assert clock.monotonic() - started < 10


def test_refused_connection_is_a_connect_failure(make: MakeSink) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert failure(post(make(), f"https://127.0.0.1:{port}/")) == "connect"


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


# Sinks that misbehave


def after_request(act: Callable[[ssl.SSLSocket], None]) -> Raw:
    """A connection hook that reads one request before it acts."""

    def raw(connection: ssl.SSLSocket) -> None:
        with connection.makefile("rb") as reader:
            read_request(cast(BinaryIO, reader))
        act(connection)

    return raw


def send(*parts: bytes) -> Raw:
    return after_request(lambda connection: connection.sendall(b"".join(parts)))


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
    reply = post(make(limits=HASTY), server.url)
    assert failure(reply) == "timeout"
    assert reply.elapsed_ms >= HASTY.total_ms


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


# Polling


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
