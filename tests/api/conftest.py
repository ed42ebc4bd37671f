"""The real application on a real server, with a real issuer and a private store."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import requests
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.api.tokens import RSA
from tests.harness.issuer import Issuer, SigningKeyPair
from webrtc_events.api.http_protocol import HttpProtocol
from webrtc_events.api.websocket_protocol import WebSocketProtocol
from webrtc_events.app import create_app
from webrtc_events.core.conditions import Condition
from webrtc_events.core.settings import Settings
from webrtc_events.local.stack.valkey import Valkey

PREFIX = "org.camaraproject.webrtc-events.v0."
PUBLIC = "/webrtc-events/v0.2"
NETWORK = "/network/v0"
# The contract that follows, which is off by default.
NEXT = "/webrtc-events-subscriptions/v0.3rc1"
NEXT_PREFIX = "org.camaraproject.webrtc-events-subscriptions.v0."
DEVICE = "7d444840-9dc0-11d1-b245-5ffdce74fad2"
KINDS = ("session-invitation", "session-status", "registration-ends")
# What /readyz tells of the tests' store.
CHECKS = {name: {"status": "ok"} for name in ("store", "issuer", "durability", "clock")}
ALL_SCOPES = " ".join(
    [f"webrtc-events:{PREFIX}{kind}:create" for kind in KINDS]
    + [f"webrtc-events:{what}" for what in ("read", "delete", "network")]
)
NEXT_SCOPES = " ".join(
    [f"webrtc-events-subscriptions:{NEXT_PREFIX}{kind}:create" for kind in KINDS]
    + [f"webrtc-events-subscriptions:{what}" for what in ("read", "update", "delete")]
)


class Api:
    """A running server, and requests to it."""

    def __init__(self, port: int, issuer: Issuer) -> None:
        self.port = port
        self.issuer = issuer
        self._session = requests.Session()
        self._session.trust_env = False

    def token(self, **claims: Any) -> str:
        return self.issuer.token(time.time(), **({"scope": f"{ALL_SCOPES} {NEXT_SCOPES}"} | claims))

    def __call__(
        self, method: str, path: str, *, token: str | None = "", **options: Any
    ) -> requests.Response:
        """`token` "": one with all scopes; None: no Authorization."""
        headers = dict(options.pop("headers", {}))
        if token is not None:
            headers.setdefault("Authorization", f"Bearer {token or self.token()}")
        url = f"http://127.0.0.1:{self.port}{path}"
        options.setdefault("timeout", 20)
        return self._session.request(method, url, headers=headers, allow_redirects=False, **options)

    def close(self) -> None:
        self._session.close()


@contextmanager
def serving(app: ASGIApp, issuer: Issuer, keep_alive_s: int = 5) -> Iterator[Api]:
    """Listens before the server starts, so that no request comes too early."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        ws=WebSocketProtocol,
        http=HttpProtocol,
        timeout_keep_alive=keep_alive_s,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    api = Api(listener.getsockname()[1], issuer)
    try:
        yield api
    finally:
        api.close()
        server.should_exit = True
        thread.join()
        listener.close()


async def page(scope: Scope, receive: Receive, send: Send) -> None:
    """Returns what `tells` holds; raises it, if it is an exception."""
    if scope["path"].endswith("/fail"):
        raise RuntimeError("page failed")
    body = f"{scope['root_path']} {scope['path']}".encode()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]}
    )
    await send({"type": "http.response.body", "body": body})


class Switch:
    """A readiness check: what it is set to, or the error that it raises."""

    tells: Condition | Exception = Condition.ok()

    async def __call__(self) -> Condition:
        if isinstance(self.tells, Exception):
            raise self.tells
        return self.tells


@pytest.fixture(scope="session")
def issuer() -> Iterator[Issuer]:
    running = Issuer(SigningKeyPair.rsa("rsa"))
    yield running
    running.close()


@pytest.fixture
def own_issuer() -> Iterator[Issuer]:
    """One that a test may change."""
    serving = Issuer(RSA)
    yield serving
    serving.close()


@pytest.fixture(scope="session")
def http_settings(valkey: Valkey, issuer: Issuer) -> Settings:
    return Settings.from_environ(
        {
            "WEBRTC_EVENTS_REDIS_URL": valkey.url,
            "WEBRTC_EVENTS_OPENID_CONFIGURATION_URL": issuer.discovery_url,
            "WEBRTC_EVENTS_SECRET_KEY": "A" * 43,
            "WEBRTC_EVENTS_SINK_ALLOWED_NETWORKS": "127.0.0.0/8",
        }
    )


@pytest.fixture(autouse=True)
def _empty_store(request: pytest.FixtureRequest) -> None:
    """Empties the store for each test that a server of this room answers.

    Else a media session would belong to the registration for which another test named it first.
    """
    if "http_settings" in request.fixturenames:
        request.getfixturevalue("raw_store")


@pytest.fixture(scope="session")
def switch() -> Switch:
    return Switch()


@pytest.fixture(scope="session")
def api(http_settings: Settings, issuer: Issuer, switch: Switch) -> Iterator[Api]:
    app = create_app(http_settings, pages={"/page": page}, checks={"switch": switch})
    with serving(app, issuer) as running:
        yield running


@pytest.fixture(scope="module")
def both(http_settings: Settings, issuer: Issuer) -> Iterator[Api]:
    """With the contract that follows beside the public one."""
    with serving(create_app(replace(http_settings, next=True)), issuer) as running:
        yield running


@pytest.fixture
def fresh_api(http_settings: Settings, issuer: Issuer, switch: Switch) -> Iterator[Api]:
    """A server that has not seen the store being emptied between tests."""
    with serving(create_app(http_settings, checks={"switch": switch}), issuer) as running:
        yield running


@pytest.fixture
def api_with(http_settings: Settings, issuer: Issuer) -> Iterator[Callable[..., Api]]:
    """A separate server, with other settings."""
    stack: list[Any] = []

    def start(**changes: Any) -> Api:
        running = serving(create_app(replace(http_settings, **changes)), issuer)
        stack.append(running)
        return running.__enter__()

    yield start
    for running in stack:
        running.__exit__(None, None, None)


def subscription_request(kind: str = "session-invitation", **changes: Any) -> dict[str, Any]:
    detail = {"registrationId": "r1", **({"sessionId": "m1"} if kind == "session-status" else {})}
    return {
        "protocol": "HTTP",
        "sink": "https://localhost:9443/inbox",
        "types": [PREFIX + kind],
        "config": {"subscriptionDetail": detail},
    } | changes


def device_request(*kinds: str, **changes: Any) -> dict[str, Any]:
    """Of the contract that follows; without `kinds`, for invitations."""
    return {
        "protocol": "HTTP",
        "sink": "https://localhost:9443/inbox",
        "types": [NEXT_PREFIX + kind for kind in kinds or ("session-invitation",)],
        "config": {"subscriptionDetail": {"deviceId": DEVICE}},
    } | changes


def device_subscription(api: Api, *kinds: str, **changes: Any) -> dict[str, Any]:
    """What is shown of one that is made now."""
    response = api("POST", f"{NEXT}/subscriptions", json=device_request(*kinds, **changes))
    assert response.status_code == 201, response.text
    resource: dict[str, Any] = response.json()
    return resource


def invitation(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"e{number}",
        "source": "/gateway",
        "specversion": "1.0",
        "type": PREFIX + "session-invitation",
        "time": "2024-11-05T05:40:23.682Z",
        "subject": "r1",
        "data": {
            "mediaSessionId": "m1",
            "originatorAddress": "tel:+11234567899",
            "receiverAddress": "tel:+11234998765",
            "status": "Initial",
        },
    } | changes


def assert_error(response: requests.Response, status: int, code: str) -> str:
    """Every error has this shape; returns its message."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["x-correlator"]
    assert int(response.headers["Content-Length"]) == len(response.content)
    body = response.json()
    assert set(body) == {"status", "code", "message"}
    assert (body["status"], body["code"]) == (status, code)
    message: str = body["message"]
    assert message
    return message
