"""Clients that are slow, or hold much: each is answered, or let go, and holds nobody up."""

import asyncio
import json
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from http.client import HTTPResponse

import pytest
import requests
from starlette.types import Receive, Scope, Send

from tests.api.conftest import PUBLIC, Api, assert_error, serving, subscription_request
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
