"""Who opens a WebSocket, how its token is kept, and what is refused before anything is open."""

import dataclasses
import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.client import HTTPResponse
from threading import Event
from typing import Any

import pytest
from requests import Response
from websockets.exceptions import InvalidStatus

from tests.api.conftest import NETWORK, PUBLIC
from tests.api.test_slow import connect, read_to_end
from tests.channels.conftest import CHANNELS, Channel, Stack
from tests.harness.event_sockets import SUBPROTOCOL, SocketReader, offers
from tests.harness.issuer import Issuer
from tests.harness.valkeys import eventually
from webrtc_events.core.settings import Settings
from webrtc_events.store.channel_records import ChannelRecords

NOWHERE = "0" * 32
KEY = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
ASKED = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13")


def refusal(service: Stack, path: str, **options: str) -> tuple[int, str]:
    """Status and code of a handshake that is refused."""
    with pytest.raises(InvalidStatus) as refused:
        SocketReader(f"http://127.0.0.1:{service.api.port}{path}", offers("x"), **options)  # type: ignore[arg-type]
    response = refused.value.response
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["x-correlator"]
    assert response.body is not None
    body = json.loads(response.body)
    assert set(body) == {"status", "code", "message"}
    assert body["status"] == response.status_code
    return response.status_code, body["code"]


def asked(service: Stack, *headers: str, path: str, method: str = "GET") -> bytes:
    """A handshake's head."""
    host = f"Host: 127.0.0.1:{service.api.port}"
    return "\r\n".join([f"{method} {path} HTTP/1.1", host, *headers, "", ""]).encode()


def answered(service: Stack, request: bytes) -> tuple[HTTPResponse, bytes]:
    with connect(service.api) as client:
        client.sendall(request)
        with HTTPResponse(client) as response:
            response.begin()
            return response, response.read()


def path_of(channel: Channel) -> str:
    return f"{CHANNELS}/{channel.id}/events"


def test_the_server_selects_its_subprotocol_and_repeats_no_token(service: Stack) -> None:
    channel = service.make()
    # In any order.
    reader = service.open(channel, offered=["other", *reversed(offers(channel.token))])
    assert reader.subprotocol == SUBPROTOCOL
    assert reader.headers is not None
    assert reader.headers.get_all("Sec-WebSocket-Protocol") == [SUBPROTOCOL]
    assert "Sec-WebSocket-Extensions" not in reader.headers
    assert reader.headers["x-correlator"]
    assert not any(channel.token in value for value in reader.headers.values())


def test_the_contract_names_the_subprotocols(service: Stack) -> None:
    document = service.api("GET", "/channels/v0/openapi.json", token=None).json()
    names = document["paths"]["/channels/{channelId}/events"]["get"]["x-websocket"]
    offered = [names["subprotocol"], names["token"], names["after"]]
    assert offered == offers("<token>", "<Last-Event-ID>")


def test_no_line_of_the_log_has_the_token(service: Stack, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    channel = service.make()
    service.subscribed(channel)
    reader = service.open(channel)
    service.publish(1)
    reader.wait_events(1).close()
    service.open(channel, offered=[SUBPROTOCOL, f"webrtc-events.token.{channel.token}x"]).wait_end()
    refusal(service, f"{PUBLIC}/subscriptions")
    server = [record for record in caplog.records if not record.name.startswith("websockets.client")]
    assert server
    assert not any(channel.token in record.getMessage() for record in server)


@pytest.mark.parametrize("wrong", ["x", "", "eyJh.b.c"])
def test_a_wrong_token_closes_with_4401(service: Stack, wrong: str) -> None:
    channel = service.make()
    for offered in ([SUBPROTOCOL], offers(wrong), [*offers(channel.token), f"webrtc-events.token.{wrong}"]):
        reader = service.open(channel, offered=offered).wait_end()
        assert reader.code == 4401
        assert reader.reason.startswith("UNAUTHENTICATED: ")
        assert reader.events == []


def test_the_access_token_of_the_owner_opens_nothing(service: Stack) -> None:
    channel = service.make()
    assert service.open(channel, offered=offers(service.token())).wait_end().code == 4401


def test_a_channel_that_is_not_there_closes_with_4404(service: Stack) -> None:
    token = service.make().token
    for name in (NOWHERE, "no-channel"):
        assert service.open(Channel(name, "", token)).wait_end().code == 4404


@pytest.mark.parametrize("last_id", ["x", "1", "1-", "-1", "1-2.", "1-99999999999999999"])
def test_an_id_that_is_none_closes_with_4400(service: Stack, last_id: str) -> None:
    channel = service.make()
    reader = service.open(channel, last_id).wait_end()
    assert (reader.code, reader.reason.partition(":")[0]) == (4400, "INVALID_ARGUMENT")
    twice = [*offers(channel.token, "1-1"), "webrtc-events.after.1-2"]
    assert service.open(channel, offered=twice).wait_end().code == 4400


def test_a_long_id_is_taken(service: Stack) -> None:
    """As long as the contract has it; beside a token it fits into a head."""
    channel = service.make()
    service.subscribed(channel)
    cursor = ".".join(f"{number}-{number:015}" for number in range(60_000, 60_180))
    assert 3_900 < len(cursor) <= 4_096
    assert service.open(channel, cursor).wait_events(len(service.publish(1))).numbers() == [1]


@pytest.mark.parametrize(
    "origin",
    ["https://app.example.evil.example", "http://app.example", "https://localhost:1", "null", "https://evil"],
)
def test_a_page_of_another_origin_is_refused(service: Stack, origin: str) -> None:
    """CORS alone would not stop it."""
    channel = service.make()
    assert refusal(service, path_of(channel), origin=origin) == (403, "PERMISSION_DENIED")


@pytest.mark.parametrize("origin", ["https://app.example", "http://localhost:3000", None])
def test_a_page_of_an_origin_that_is_set_and_who_is_no_page_may_read(
    service: Stack, origin: str | None
) -> None:
    channel = service.make()
    service.subscribed(channel)
    reader = service.open(channel, origin=origin)
    assert reader.wait_events(len(service.publish(1))).numbers() == [1]


def test_where_no_origin_is_set_no_page_may_read(service_with: Callable[..., Stack]) -> None:
    service = service_with(cors_origins=frozenset())
    channel = service.make()
    assert refusal(service, path_of(channel), origin="https://app.example")[0] == 403
    # Not even one of this address: whoever wants that sets it.
    own = f"http://127.0.0.1:{service.api.port}"
    assert refusal(service, path_of(channel), origin=own)[0] == 403
    assert service.open(channel).subprotocol == SUBPROTOCOL


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/healthz",
        f"{PUBLIC}/subscriptions",
        f"{NETWORK}/events",
        CHANNELS,
        f"{CHANNELS}/{NOWHERE}",
        f"{CHANNELS}/{NOWHERE}/cursor",
        f"{CHANNELS}/{NOWHERE}/events/",
        f"{CHANNELS}/a/b/events",
        "/channels/v0/ui/",
    ],
)
def test_nothing_else_is_a_websocket(service: Stack, path: str, caplog: pytest.LogCaptureFixture) -> None:
    assert refusal(service, path) == (404, "NOT_FOUND")
    # It is nothing that an operator is to read.
    server = [record for record in caplog.records if record.name.startswith(("webrtc_events", "uvicorn"))]
    assert [record for record in server if record.levelno >= logging.WARNING] == []


def test_without_channels_nothing_is(channel_settings: Settings, issuer: Issuer) -> None:
    with ExitStack() as stack:
        service = Stack(dataclasses.replace(channel_settings, channels_url=None), issuer, stack)
        service.start_api()
        stack.callback(service.stop_api)
        assert refusal(service, f"{CHANNELS}/{NOWHERE}/events") == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    "headers",
    [
        (*ASKED, "Sec-WebSocket-Key: short", f"Sec-WebSocket-Protocol: {SUBPROTOCOL}"),
        (*ASKED, f"Sec-WebSocket-Protocol: {SUBPROTOCOL}"),
        (*ASKED, KEY, KEY, f"Sec-WebSocket-Protocol: {SUBPROTOCOL}"),
        (*ASKED[:2], "Sec-WebSocket-Version: 8", KEY, f"Sec-WebSocket-Protocol: {SUBPROTOCOL}"),
        (*ASKED, KEY),
        (*ASKED, KEY, "Sec-WebSocket-Protocol: webrtc-events.channels.v1"),
        (*ASKED, KEY, f"Sec-WebSocket-Protocol: {SUBPROTOCOL}", "x-a: " + "b" * 12_000),
        (*ASKED, KEY, f"Sec-WebSocket-Protocol: {SUBPROTOCOL}", *["x-a: b"] * 200),
        (*ASKED, KEY, f"Sec-WebSocket-Protocol: {SUBPROTOCOL}", "x-correlator: a b"),
        (*ASKED, KEY, "Sec-WebSocket-Protocol: a\xe9"),
    ],
    ids=[
        "key",
        "no key",
        "keys",
        "version",
        "no subprotocol",
        "another",
        "long",
        "many",
        "correlator",
        "8 bit",
    ],
)
def test_a_handshake_that_is_not_in_order_is_an_error_info(service: Stack, headers: tuple[str, ...]) -> None:
    head = asked(service, *headers, path=path_of(service.make()))
    response, body = answered(service, head.decode().encode("latin-1"))
    assert response.status == 400
    assert json.loads(body)["code"] == "INVALID_ARGUMENT"
    assert response.headers["x-correlator"]


@pytest.mark.parametrize(
    ("headers", "method"),
    [
        (("Upgrade: h2c", "Connection: Upgrade"), "GET"),
        (("Upgrade: websocket, h2c", "Connection: Upgrade", KEY), "GET"),
        (("Upgrade: websocket", "Upgrade: websocket", "Connection: Upgrade", KEY), "GET"),
        (("Upgrade: websocket", KEY), "GET"),
        ((*ASKED, KEY, "Content-Length: 2"), "GET"),
        ((*ASKED, KEY), "POST"),
    ],
)
def test_what_is_no_handshake_is_answered_in_http(
    service: Stack, headers: tuple[str, ...], method: str
) -> None:
    request = asked(service, *headers, path=path_of(service.make()), method=method)
    response, _ = answered(service, request + (b"{}" if "Content-Length: 2" in headers else b""))
    # Without Authorization.
    assert response.status == (401 if method == "GET" else 405)


def test_a_handshake_of_http_1_0_is_answered_in_http(service: Stack) -> None:
    request = asked(service, *ASKED, KEY, path=path_of(service.make()))
    response, _ = answered(service, request.replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert response.status == 401


def test_what_comes_behind_a_handshake_before_its_answer_is_refused(service: Stack) -> None:
    """Whoever forwards requests, and knows of no upgrade, would send somebody else's next."""
    channel = service.make()
    handshake = asked(
        service,
        *ASKED,
        KEY,
        "Sec-WebSocket-Protocol: " + ", ".join(offers(channel.token)),
        path=path_of(channel),
    )
    with connect(service.api) as client:
        client.sendall(handshake + asked(service, path="/healthz"))
        received = read_to_end(client)
    assert received.startswith(b"HTTP/1.1 400 ")
    assert received.count(b"HTTP/1.1 ") == 1


def test_a_handshake_may_come_behind_another_request(service: Stack) -> None:
    channel = service.make()
    handshake = asked(
        service,
        *ASKED,
        KEY,
        "Sec-WebSocket-Protocol: " + ", ".join(offers(channel.token)),
        path=path_of(channel),
    )
    with connect(service.api) as client:
        client.sendall(asked(service, path="/healthz") + handshake)
        received = b""
        while b"HTTP/1.1 101 " not in received:
            piece = client.recv(65_536)
            assert piece, received
            received += piece
        assert received.startswith(b"HTTP/1.1 200 ")


def test_a_handshake_that_is_under_way_when_the_server_stops_is_to_be_made_again(
    service: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = service.make()
    get, asked_for, go_on = ChannelRecords.get, Event(), Event()

    def wait(*args: Any) -> Any:
        asked_for.set()
        assert go_on.wait(20)
        return get(*args)

    monkeypatch.setattr(ChannelRecords, "get", wait)
    with ThreadPoolExecutor(2) as threads:
        refused = threads.submit(refusal, service, path_of(channel))
        assert asked_for.wait(20)
        stopped = threads.submit(service.stop_api)
        try:
            assert refused.result(20) == (503, "UNAVAILABLE")
        finally:
            go_on.set()
        stopped.result(20)


def test_readers_are_requests_of_their_channels_client(service_with: Callable[..., Stack]) -> None:
    service = service_with(requests_per_s=1, requests_at_once=1000)
    channel = service.make(client_id="busy")
    assert service.worker is not None
    limits = service.worker.watch.store.rate_limits

    def in_vain(ask: Callable[[], object]) -> Any:
        """What is answered when nothing is left of the rate. On a busy machine something may be again."""
        answers = []

        def refused() -> bool:
            while limits.take_token("busy", 100) == 0 or limits.take_token("busy", 1) == 0:
                pass
            answers.append(ask())
            return status(answers[-1]) == 429

        eventually(refused, "it is refused")
        return answers[-1]

    reader = in_vain(lambda: service.open(channel))
    assert reader.reason.startswith("TOO_MANY_REQUESTS: ")
    assert int(in_vain(lambda: service.read(channel)).headers["Retry-After"]) > 0
    in_vain(lambda: service.acknowledge(channel, "1-1"))
    # Whoever has no right to it uses nobody's rate, and others have theirs.
    assert service.acknowledge(channel, "1-1", "wrong").status_code == 401
    assert service.read(service.make(client_id="other")).status == 200


def status(answer: Any) -> int:
    if isinstance(answer, SocketReader):
        eventually(lambda: answer.ended or answer.is_answered(0.1), "it is open, or closed")
        return (answer.code or 4200) - 4000
    found: int = answer.status_code if isinstance(answer, Response) else answer.status
    return found


def test_a_greedy_client_locks_out_no_other(service_with: Callable[..., Stack]) -> None:
    service = service_with(channel_readers=10)
    greedy, other = service.make(client_id="greedy"), service.make(client_id="other")
    streams = [service.read(greedy) for _ in range(9)]
    assert [stream.status for stream in streams] == [200] * 8 + [429]
    assert b"The client has too many readers here" in streams[-1].body
    assert service.open(greedy).wait_end().code == 4429
    assert service.read(other).status == 200
