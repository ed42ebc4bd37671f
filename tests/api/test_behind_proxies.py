"""The API behind other proxies: whose headers count, and what a base path changes."""

import asyncio
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

import pytest
import requests
from starlette.types import Receive, Scope, Send

from tests.api.conftest import NETWORK, PUBLIC, Api, assert_error
from webrtc_events.api.behind_proxies import BehindProxies
from webrtc_events.core.forwarded import TrustedProxies
from webrtc_events.core.setting_values import base_path

SPOOFED = {
    "Forwarded": "for=10.0.0.1;proto=https;host=evil.example",
    "X-Forwarded-For": "10.0.0.1",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Prefix": "/evil",
    "X-Real-IP": "10.0.0.1",
}
SUBSCRIPTIONS = f"{PUBLIC}/subscriptions"


def seen(proxies: str, base: str = "", peer: str | None = "127.0.0.1", **changed: Any) -> Scope:
    """What is left of a request behind the layer."""
    found: list[Scope] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        found.append(scope)

    scope: Scope = {
        "type": "http",
        "scheme": "http",
        "path": "/x",
        "raw_path": b"/x",
        "client": None if peer is None else (peer, 4711),
        "headers": [(b"host", b"inner:9091")],
    } | changed
    networks = [ip_network(proxies)] if proxies else []
    layer = BehindProxies(app, TrustedProxies(networks), base)
    asyncio.run(layer(scope, None, None))  # type: ignore[arg-type]
    return found[0]


HEADERS = [
    (b"host", b"inner:9091"),
    (b"x-forwarded-for", b"198.51.100.7"),
    (b"x-forwarded-proto", b"https"),
    (b"x-forwarded-host", b"api.example"),
    (b"accept", b"*/*"),
]


def test_a_trusted_proxy_says_who_asks_and_how() -> None:
    scope = seen("127.0.0.0/8", headers=HEADERS)
    assert scope["client"] == ("198.51.100.7", 0)
    assert scope["scheme"] == "https"
    assert scope["headers"] == [(b"host", b"api.example"), (b"accept", b"*/*")]
    assert seen("127.0.0.0/8", type="websocket", scheme="ws", headers=HEADERS)["scheme"] == "wss"


@pytest.mark.parametrize(
    ("proxies", "peer"), [("10.0.0.0/8", "127.0.0.1"), ("", "127.0.0.1"), ("::/0", None)]
)
def test_the_word_of_others_is_dropped(proxies: str, peer: str | None) -> None:
    scope = seen(proxies, peer=peer, headers=HEADERS)
    assert scope["client"] == (None if peer is None else (peer, 4711))
    assert scope["scheme"] == "http"
    assert scope["headers"] == [(b"host", b"inner:9091"), (b"accept", b"*/*")]


def test_several_lines_of_one_header_are_one_list() -> None:
    """A client's line, and the line that the proxy added."""
    headers = [(b"x-forwarded-for", b"10.0.0.1"), (b"x-forwarded-for", b"198.51.100.7")]
    assert seen("127.0.0.0/8", headers=headers)["client"] == ("198.51.100.7", 0)


@pytest.mark.parametrize(
    ("raw", "path", "behind"),
    [
        (b"/camara/x%2Fy", "/camara/x/y", (b"/x%2Fy", "/x/y")),
        (b"/camara/", "/camara/", (b"/", "/")),
        (b"/x", "/x", (b"/x", "/x")),
        (b"/camarax/y", "/camarax/y", (b"/camarax/y", "/camarax/y")),
        (b"/camara", "/camara", (b"/camara", "/camara")),
        # It is no base path if it is spelled otherwise, and is taken off once.
        (b"/c%61mara/x", "/camara/x", (b"/c%61mara/x", "/camara/x")),
        (b"/camara/camara/x", "/camara/camara/x", (b"/camara/x", "/camara/x")),
        (b"//camara/x", "//camara/x", (b"//camara/x", "//camara/x")),
    ],
)
def test_the_base_path_is_taken_off_where_it_is(raw: bytes, path: str, behind: tuple[bytes, str]) -> None:
    scope = seen("", "/camara", raw_path=raw, path=path)
    assert (scope["raw_path"], scope["path"]) == behind
    assert scope["root_path"] == "/camara"


@pytest.mark.parametrize("raw", ["/camara", "/camara/", "/a/b.c~d"])
def test_a_base_path_has_no_final_slash(raw: str) -> None:
    assert base_path(raw) == raw.rstrip("/")
    assert base_path("/") == ""


@pytest.mark.parametrize(
    "raw",
    [
        "camara",
        "/cam ara",
        "/..",
        "/./x",
        "/a//b",
        "/network",
        "/webrtc-events/x",
        "/a%2Fb",
        "/ä",
        "/.well-known",
    ],
)
def test_what_is_no_base_path_is_refused(raw: str) -> None:
    with pytest.raises(ValueError, match="must be a path such as /camara"):
        base_path(raw)


# The whole API


def test_without_the_settings_spoofed_headers_change_nothing(api_with: Callable[..., Api]) -> None:
    api = api_with()
    for path in (f"{PUBLIC}/openapi.json", "/healthz"):
        plain, spoofed = (api("GET", path, token=None, headers=headers) for headers in ({}, SPOOFED))
        assert plain.content == spoofed.content
        assert plain.status_code == spoofed.status_code == 200
    assert api("GET", SUBSCRIPTIONS, headers=SPOOFED).status_code == 200


@pytest.mark.parametrize("prefix", ["/camara", ""], ids=["as sent", "taken off by the proxy"])
def test_everything_is_below_the_base_path(prefix: str, api_with: Callable[..., Api]) -> None:
    api = api_with(base_path="/camara", cors_origins=frozenset({"https://app.example"}))
    document = api("GET", f"{prefix}{PUBLIC}/openapi.json", token=None).json()
    assert document["servers"] == [{"url": f"/camara{PUBLIC}"}]
    answer = api("GET", f"{prefix}{SUBSCRIPTIONS}", headers={"Origin": "https://app.example"})
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example"
    assert api("GET", f"{prefix}/healthz", token=None).status_code == 200
    body = {"protocol": "HTTP"}
    assert_error(api("POST", f"{prefix}{SUBSCRIPTIONS}", json=body), 400, "INVALID_ARGUMENT")
    for name in ("none", "123"):
        assert_error(api("GET", f"{prefix}{SUBSCRIPTIONS}/{name}"), 404, "NOT_FOUND")
    assert_error(api("GET", f"{prefix}/camara{SUBSCRIPTIONS}/x"), 404, "NOT_FOUND")
    assert_error(api("DELETE", f"{prefix}{NETWORK}/registrations/a%2Fb"), 400, "INVALID_ARGUMENT")


def test_the_reference_finds_its_document_below_the_base_path(api_with: Callable[..., Api]) -> None:
    api = api_with(base_path="/camara")
    moved = api("GET", f"/camara{PUBLIC}/ui", token=None)
    assert moved.headers["Location"].startswith(f"/camara{PUBLIC}/ui")
    page: requests.Response = api("GET", f"/camara{PUBLIC}/ui/", token=None)
    assert page.status_code == 200
    assert f"/camara{PUBLIC}/openapi.json" in page.text
