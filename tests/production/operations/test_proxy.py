"""nginx with the file of `deploy/` in front of the API: what it changes, and what it must not."""

import json
import re
import socket
import ssl
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import pycurl
import pytest
import requests

from tests.api.conftest import (
    NETWORK,
    NEXT,
    NEXT_SCOPES,
    PUBLIC,
    assert_error,
    device_request,
    invitation,
    subscription_request,
)
from tests.harness.documents import ROOT, Document
from tests.harness.valkeys import eventually
from tests.production.operations.client import Client
from tests.production.operations.proxy import FILE, NAME, parsed
from tests.production.operations.proxy_stack import Stack, standing
from webrtc_events import app

pytestmark = pytest.mark.slow

SUBSCRIPTIONS = f"{PUBLIC}/subscriptions"
EVENTS = f"{NETWORK}/events"
DEVICE = "7d444840-9dc0-11d1-b245-5ffdce74fad2"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with standing(tmp_path_factory.mktemp("stack")) as whole:
        yield whole


def test_a_subscription_is_made_listed_read_and_deleted_through_it(stack: Stack) -> None:
    request = subscription_request(sink="https://sink.example.com/inbox")
    made = stack.api("POST", SUBSCRIPTIONS, json=request)
    assert made.status_code == 201
    one = f"{SUBSCRIPTIONS}/{made.json()['id']}"
    assert stack.api("GET", one).json() == made.json()
    assert made.json() in stack.api("GET", SUBSCRIPTIONS).json()
    assert stack.api("DELETE", one).status_code == 204
    assert_error(stack.api("GET", one), 404, "NOT_FOUND")


def test_lists_of_the_next_contract_lead_from_page_to_page_through_it(stack: Stack) -> None:
    token = stack.api.token(scope=NEXT_SCOPES)
    request = device_request(sink="https://sink.example.com/inbox")
    first, second = (
        stack.api("POST", f"{NEXT}/subscriptions", token=token, json=request).json()["id"] for _ in range(2)
    )
    path = f"{NEXT}/subscriptions?perPage=1"
    answer = stack.api("GET", path, token=token)
    assert [made["id"] for made in answer.json()] == [first]
    assert answer.headers["X-Total-Count"] == "2"
    # What this library reads of the header is where it leads to from here.
    following = urljoin(path, answer.links["next"]["url"])
    assert [made["id"] for made in stack.api("GET", following, token=token).json()] == [second]
    for subscription in (first, second):
        gone = stack.api("DELETE", f"{NEXT}/subscriptions/{subscription}", token=token)
        assert gone.status_code == 204


def test_a_gateway_publishes_and_tells_of_registrations_through_it(stack: Stack) -> None:
    assert stack.api.publish(1) == "accepted"
    assert stack.api.publish(1) == "duplicate"
    body = {"deviceId": DEVICE, "owner": "app"}
    assert stack.api("PUT", f"{NETWORK}/registrations/a%20b", json=body).json()["registrationId"] == "a b"
    assert stack.api("DELETE", f"{NETWORK}/registrations/a%20b").status_code == 204


# Each kind of error, and each path that a proxy might change: the API says the same with and without it.
SAME: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", SUBSCRIPTIONS, {"json": {}}),
    ("POST", SUBSCRIPTIONS, {"data": b"{", "headers": {"Content-Type": "application/json"}}),
    ("GET", SUBSCRIPTIONS, {"token": None}),
    ("GET", SUBSCRIPTIONS, {"headers": {"Authorization": "Bearer x"}}),
    ("GET", SUBSCRIPTIONS, {"headers": {"x-correlator": "a b"}}),
    ("GET", f"{SUBSCRIPTIONS}/none", {}),
    ("PUT", SUBSCRIPTIONS, {}),
    ("HEAD", SUBSCRIPTIONS, {}),
    ("OPTIONS", SUBSCRIPTIONS, {}),
    ("POST", SUBSCRIPTIONS, {"data": b"{}", "headers": {"Content-Type": "text/plain"}}),
    (
        "POST",
        SUBSCRIPTIONS,
        {"data": b"x" * app._PUBLIC_LIMIT_BYTES, "headers": {"Content-Type": "application/json"}},
    ),
    ("GET", f"{SUBSCRIPTIONS}/", {}),
    ("GET", f"{SUBSCRIPTIONS}/a%2Fb", {}),
    ("GET", f"{SUBSCRIPTIONS}/%FF", {}),
    ("GET", f"{SUBSCRIPTIONS}/x/", {}),
    ("GET", f"{PUBLIC}//subscriptions", {}),
    ("GET", f"{PUBLIC}/x%2F..%2Fsubscriptions", {}),
    ("GET", f"{SUBSCRIPTIONS}?a=b%2Fc", {}),
    ("GET", f"{PUBLIC}/openapi.json", {}),
    ("PUT", f"{NETWORK}/registrations/a%2Fb", {"json": {"deviceId": DEVICE, "owner": "app"}}),
    ("PUT", f"{NETWORK}/registrations/a%252Fb", {"json": {"deviceId": DEVICE, "owner": "app"}}),
    ("PUT", f"{NETWORK}/registrations/", {"json": {}}),
    ("POST", f"{EVENTS}/", {"json": {}}),
    ("POST", EVENTS, {"json": {}, "headers": {"Content-Type": "application/cloudevents+json"}}),
    ("GET", EVENTS, {}),
    ("GET", "/readyz", {"network": True}),
]


@pytest.mark.parametrize(("method", "path", "options"), SAME, ids=lambda value: str(value)[:60])
def test_the_api_answers_through_it_as_without_it(
    stack: Stack, method: str, path: str, options: dict[str, Any]
) -> None:
    options = dict(options)
    network = options.pop("network", path.startswith(NETWORK))
    options["headers"] = {"x-correlator": "the-same"} | options.get("headers", {})
    direct = stack.direct(method, path, **options)
    base = stack.proxy.network if network else stack.proxy.public
    client = Client(stack.issuer, f"https://localhost:{base}", ca=str(stack.proxy.ca_file))
    through = client(method, path, **options)
    client.close()
    if method == "PUT":
        # The first made it.
        direct = stack.direct(method, path, **options)
    assert (through.status_code, through.content) == (direct.status_code, direct.content)
    for name in ("Content-Type", "Allow", "WWW-Authenticate", "Retry-After"):
        assert through.headers.get(name) == direct.headers.get(name), name
    if options["headers"]["x-correlator"] == "the-same":
        assert through.headers["x-correlator"] == "the-same"
    else:
        assert str(uuid.UUID(through.headers["x-correlator"])) == through.headers["x-correlator"]


def test_a_token_without_the_scope_is_refused_by_the_api(stack: Stack) -> None:
    token = stack.api.token(scope="webrtc-events:delete")
    assert_error(stack.api("GET", SUBSCRIPTIONS, token=token), 403, "PERMISSION_DENIED")


OWN_ANSWERS: list[tuple[str, list[str], bytes, int, str]] = [
    ("GET /nothing HTTP/1.1", [], b"", 404, "NOT_FOUND"),
    ("GET /.error HTTP/1.1", [], b"", 404, "NOT_FOUND"),
    (f"TRACE {SUBSCRIPTIONS} HTTP/1.1", [], b"", 405, "METHOD_NOT_ALLOWED"),
    ("nonsense", [], b"", 400, "INVALID_ARGUMENT"),
    (f"GET {SUBSCRIPTIONS}/%zz HTTP/1.1", [], b"", 400, "INVALID_ARGUMENT"),
    (f"GET {SUBSCRIPTIONS}/%00 HTTP/1.1", [], b"", 400, "INVALID_ARGUMENT"),
    (f"GET {SUBSCRIPTIONS}/\xe9 HTTP/1.1", [], b"", 400, "INVALID_ARGUMENT"),
    (f"GET {SUBSCRIPTIONS}/a b HTTP/1.1", [], b"", 400, "INVALID_ARGUMENT"),
    (f"GET {SUBSCRIPTIONS}/{'a' * 15_000} HTTP/1.1", [], b"", 400, "INVALID_ARGUMENT"),
    (f"GET {SUBSCRIPTIONS} HTTP/1.1", [f"X-A: {'a' * 15_000}"], b"", 400, "INVALID_ARGUMENT"),
    (f"GET {SUBSCRIPTIONS} HTTP/1.1", ["Host: other"], b"", 400, "INVALID_ARGUMENT"),
    (f"GET {SUBSCRIPTIONS} HTTP/1.1", ["x-a: b\0c"], b"", 400, "INVALID_ARGUMENT"),
    # What may mean one thing here and another behind it.
    (
        f"POST {SUBSCRIPTIONS} HTTP/1.1",
        ["Content-Length: 4", "Transfer-Encoding: chunked"],
        b"0\r\n\r\n",
        400,
        "INVALID_ARGUMENT",
    ),
    (
        f"POST {SUBSCRIPTIONS} HTTP/1.1",
        ["Content-Length: 2", "Content-Length: 3"],
        b"{}",
        400,
        "INVALID_ARGUMENT",
    ),
    (f"POST {SUBSCRIPTIONS} HTTP/1.1", ["Content-Length: +2"], b"{}", 400, "INVALID_ARGUMENT"),
    (f"POST {SUBSCRIPTIONS} HTTP/1.1", ["Transfer-Encoding: gzip"], b"0\r\n\r\n", 400, "INVALID_ARGUMENT"),
    (f"POST {SUBSCRIPTIONS} HTTP/1.1", ["Transfer-Encoding: chunked"], b"zz\r\n", 400, "INVALID_ARGUMENT"),
    (f"GET {SUBSCRIPTIONS} HTTP/1.1", ["x-a: b", " c"], b"", 400, "INVALID_ARGUMENT"),
]


@pytest.mark.parametrize(
    ("line", "headers", "body", "status", "code"), OWN_ANSWERS, ids=[f"{n}" for n in range(len(OWN_ANSWERS))]
)
def test_what_it_answers_itself_is_an_error_info(
    stack: Stack, line: str, headers: list[str], body: bytes, status: int, code: str
) -> None:
    answer = stack.raw(line, *headers, f"Authorization: Bearer {stack.api.token()}", body=body)
    assert_error(answer, status, code)
    assert str(uuid.UUID(answer.headers["x-correlator"])) == answer.headers["x-correlator"]


def ask_directly(stack: Stack, request: bytes) -> requests.Response:
    """What gunicorn says before it closes the connection."""
    with socket.create_connection(("127.0.0.1", stack.port), timeout=20) as direct:
        direct.sendall(request)
        return parsed(b"".join(iter(lambda: direct.recv(65_536), b"")))


def test_a_bare_line_feed_does_not_get_past_it(stack: Stack) -> None:
    """nginx takes it, and gives the API one request whose lines end in CR LF; the API itself refuses it."""
    lines = (f"GET {SUBSCRIPTIONS} HTTP/1.1", f"Host: {NAME}", f"Authorization: Bearer {stack.api.token()}")
    request = "\n".join([*lines, "Connection: close", "", ""]).encode()
    assert parsed(stack.proxy.exchange(request, stack.proxy.public)).status_code == 200
    assert_error(ask_directly(stack, request), 400, "INVALID_ARGUMENT")


def test_half_a_head_is_let_go_also_without_it(stack: Stack) -> None:
    half = f"GET {SUBSCRIPTIONS} HTTP/1.1\r\nHost: {NAME}\r\n".encode()
    assert_error(ask_directly(stack, half), 408, "REQUEST_TIMEOUT")


def test_its_own_answers_repeat_the_correlator_if_it_is_one(stack: Stack) -> None:
    answer = stack.raw("GET /nothing HTTP/1.1", "x-correlator: a-_:;./<>{}Z9")
    assert answer.headers["x-correlator"] == "a-_:;./<>{}Z9"
    for bad in ("a b", 'a"b', "x" * 257):
        answer = stack.raw("GET /nothing HTTP/1.1", f"x-correlator: {bad}")
        assert str(uuid.UUID(answer.headers["x-correlator"])) == answer.headers["x-correlator"]


def test_its_own_messages_are_those_of_the_api(stack: Stack) -> None:
    pairs = [
        (stack.raw(f"GET {EVENTS} HTTP/1.1"), stack.direct("GET", "/nothing", token=None)),
        (stack.raw(f"TRACE {SUBSCRIPTIONS} HTTP/1.1"), stack.direct("TRACE", SUBSCRIPTIONS, token=None)),
        (
            stack.api("POST", SUBSCRIPTIONS, data=b"x" * (app._PUBLIC_LIMIT_BYTES + 1)),
            stack.direct("POST", SUBSCRIPTIONS, data=b"x" * (app._PUBLIC_LIMIT_BYTES + 1)),
        ),
    ]
    assert [own.json() for own, _ in pairs] == [theirs.json() for _, theirs in pairs]


def test_http_without_tls_gets_an_error(stack: Stack) -> None:
    request = f"GET {SUBSCRIPTIONS} HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode()
    assert_error(
        parsed(stack.proxy.exchange(request, stack.proxy.public, tls=False)), 400, "INVALID_ARGUMENT"
    )


@pytest.mark.parametrize(
    ("side", "path"),
    [
        ("public", EVENTS),
        ("public", "/readyz"),
        ("public", "/healthz"),
        ("public", "//webrtc-events/v0.2/subscriptions"),
        ("public", "/%77ebrtc-events/v0.2/subscriptions"),
        ("public", "/network/..%2Fwebrtc-events/"),
        ("public", "/network/v0/registrations/..%2F..%2F..%2Fwebrtc-events%2F"),
        ("public", "/webrtc-events/..%2Fnetwork/v0/events"),
        ("public", "/webrtc-events/../network/v0/events"),
        ("network", SUBSCRIPTIONS),
        ("network", "/webrtc-events/..%2Fnetwork/v0/events"),
        ("network", "/.well-known/jwks.json"),
        ("network", f"{NEXT}/subscriptions"),
        ("public", f"{NEXT}/..%2F..%2Fnetwork/v0/events"),
        ("public", "/webrtc-events-subscription/v0.3rc1/subscriptions"),
    ],
)
def test_each_listener_lets_its_own_side_through(stack: Stack, side: str, path: str) -> None:
    for method in ("GET", "POST", "PUT"):
        answer = stack.raw(
            f"{method} {path} HTTP/1.1", f"Authorization: Bearer {stack.api.token()}", side=side
        )
        assert_error(answer, 404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("path", "limit"), [(SUBSCRIPTIONS, app._PUBLIC_LIMIT_BYTES), (EVENTS, app._NETWORK_LIMIT_BYTES)]
)
def test_bodies_end_where_those_of_the_api_do(stack: Stack, path: str, limit: int) -> None:
    limits = [size * unit for size, unit in sizes("client_max_body_size")]
    assert limits == [app._PUBLIC_LIMIT_BYTES, app._NETWORK_LIMIT_BYTES]
    # All of it stays in memory.
    assert sizes("client_body_buffer_size") == sizes("client_max_body_size")
    kind = "application/json" if path == SUBSCRIPTIONS else "application/cloudevents+json"
    headers = {"Content-Type": kind}
    at_limit = stack.api("POST", path, data=b"x" * limit, headers=headers)
    assert "JSON" in assert_error(at_limit, 400, "INVALID_ARGUMENT")
    assert_error(stack.api("POST", path, data=b"x" * (limit + 1), headers=headers), 413, "CONTENT_TOO_LARGE")
    pieces = (b"x" * 1024 for _ in range(limit // 1024 + 1))
    assert_error(stack.api("POST", path, data=pieces, headers=headers), 413, "CONTENT_TOO_LARGE")


def sizes(directive: str) -> list[tuple[int, int]]:
    """Number and unit of each, in the order of the file."""
    units = {"k": 1024, "m": 1024 * 1024}
    return [(int(size), units[unit]) for size, unit in re.findall(rf"{directive} (\d+)([km]);", FILE)]


def test_chunked_bodies_and_those_that_wait_for_a_word_arrive(stack: Stack) -> None:
    body = json.dumps(subscription_request(sink="https://sink.example.com/inbox")).encode()
    pieces = (body[at : at + 40] for at in range(0, len(body), 40))
    made = stack.api("POST", SUBSCRIPTIONS, data=pieces, headers={"Content-Type": "application/json"})
    assert made.status_code == 201
    answer = stack.raw(
        f"POST {SUBSCRIPTIONS} HTTP/1.1",
        f"Authorization: Bearer {stack.api.token()}",
        "Content-Type: application/json",
        "Expect: 100-continue",
        f"Content-Length: {len(body)}",
        body=body,
    )
    assert answer.status_code == 201


def test_a_large_token_passes(stack: Stack) -> None:
    """Of 12 kB; the head as a whole ends at 14 KiB, before the API may fail to read it."""
    token = stack.api.token(roles="x" * 8500)
    assert 11_000 < len(token) < 13_000
    assert stack.api("GET", SUBSCRIPTIONS, token=token).status_code == 200


@pytest.mark.parametrize("side", ["public", "network"])
def test_http_2_is_spoken(stack: Stack, side: str) -> None:
    body = json.dumps(invitation(7)).encode()
    port, path, data = {
        "public": (stack.proxy.public, SUBSCRIPTIONS, None),
        "network": (stack.proxy.network, EVENTS, body),
    }[side]
    answered = bytearray()
    curl = pycurl.Curl()
    curl.setopt(pycurl.URL, f"https://localhost:{port}{path}")
    curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS)
    curl.setopt(pycurl.CAINFO, str(stack.proxy.ca_file))
    curl.setopt(
        pycurl.HTTPHEADER,
        [f"Authorization: Bearer {stack.api.token()}", "Content-Type: application/cloudevents+json"],
    )
    if data is not None:
        curl.setopt(pycurl.POSTFIELDS, data)
    curl.setopt(pycurl.WRITEFUNCTION, answered.extend)
    curl.perform()
    assert curl.getinfo(pycurl.INFO_HTTP_VERSION) == pycurl.CURL_HTTP_VERSION_2_0
    assert curl.getinfo(pycurl.RESPONSE_CODE) == (200 if data is None else 202), answered
    curl.setopt(pycurl.URL, f"https://localhost:{port}/nothing")
    answered.clear()
    curl.perform()
    assert json.loads(answered)["code"] == "NOT_FOUND"
    curl.close()


@pytest.mark.parametrize("side", ["public", "network"])
def test_tls_is_1_2_or_later(stack: Stack, side: str) -> None:
    port = stack.proxy.public if side == "public" else stack.proxy.network
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = stack.proxy.context()
        context.minimum_version = context.maximum_version = version
        with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
            context.wrap_socket(plain, server_hostname=NAME).close()
    context = stack.proxy.context()
    # OpenSSL 3 offers it no more by itself.
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain, server_hostname=NAME)


def test_its_log_tells_the_correlator_and_no_registration(stack: Stack) -> None:
    headers = {"x-correlator": "find-me"}
    body = {"deviceId": DEVICE, "owner": "app"}
    stack.api("PUT", f"{NETWORK}/registrations/alice-at-home?x=alice", json=body, headers=headers)
    given = stack.api("GET", f"{SUBSCRIPTIONS}?x=alice").headers["x-correlator"]

    def line(correlator: str) -> str:
        return next(
            (line for line in stack.proxy.access_log.splitlines() if f"correlator={correlator}" in line), ""
        )

    eventually(lambda: line("find-me") and line(given), "both are logged")
    assert f" PUT {NETWORK}/registrations/~ 201 " in line("find-me")
    assert "upstream=201" in line("find-me")
    assert f" GET {SUBSCRIPTIONS} 200 " in line(given)
    assert "alice" not in stack.proxy.access_log
    assert stack.api.token()[:30] not in stack.proxy.access_log


def test_the_document_tells_what_to_change(document: Document) -> None:
    names = [name for what, _ in document.table("TLS proxy") for name in re.findall(r"`([^`]+)`", what)]
    assert [name for name in names if name not in FILE] == []
    (install,) = (line for line in document.block("TLS proxy").splitlines() if line.startswith("install "))
    source, target = install.split()[-2:]
    assert (ROOT / source).read_text() == FILE
    # Where it belongs is in its first line too.
    assert target in FILE.splitlines()[0]
