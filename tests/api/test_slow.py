"""Clients that are slow, or hold much, or mince HTTP: each is answered, or let go, and holds nobody up."""

import asyncio
import json
import re
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from http.client import HTTPResponse

import pytest
import requests
from starlette.types import Receive, Scope, Send

from tests.api.conftest import NETWORK, PUBLIC, Api, serving
from tests.api.test_operations import assert_error, subscription_request
from tests.harness.issuer import Issuer
from tests.production.operations.proxy import parsed
from webrtc_events import app
from webrtc_events.api import bodies
from webrtc_events.api import http_protocol as protocol
from webrtc_events.core.clock import SystemClock

SUBSCRIPTIONS = f"{PUBLIC}/subscriptions"


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "_DEADLINE_S", 0.3)
    monkeypatch.setattr(bodies, "_START_S", 0.3)


def head(api: Api, *lines: str, method: str = "POST", path: str = SUBSCRIPTIONS) -> bytes:
    own = ["Host: x", f"Authorization: Bearer {api.token()}", "Content-Type: application/json"]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *own, *lines, "", ""]).encode()


def connect(api: Api) -> socket.socket:
    return socket.create_connection(("127.0.0.1", api.port), timeout=15)


def read_to_end(connection: socket.socket) -> bytes:
    """All that comes until the server closes; a reset is a close too."""
    received = bytearray()
    try:
        while data := connection.recv(65_536):
            received += data
    except ConnectionResetError:
        pass
    return bytes(received)


def drip(connection: socket.socket, data: bytes) -> threading.Thread:
    """Sends it byte by byte, until it is over or the server has closed."""

    def send() -> None:
        for at in range(len(data)):
            try:
                connection.sendall(data[at : at + 1])
            except OSError:
                return
            threading.Event().wait(0.02)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    return thread


def answer(received: bytes) -> requests.Response:
    assert received.startswith(b"HTTP/1.1 "), received
    response = parsed(received)
    assert response.headers["Connection"] == "close"
    assert response.headers["x-correlator"]
    return response


def test_the_deadlines_are_those_that_are_promised() -> None:
    assert (protocol._DEADLINE_S, bodies._START_S, bodies._MIN_BYTES_PER_S) == (10, 10, 128 * 1024)


@pytest.mark.usefixtures("hasty")
def test_a_head_that_drips_gets_408_and_is_closed(api: Api) -> None:
    with connect(api) as slow:
        thread = drip(slow, head(api, "Content-Length: 2") * 20)
        assert_error(answer(read_to_end(slow)), 408, "REQUEST_TIMEOUT")
        thread.join(10)


@pytest.mark.usefixtures("hasty")
def test_many_half_heads_and_idle_connections_are_closed(api: Api) -> None:
    with ExitStack() as stack:
        many = []
        for number in range(200):
            many.append(stack.enter_context(connect(api)))
            if number % 2:
                many[-1].sendall(b"POST /webrtc-events HTTP/1.1\r\nHost: x\r\n")
        answers = [read_to_end(connection)[:12] for connection in many]
    assert answers == [b"", b"HTTP/1.1 408"] * 100
    assert api("GET", SUBSCRIPTIONS).status_code == 200


@pytest.mark.usefixtures("hasty")
def test_a_second_head_on_a_connection_has_its_deadline_too(api: Api) -> None:
    with connect(api) as slow:
        slow.sendall(head(api, method="GET"))
        first = HTTPResponse(slow)
        first.begin()
        first.read()
        assert first.status == 200
        slow.sendall(b"GET / HTTP/1.1\r\n")
        assert_error(answer(read_to_end(slow)), 408, "REQUEST_TIMEOUT")


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("framing", ["Content-Length: 200000", "Transfer-Encoding: chunked"])
def test_a_body_that_does_not_come_gets_408_and_is_closed(api: Api, framing: str) -> None:
    with connect(api) as slow:
        slow.sendall(head(api, framing) + (b"" if "Length" in framing else b"1\r\n{\r\n"))
        assert_error(answer(read_to_end(slow)), 408, "REQUEST_TIMEOUT")
    with connect(api) as slow:
        slow.sendall(head(api, framing))
        thread = drip(slow, b"{" * 2_000 if "Length" in framing else b"1\r\n{\r\n" * 400)
        assert_error(answer(read_to_end(slow)), 408, "REQUEST_TIMEOUT")
        thread.join(10)


@pytest.mark.usefixtures("hasty")
def test_a_body_that_goes_on_behind_its_answer_ends_with_its_connection(api: Api) -> None:
    """It is refused for want of a token, so that nobody reads it."""
    with connect(api) as slow:
        slow.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\n" % SUBSCRIPTIONS.encode())
        thread = drip(slow, b"{" * 9_000)
        assert read_to_end(slow).startswith(b"HTTP/1.1 401")
        thread.join(10)


def test_who_sends_on_behind_the_limit_sees_the_answer(api: Api) -> None:
    """A connection that is closed over what is still sent is reset, and takes the answer with it."""
    piece = b"%x\r\n%b\r\n" % (64 * 1024, b" " * 64 * 1024)
    with connect(api) as client:
        client.sendall(head(api, "Transfer-Encoding: chunked") + piece * 5)
        for _ in range(4):
            threading.Event().wait(0.05)
            client.sendall(piece)
        client.sendall(b"0\r\n\r\n")
        assert_error(answer(read_to_end(client)), 413, "CONTENT_TOO_LARGE")


@pytest.mark.parametrize("ending", ["silent", "endless"])
def test_a_body_behind_the_limit_is_not_awaited_for_long(
    api: Api, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    monkeypatch.setattr(bodies, "_REFUSED_S", 0.2)
    piece = b"%x\r\n%b\r\n" % (64 * 1024, b" " * 64 * 1024)
    with connect(api) as client:
        client.sendall(head(api, "Transfer-Encoding: chunked") + piece * 5)
        if ending == "endless":
            drip(client, piece * 2)
        assert_error(answer(read_to_end(client)), 413, "CONTENT_TOO_LARGE")


def test_a_body_that_is_slow_but_fast_enough_arrives(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte gives it more time."""
    monkeypatch.setattr(bodies, "_START_S", 0.3)
    monkeypatch.setattr(bodies, "_MIN_BYTES_PER_S", 100)
    body = json.dumps(subscription_request()).encode()
    clock = SystemClock()
    started_s = clock.monotonic()
    with connect(api) as slow:
        slow.sendall(head(api, "Connection: close", f"Content-Length: {len(body)}"))
        step = len(body) // 4
        for at in range(0, len(body), step):
            slow.sendall(body[at : at + step])
            threading.Event().wait(0.15)
        assert parsed(read_to_end(slow)).status_code == 201
    assert clock.monotonic() - started_s > 0.3


@pytest.fixture
def token(api: Api) -> str:
    return api.token()


@pytest.fixture
def half_bodies(api: Api, token: str) -> Iterator[list[socket.socket]]:
    """Of one client, each with all but the last byte of the largest body."""
    limit = app._PUBLIC_LIMIT_BYTES
    with ExitStack() as stack:
        connections = []
        for _ in range(bodies._AT_ONCE + 2):
            connection = stack.enter_context(closing(connect(api)))
            connection.sendall(
                f"POST {SUBSCRIPTIONS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {limit}\r\n\r\n".encode()
                + b" " * (limit - 1)
            )
            connections.append(connection)
        yield connections


def test_what_bodies_of_one_client_hold_is_bounded(
    api: Api, token: str, half_bodies: list[socket.socket]
) -> None:
    ended: set[socket.socket] = set()
    while len(ended) < 2:
        readable, _, _ = select.select(
            [half_body for half_body in half_bodies if half_body not in ended], [], [], 10
        )
        assert readable
        ended |= set(readable)
    for half_body in ended:
        refused = answer(read_to_end(half_body))
        assert "bodies at once" in assert_error(refused, 429, "TOO_MANY_REQUESTS")
        assert refused.headers["Retry-After"] == "1"
    # Others are not concerned, nor is this one once they have ended.
    other = api("POST", SUBSCRIPTIONS, json=subscription_request(), token=api.token(client_id="other"))
    assert other.status_code == 201
    for half_body in (half_body for half_body in half_bodies if half_body not in ended):
        half_body.sendall(b"x")
        assert half_body.recv(65_536).startswith(b"HTTP/1.1 400")
    for _ in range(bodies._AT_ONCE + 2):
        largest = b" " * app._PUBLIC_LIMIT_BYTES
        headers = {"Content-Type": "application/json"}
        assert api("POST", SUBSCRIPTIONS, data=largest, headers=headers, token=token).status_code == 400


def test_a_body_is_read_in_small_pieces_as_it_is_asked_for(issuer: Issuer) -> None:
    """What clients send before their requests are looked at would else be in memory at once."""
    pieces: list[int] = []

    async def reader(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        more = True
        while more:
            message = await receive()
            pieces.append(len(message["body"]))
            # Time enough for more to arrive.
            await asyncio.sleep(0.005)
            more = message["more_body"]
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    with serving(reader, issuer) as api:
        assert api("POST", "/", data=b"x" * 1_000_000).status_code == 204
    assert sum(pieces) == 1_000_000
    assert max(pieces) <= 2 * protocol._READ_BYTES


BARE = [
    b"GET /healthz HTTP/1.1\nHost: x\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: x\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: x\r\n\n",
    b"GET /healthz HTTP/1.1\nHost: x\n\n",
    b"GET /healthz HTTP/1.1\r\nHost: x\r\nx-a: b\nx-c: d\r\n\r\n",
    b"\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
]


@pytest.mark.parametrize("request_", BARE)
def test_a_bare_line_feed_in_a_head_is_refused(api: Api, request_: bytes) -> None:
    with connect(api) as bare:
        bare.sendall(request_)
        assert_error(answer(read_to_end(bare)), 400, "INVALID_ARGUMENT")
    # Byte by byte, and behind a request that is in order.
    good = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    with connect(api) as bare:
        drip(bare, request_).join(10)
        assert_error(answer(read_to_end(bare)), 400, "INVALID_ARGUMENT")
    with connect(api) as bare:
        bare.sendall(good + request_)
        received = read_to_end(bare)
        assert received.startswith(b"HTTP/1.1 200")
        assert_error(answer(received[received.index(b"HTTP/1.1 400") :]), 400, "INVALID_ARGUMENT")


@pytest.mark.parametrize("end", [b"0\r\n\n", b"0\r\nx-a: b\n\r\n", b"0\n\r\n", b"0\r\nx-a: b\r\n\n"])
def test_a_bare_line_feed_at_the_end_of_chunks_ends_no_body(api: Api, end: bytes) -> None:
    with connect(api) as bare:
        bare.sendall(head(api, "Transfer-Encoding: chunked") + b"2\r\n{}\r\n" + end)
        bare.shutdown(socket.SHUT_WR)
        # Whatever is said of it, the connection ends, and nothing behind it is a request.
        received = read_to_end(bare)
    assert b"HTTP/1.1 2" not in received


def test_line_ends_in_a_body_are_the_clients(api: Api) -> None:
    body = json.dumps(subscription_request(), indent=1).encode()
    assert b"\n" in body
    headers = {"Content-Type": "application/json"}
    assert api("POST", SUBSCRIPTIONS, data=body, headers=headers).status_code == 201
    chunks = (body[at : at + 7] for at in range(0, len(body), 7))
    assert api("POST", SUBSCRIPTIONS, data=chunks, headers=headers).status_code == 201


def test_what_is_no_http_is_an_error_info(api: Api) -> None:
    for nonsense in (b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"x" * 70_000, b"\x16\x03\x01"):
        with connect(api) as broken:
            broken.sendall(nonsense)
            assert_error(answer(read_to_end(broken)), 400, "INVALID_ARGUMENT")
    assert api("PUT", f"{NETWORK}/registrations/r", json={}).status_code == 400


GOOD = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


def statuses(received: bytes) -> list[bytes]:
    return [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]]


def test_requests_that_come_at_once_are_answered_in_turn(api: Api) -> None:
    body = json.dumps(subscription_request()).encode()
    create = head(api, f"Content-Length: {len(body)}") + body
    chunked = head(api, "Transfer-Encoding: chunked") + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    unknown = b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with connect(api) as client:
        client.sendall(GOOD + create + chunked + GOOD + unknown + GOOD)
        assert statuses(read_to_end(client)) == [b"200", b"201", b"201", b"200", b"404"]


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST /healthz HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nx-a: b\r\n c\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET /healthz HTTP/3.0\r\nHost: x\r\n\r\n",
        b"GET /healthz HTTP/2.0\r\nHost: x\r\n\r\n",
        b"GET /healthz HTTP/1.2\r\nHost: x\r\n\r\n",
        b"GET /healthz HTTP/0.9\r\nHost: x\r\n\r\n",
        b"GET /healthz\r\nHost: x\r\n\r\n",
        b"GET /healthz\r\n\r\n",
        b"GET /healthz RTSP/1.0\r\nHost: x\r\n\r\n",
        b"SOURCE /healthz ICE/1.0\r\nHost: x\r\n\r\n",
        b"GET  /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /healthz HTTP/1.1 \r\nHost: x\r\n\r\n",
        b"POST /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"POST /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nx-a: b\r\n \r\nx-c: d\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nUpgrade: a\r\n \r\nx-c: d\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nUpgrade: a\0b\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nUpgrade: a\x7fb\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nUpgrade: a\0b\r\nHost: x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nUpgrade: a\rx-c: d\r\n\r\n",
        b"GET /h\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nx-a: " + b"b" * 40_000 + b"\r\n\r\n",
    ],
)
def test_a_head_that_may_be_read_in_two_ways_is_refused(api: Api, request_: bytes) -> None:
    with connect(api) as client:
        client.sendall(GOOD + request_)
        received = read_to_end(client)
        assert statuses(received) == [b"200", b"400"]
        assert_error(answer(received[received.index(b"HTTP/1.1 400") :]), 400, "INVALID_ARGUMENT")


def test_who_asks_for_another_protocol_is_answered_in_this_one(api: Api) -> None:
    """As Java's client does with each first request."""
    body = json.dumps(subscription_request()).encode()
    upgrade = (
        "Connection: Upgrade, HTTP2-Settings",
        "Upgrade: h2c",
        "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
    )
    last = GOOD.replace(b"Host", b"Connection: close\r\nHost")
    with connect(api) as client:
        client.sendall(head(api, *upgrade, f"Content-Length: {len(body)}") + body + last)
        assert statuses(read_to_end(client)) == [b"201", b"200"]


def test_a_tunnel_is_refused(api: Api) -> None:
    with connect(api) as client:
        client.sendall(b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n" + GOOD)
        assert answer(read_to_end(client)).status_code in (400, 404)


def test_blanks_behind_a_value_are_no_part_of_it(api: Api) -> None:
    body = json.dumps(subscription_request()).encode()
    create = head(api, f"Content-Length: {len(body)} \t", "x-correlator: abc ") + body
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    chunked = head(api, "Transfer-Encoding: Chunked\t", "x-correlator: \t a ", "Connection: close ") + chunks
    with connect(api) as client:
        client.sendall(create + chunked)
        received = read_to_end(client)
    assert statuses(received) == [b"201", b"201"]
    assert re.findall(rb"(?i)x-correlator: *([^\r]*)", received) == [b"abc", b"a"]


def test_a_client_of_http_1_0_is_not_asked_for_the_body(api: Api) -> None:
    """It would take that for the answer."""
    body = json.dumps(subscription_request()).encode()
    create = head(api, "Expect: 100-continue", f"Content-Length: {len(body)}") + body
    with connect(api) as client:
        client.sendall(create.replace(b" HTTP/1.1", b" HTTP/1.0", 1))
        assert statuses(read_to_end(client)) == [b"201"]


class Reads:
    """How many bytes a server has read, from all its clients."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._bytes = 0

    def add(self, count: int) -> None:
        with self._changed:
            self._bytes += count
            self._changed.notify_all()

    def send(self, connection: socket.socket, data: bytes) -> None:
        """Returns once it is read, and has got to an application that waits for it."""
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        last = self._bytes + len(data)
        connection.sendall(data)
        with self._changed:
            assert self._changed.wait_for(lambda: self._bytes >= last, 10), data


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    counted = Reads()
    read = protocol.HttpProtocol.data_received

    def data_received(self: protocol.HttpProtocol, data: bytes) -> None:
        read(self, data)
        self.loop.call_soon(counted.add, len(data))

    monkeypatch.setattr(protocol.HttpProtocol, "data_received", data_received)
    return counted


CHUNKS = b"5;a=b\r\n\r\n\r\n{\r\n0C\r\n0\r\n\r\nGET / }\r\n0\r\nx-a: b\r\n\r\n"


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body += message["body"]
        more = message["more_body"]
    length = b"%d" % len(body)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
    await send({"type": "http.response.body", "body": body})


def test_chunks_arrive_wherever_they_are_cut(issuer: Issuer, reads: Reads) -> None:
    """Not every piece brings some of the body, though the application waits for it."""
    start = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with serving(echo, issuer) as api, connect(api) as client:
        for pieces in [(CHUNKS[:cut], CHUNKS[cut:]) for cut in range(1, len(CHUNKS))]:
            for piece in (start, *pieces):
                reads.send(client, piece)
            response = HTTPResponse(client)
            response.begin()
            assert response.read() == b"\r\n\r\n{0\r\n\r\nGET / }", pieces


def test_a_create_arrives_byte_by_byte(api: Api, reads: Reads) -> None:
    body = json.dumps(subscription_request()).encode()
    half = len(body) // 2
    parts = (body[:half], body[half:], b"")
    create = head(api, "Transfer-Encoding: chunked", "Connection: close")
    create += b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    with connect(api) as client:
        for at in range(len(create)):
            reads.send(client, create[at : at + 1])
        assert statuses(read_to_end(client)) == [b"201"]
