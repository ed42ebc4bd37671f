"""The views of three frameworks: a request reaches the receiver as it was sent."""

from collections.abc import Callable, Iterator
from typing import Any

import django
import fastapi
import flask
import pytest
from django.conf import settings as django_settings
from django.test import RequestFactory
from django.views.decorators.csrf import csrf_exempt
from starlette.testclient import TestClient

from webrtc_events_client.consumer import AsyncKeySet, AsyncReceiver, KeySet, Receiver, ReceiverSettings
from webrtc_events_client.consumer.django import respond as respond_django
from webrtc_events_client.consumer.flask import respond as respond_flask
from webrtc_events_client.consumer.starlette import respond as respond_starlette
from webrtc_events_client.consumer.wsgi_request import read_limited, sent_target

ORIGIN = "https://my-app.example"
# What the service does not escape, and what it does.
TARGETS = ["/inbox", "/inbox/a%20b?c=%2F&d", "/inbox/%C3%A9;v=1?x", "/inbox/a%2Fb?q=a+b%20c"]
Send = Callable[..., tuple[int, dict[str, str], bytes]]


class Seen:
    def __init__(self) -> None:
        self.deliveries: list[Any] = []

    def __call__(self, delivery: Any) -> None:
        self.deliveries.append(delivery)

    async def awaited(self, delivery: Any) -> None:
        self.deliveries.append(delivery)


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture(params=["flask", "fastapi", "django"])
def send(request: pytest.FixtureRequest, seen: Seen, key_server: Any, clock: Any) -> Iterator[Send]:
    """Sends a request through a framework; the answer's status, headers by lower-case names, and body."""
    given = ReceiverSettings(origin=ORIGIN, clock=clock, agree_to=["events.example"], max_body=100_000)
    if request.param == "fastapi":
        yield _fastapi(AsyncReceiver(seen.awaited, given, keys=AsyncKeySet(key_server.url, clock=clock)))
        return
    receiver = Receiver(seen, given, keys=KeySet(key_server.url, clock=clock))
    yield _flask(receiver) if request.param == "flask" else _django(receiver)


def _flask(receiver: Receiver) -> Send:
    app = flask.Flask(__name__)
    app.add_url_rule(
        "/inbox",
        "inbox",
        lambda: respond_flask(receiver),
        methods=["POST", "OPTIONS"],
        provide_automatic_options=False,
    )
    app.add_url_rule(
        "/inbox/<path:rest>",
        "rest",
        lambda **_: respond_flask(receiver),
        methods=["POST", "OPTIONS"],
        provide_automatic_options=False,
    )
    client = app.test_client()

    def send(method: str, target: str, headers: dict[str, str], body: bytes) -> Any:
        answer = client.open(target, method=method, headers=headers, data=body)
        return answer.status_code, {name.lower(): value for name, value in answer.headers}, answer.data

    return send


def _fastapi(receiver: AsyncReceiver) -> Send:
    app = fastapi.FastAPI()

    async def inbox(request: fastapi.Request) -> fastapi.Response:
        return await respond_starlette(receiver, request)

    for path in ("/inbox", "/inbox/{rest:path}"):
        app.add_api_route(path, inbox, methods=["POST", "OPTIONS"])
    client = TestClient(app)

    def send(method: str, target: str, headers: dict[str, str], body: bytes) -> Any:
        answer = client.request(method, target, headers=headers, content=body)
        return answer.status_code, dict(answer.headers), answer.content

    return send


def _django(receiver: Receiver) -> Send:
    if not django_settings.configured:
        django_settings.configure(ALLOWED_HOSTS=["*"], SECRET_KEY="not one")
        django.setup()
    view = csrf_exempt(lambda request: respond_django(receiver, request))

    def send(method: str, target: str, headers: dict[str, str], body: bytes) -> Any:
        # Servers say what was sent; Django itself does not.
        request = RequestFactory().generic(method, target, body, headers=headers, RAW_URI=target)
        answer = view(request)
        return answer.status_code, {name.lower(): value for name, value in answer.items()}, answer.content

    return send


@pytest.mark.parametrize("target", TARGETS)
def test_a_notification(target: str, send: Send, seen: Seen, service: Any, make_body: Any) -> None:
    signed = service.notify(make_body(), ORIGIN + target)
    assert send("POST", target, signed.headers, signed.body)[::2] == (204, b"")
    assert send("POST", target, signed.headers, signed.body)[0] == 204
    (delivery,) = seen.deliveries
    assert (delivery.notification.id, delivery.correlator) == ("s-1.1", "c-1")


def test_a_question(send: Send, service: Any) -> None:
    asked = service.ask(ORIGIN + "/inbox")
    status, headers, _ = send("OPTIONS", "/inbox", asked.headers, b"")
    assert (status, headers["webhook-allowed-origin"]) == (204, "events.example")


def test_what_is_refused(send: Send, seen: Seen, service: Any, make_body: Any) -> None:
    signed = service.notify(make_body(), ORIGIN + "/inbox")
    status, headers, body = send("POST", "/inbox?other", signed.headers, signed.body)
    assert (status, headers["content-type"]) == (403, "text/plain; charset=utf-8")
    assert body == b"the signature does not hold\n"
    assert send("POST", "/inbox", {**signed.headers, "signature": "sig1=:AA==:"}, signed.body)[0] == 403
    assert send("POST", "/inbox", signed.headers, b" " * 5_000_000)[0] == 413
    assert send("POST", "/inbox", signed.headers, b" " * 100_000)[0] == 403
    assert seen.deliveries == []


@pytest.mark.parametrize(
    ("environ", "target"),
    [
        ({"RAW_URI": "/a%2Fb?c", "PATH_INFO": "/a/b"}, "/a%2Fb?c"),
        ({"REQUEST_URI": "https://x.example/a?b"}, "https://x.example/a?b"),
        (
            {"SCRIPT_NAME": "/app", "PATH_INFO": "/a b/\u00c3\u00a9", "QUERY_STRING": "c=%20"},
            "/app/a%20b/%C3%A9?c=%20",
        ),
        ({"PATH_INFO": "/", "QUERY_STRING": ""}, "/"),
    ],
)
def test_the_target_as_a_wsgi_server_tells_it(environ: dict[str, str], target: str) -> None:
    assert sent_target(environ) == target


def test_a_body_that_does_not_end_is_read_no_further_than_needed() -> None:
    class Endless:
        given = 0

        def read(self, size: int, /) -> bytes:
            part = b"a" * min(size, 1000)
            self.given += len(part)
            return part

    stream = Endless()
    assert len(read_limited(stream, 5500)) == stream.given == 5501
