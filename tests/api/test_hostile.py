"""Hostile input never gets a 5xx, a hang, or anything past the contract."""

import copy
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.api.conftest import ALL_SCOPES, NETWORK, PREFIX, PUBLIC, Api, serving
from tests.api.test_slow import read_to_end
from tests.harness.issuer import Issuer
from webrtc_events.app import create_app
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.settings import Settings
from webrtc_events.local.stack.valkey import Valkey

SUBSCRIPTIONS = f"{PUBLIC}/subscriptions"
EVENTS = f"{NETWORK}/events"
HOSTILE = ["\r\nx: y", "\0", "\x7f", "\u2028", "\U0010ffff", "%0d%0a", "{p}", "../..", "é" * 9000, ""]


def subscription() -> dict[str, Any]:
    return {
        "protocol": "HTTP",
        "sink": "https://sink.example.com/inbox",
        "types": [f"{PREFIX}session-status"],
        "sinkCredential": {
            "credentialType": "ACCESSTOKEN",
            "accessToken": "t0ken",
            "accessTokenExpiresUtc": "2999-01-01T00:00:00Z",
            "accessTokenType": "bearer",
        },
        "config": {
            "subscriptionDetail": {
                "registrationId": "r1",
                # Of no event here: a session known to involve others is refused.
                "sessionId": "never-published",
                "deviceId": "7d444840-9dc0-11d1-b245-5ffdce74fad2",
            },
            "subscriptionExpireTime": "2999-01-01T00:00:00Z",
        },
        "protocolSettings": {"headers": {"x-app": "1"}, "method": "POST"},
    }


def event() -> dict[str, Any]:
    return {
        "id": "e1",
        "source": "/gateway",
        "specversion": "1.0",
        "type": f"{PREFIX}session-status",
        "time": "2026-03-10T09:00:00Z",
        "datacontenttype": "application/json",
        "subject": "r1",
        "data": {"mediaSessionId": "s1", "status": "Ringing", "reason": "x", "offer": {"sdp": "v=0"}},
    }


def with_each_string(document: Any, hostile: str) -> Iterator[tuple[str, Any]]:
    """The document again and again, each time with another string spoilt; keys of maps too."""

    def spots(node: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
        if isinstance(node, str):
            yield path
        elif isinstance(node, dict):
            for key, value in node.items():
                yield from spots(value, (*path, key))
        elif isinstance(node, list):
            for index, value in enumerate(node):
                yield from spots(value, (*path, index))

    for path in spots(document, ()):
        spoilt = copy.deepcopy(document)
        node = spoilt
        for step in path[:-1]:
            node = node[step]
        node[path[-1]] = node[path[-1]] + hostile if hostile else ""
        yield ".".join(map(str, path)), spoilt


@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_string_of_a_subscription_breaks_the_service(api: Api, hostile: str) -> None:
    for path, spoilt in with_each_string(subscription(), hostile):
        response = api("POST", SUBSCRIPTIONS, json=spoilt)
        assert response.status_code in (201, 400), (path, response.text)
    name = subscription() | {"protocolSettings": {"headers": {f"x{hostile}": "1"}}}
    assert api("POST", SUBSCRIPTIONS, json=name).status_code in (201, 400)
    # What was taken can be shown.
    assert api("GET", SUBSCRIPTIONS).status_code == 200


@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_string_of_an_event_breaks_the_service(api: Api, hostile: str) -> None:
    headers = {"Content-Type": "application/cloudevents+json"}
    for path, spoilt in with_each_string(event(), hostile):
        response = api("POST", EVENTS, data=json.dumps(spoilt), headers=headers)
        assert response.status_code in (202, 400), (path, response.text)


@pytest.mark.parametrize("text", ["\\ud800", "\\udc00\\ud800"])
def test_lone_surrogates_are_refused(api: Api, text: str) -> None:
    body = json.dumps(subscription()).replace("r1", text)
    headers = {"Content-Type": "application/json"}
    assert api("POST", SUBSCRIPTIONS, data=body, headers=headers).status_code == 400


@pytest.mark.parametrize("number", ["1" * 400, "-1", "0", "1e400", "1.5", "9" * 90])
def test_odd_numbers_are_validated(api: Api, number: str) -> None:
    body = subscription()
    body["config"]["subscriptionMaxEvents"] = 4711
    text = json.dumps(body).replace("4711", number)
    response = api("POST", SUBSCRIPTIONS, data=text, headers={"Content-Type": "application/json"})
    assert response.status_code in (201, 400), response.text
    assert api("GET", SUBSCRIPTIONS).status_code == 200


@pytest.mark.parametrize("escape", ["%00", "%2F", "%FF", "%C3%28", "%", "..%2f..", "%0d%0a", "é", "a" * 9000])
def test_no_path_breaks_the_service(api: Api, escape: str) -> None:
    for path in (f"{SUBSCRIPTIONS}/{escape}", f"{NETWORK}/registrations/{escape}", f"/{escape}"):
        for method in ("GET", "DELETE", "PUT"):
            response = api(method, path)
            assert response.status_code in (400, 404, 405, 415), (method, path, response.status_code)


@pytest.mark.parametrize("token", ["", "a b", "\x7f", "é".encode(), "..", "a.b.c", "x" * 20_000])
def test_no_token_breaks_the_service(api: Api, token: Any) -> None:
    given = b"Bearer " + (token if isinstance(token, bytes) else token.encode())
    response = api("GET", SUBSCRIPTIONS, headers={"Authorization": given}, token=None)
    # A control character does not get past the HTTP parser.
    assert response.status_code in ((400, 401) if token == "\x7f" else (401,))
    assert response.status_code == 400 or response.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=bogus", "application/json;;;", "application/json; charset"]
)
def test_no_parameter_of_a_media_type_breaks_the_service(api: Api, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    response = api("POST", SUBSCRIPTIONS, data=json.dumps(subscription()), headers=headers)
    assert response.status_code in (201, 415)


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PATCH", "PROPFIND", "X" * 100])
def test_other_methods_are_not_allowed(api: Api, method: str) -> None:
    for path in (SUBSCRIPTIONS, f"{SUBSCRIPTIONS}/x", EVENTS):
        response = api(method, path)
        assert response.status_code in (400, 405), response.status_code


@contextmanager
def own_store(tmp_path: Path) -> Iterator[Valkey]:
    server = Valkey(tmp_path, SystemClock())
    server.start()
    server.wait_ready()
    yield server
    server.stop()


def test_without_its_store_the_service_answers_503_at_once(
    tmp_path: Path, environ: dict[str, str], issuer: Issuer
) -> None:
    clock = SystemClock()
    with own_store(tmp_path) as server:
        settings = Settings.from_environ(
            environ
            | {
                "WEBRTC_EVENTS_REDIS_URL": server.url,
                "WEBRTC_EVENTS_OPENID_CONFIGURATION_URL": issuer.discovery_url,
            }
        )
        with serving(create_app(settings), issuer) as api:
            assert api("GET", SUBSCRIPTIONS).status_code == 200
            server.stop()
            headers = {"Content-Type": "application/cloudevents+json"}
            requests: list[Callable[[], Any]] = [
                lambda: api("GET", SUBSCRIPTIONS),
                lambda: api("POST", SUBSCRIPTIONS, json=subscription()),
                lambda: api("DELETE", f"{SUBSCRIPTIONS}/{'0' * 32}-00"),
                lambda: api("POST", EVENTS, json=event(), headers=headers),
                lambda: api("GET", "/readyz"),
            ]
            for ask in requests:
                started = clock.monotonic()
                response = ask()
                assert response.status_code == 503
                assert clock.monotonic() - started < 2
            assert api("GET", "/healthz").status_code == 200


@pytest.mark.parametrize(
    "trailer",
    ["Authorization: Bearer {token}", "x-correlator: from-a-trailer", "Upgrade: h2c\r\nConnection: upgrade"],
)
def test_a_trailer_is_no_header(api: Api, trailer: str) -> None:
    """What checks and logs a request has read its headers by then."""
    body = json.dumps(subscription()).encode()
    head = (
        f"POST {SUBSCRIPTIONS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
    )
    trailers = trailer.format(token=api.token(scope=ALL_SCOPES))
    last = f"GET {SUBSCRIPTIONS} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", api.port), timeout=15) as client:
        # At once, so that all of it is read before anybody looks at the headers.
        chunks = b"%x\r\n%b\r\n0\r\n" % (len(body), body)
        client.sendall(head.encode() + chunks + f"{trailers}\r\n\r\n{last}".encode())
        received = read_to_end(client)
    assert received.count(b"HTTP/1.1 401") == 2, received
    assert b"from-a-trailer" not in received


@pytest.mark.parametrize("endless", [b"1;a", b"0;a", b"1\r\nx\r\n0\r\na: ", b"1\r\nx\r\n0\r\n"])
def test_what_is_around_chunks_is_cut_off(api: Api, endless: bytes) -> None:
    """Nobody counts it: it is no body."""
    head = f"POST {SUBSCRIPTIONS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {api.token()}\r\n"
    head += "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    unit = b"a: b\r\n" * 1000 if endless.endswith(b"\n") else b"a" * 6000
    with socket.create_connection(("127.0.0.1", api.port), timeout=15) as client:
        client.sendall(head.encode() + endless)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            # Buffers on the way take some MB.
            client.sendall(unit * 10_000)


def test_half_a_request_holds_nobody_up(api: Api) -> None:
    with socket.create_connection(("127.0.0.1", api.port)) as slow:
        token = api.token(scope=ALL_SCOPES)
        head = f"POST {SUBSCRIPTIONS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        slow.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{".encode())
        assert api("GET", SUBSCRIPTIONS).status_code == 200


@pytest.mark.parametrize("escape", ["a%0Ab", "a%2Fb", "a%00", "%FF", "x" * 257, "%7F"])
def test_a_registration_that_its_contract_refuses_is_an_invalid_argument(api: Api, escape: str) -> None:
    body = {"deviceId": "7d444840-9dc0-11d1-b245-5ffdce74fad2", "owner": "app"}
    response = api("PUT", f"{NETWORK}/registrations/{escape}", json=body)
    assert (response.status_code, response.json()["code"]) == (400, "INVALID_ARGUMENT")


def test_an_id_with_a_slash_is_unknown(api: Api) -> None:
    assert api("GET", f"{SUBSCRIPTIONS}/a%2Fb").status_code == 404


def test_refused_requests_count_towards_the_rate(api_with: Callable[..., Api]) -> None:
    api = api_with(requests_per_s=1, requests_at_once=3)
    answers = [api("POST", SUBSCRIPTIONS, json={}, token=api.token(client_id="flood")) for _ in range(6)]
    assert [answer.status_code for answer in answers[:3]] == [400] * 3
    assert answers[-1].status_code == 429
    assert answers[-1].json()["code"] == "TOO_MANY_REQUESTS"
    assert int(answers[-1].headers["Retry-After"]) >= 1
