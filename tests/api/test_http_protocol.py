"""Requests that are minced, or no HTTP, or come in pieces: each is read in one way, or refused."""

import asyncio
import json
import re
import socket
import threading
from http.client import HTTPResponse

import pytest
from starlette.types import Receive, Scope, Send

from tests.api.conftest import NETWORK, Api, assert_error, serving, subscription_request
from tests.api.test_slow import SUBSCRIPTIONS, answer, connect, drip, head, read_to_end
from tests.harness.issuer import Issuer
from webrtc_events.api import http_protocol as protocol

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


def test_who_closes_its_side_after_asking_is_answered(api: Api) -> None:
    body = json.dumps(subscription_request()).encode()
    create = head(api, f"Content-Length: {len(body)}") + body
    listed = head(api, method="GET")
    for asked, expected in ((create, [b"201"]), (listed, [b"200"]), (GOOD + create, [b"200", b"201"])):
        with connect(api) as client:
            client.sendall(asked)
            client.shutdown(socket.SHUT_WR)
            assert statuses(read_to_end(client)) == expected


def test_who_closes_its_side_in_mid_body_gets_nothing(api: Api) -> None:
    with connect(api) as client:
        client.sendall(head(api, "Content-Length: 100") + b"{")
        client.shutdown(socket.SHUT_WR)
        assert read_to_end(client) == b""


def test_a_head_without_a_body_is_written_too(api: Api) -> None:
    made = api("POST", SUBSCRIPTIONS, json=subscription_request())
    asked = head(api, method="HEAD", path="/healthz")
    asked += head(api, method="DELETE", path=f"{SUBSCRIPTIONS}/{made.json()['id']}")
    with connect(api) as client:
        client.sendall(asked + head(api, "Connection: close", method="HEAD", path="/healthz"))
        assert statuses(read_to_end(client)) == [b"200", b"204", b"200"]


async def head_then_failure(scope: Scope, receive: Receive, send: Send) -> None:
    del receive
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("no body")


def test_a_head_is_written_if_its_body_fails(issuer: Issuer) -> None:
    """With it the client sees that the answer was cut off, and is not simply without one."""
    with serving(head_then_failure, issuer) as api, connect(api) as client:
        client.sendall(GOOD)
        assert statuses(read_to_end(client)) == [b"200"]


class _Writes:
    """What a transport was asked to do."""

    def __init__(self) -> None:
        self.done: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.done.append(data)

    def close(self) -> None:
        self.done.append(b"closed")


def test_a_head_is_written_in_one_piece_with_its_body() -> None:
    writes = _Writes()
    held = protocol._HeldHead(writes)  # type: ignore[arg-type]
    held.hold_next()
    held.write(b"head ")
    assert writes.done == []
    held.write(b"body")
    held.write(b" and more")
    held.close()
    assert writes.done == [b"head body", b" and more", b"closed"]


def test_an_empty_piece_sends_the_head() -> None:
    writes = _Writes()
    held = protocol._HeldHead(writes)  # type: ignore[arg-type]
    held.hold_next()
    held.write(b"head")
    held.write(b"")
    assert writes.done == [b"head"]


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
    # For a server that pauses for ever: it would not end, nor would its test.
    async with asyncio.timeout(15):
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
