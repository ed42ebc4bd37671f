"""What the service does when the local sink fails, from `serve` to the inbox."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.harness.commands import Running, eventually, run
from tests.local.notifications import received
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.model import EventType
from webrtc_events.local.demo.http_client import HttpClient
from webrtc_events.local.endpoints import Endpoints


class Stack:
    """A `serve`, asked with every scope. A path of the sink has the registration of the same name."""

    def __init__(self, serve: Running, data: Path, api: HttpClient, sink: HttpClient) -> None:
        self.serve = serve
        self.endpoints = Endpoints.read(data)
        self._data = data
        self._api = api
        self._sink = sink

    def behave(self, name: str, answer: int | str, **members: Any) -> None:
        address = f"{self.endpoints.sink}/_behaviours/{name}"
        self._sink.expect({200}, "PUT", address, json={"answer": answer, **members})

    def subscribe(self, name: str, sink: str | None = None) -> str:
        request = {
            "protocol": "HTTP",
            "sink": f"{sink or self.endpoints.sink}/{name}",
            "types": [EventType.SESSION_INVITATION],
            "config": {"subscriptionDetail": {"registrationId": name}},
        }
        url = f"{self.endpoints.public}/subscriptions"
        return str(self._api.expect({201}, "POST", url, json=request).json()["id"])

    def ring(self, name: str) -> None:
        done = run("simulate", "--speed", "max", "--registration", name, "--data-dir", str(self._data))
        assert "notifications 1," in done.stdout.decode()

    def status(self, subscription: str) -> str:
        url = f"{self.endpoints.public}/subscriptions/{subscription}"
        return str(self._api.expect({200}, "GET", url).json()["status"])

    def received(self, name: str, count: int) -> list[tuple[str, int | str, bool]]:
        """Type, answer and whether it was repeated, as soon as `count` came."""

        def arrived() -> list[dict[str, Any]] | None:
            items = received(self._sink, self.endpoints.sink, f"/{name}")
            return items if len(items) >= count else None

        items = eventually(arrived)
        assert not [item["fault"] for item in items if item["fault"]]
        return [
            (item["event"]["type"].rpartition(".")[2], item["answered"], item["repeated"]) for item in items
        ]


@pytest.fixture
def stack(start_serve: Callable[[], Running], data: Path, api: HttpClient, sink_client: HttpClient) -> Stack:
    return Stack(start_serve(), data, api, sink_client)


def test_what_a_sink_refused_for_a_while_comes_again_and_410_ends_its_subscription(stack: Stack) -> None:
    stack.behave("recovers", 500, count=2)
    stack.behave("gone", 410)
    recovers, gone = stack.subscribe("recovers"), stack.subscribe("gone")
    stack.ring("recovers")
    stack.ring("gone")
    assert stack.received("recovers", 3) == [
        ("session-invitation", 500, False),
        ("session-invitation", 500, True),
        ("session-invitation", 204, True),
    ]
    assert stack.status(recovers) == "ACTIVE"
    assert stack.received("gone", 1) == [("session-invitation", 410, False)]
    eventually(lambda: stack.status(gone) != "ACTIVE")
    assert len(stack.received("gone", 1)) == 1


@pytest.mark.slow
def test_each_misbehaviour_is_an_attempt_that_is_made_again(stack: Stack) -> None:
    for name in ("hang", "drop", "drip"):
        stack.behave(name, name, count=1)
        stack.subscribe(name)
        stack.ring(name)
    for name in ("hang", "drop", "drip"):
        assert stack.received(name, 2)[-2:] == [
            ("session-invitation", name, False),
            ("session-invitation", 204, True),
        ]
    assert stack.serve.output.count("outcome=retry reason=timeout") == 2


@pytest.mark.slow
def test_a_certificate_that_is_not_trusted_is_an_attempt_that_failed(stack: Stack) -> None:
    address = stack.endpoints.untrusted_sink
    stack.subscribe("untrusted", address)
    stack.ring("untrusted")
    stack.serve.await_output(f"host={address}")
    assert "outcome=retry reason=tls" in stack.serve.output
    assert "self-signed certificate" in stack.serve.output


@pytest.mark.slow
def test_serve_stops_at_once_while_the_sink_hangs(stack: Stack) -> None:
    stack.behave("hang", "hang")
    stack.subscribe("hang")
    stack.ring("hang")
    assert stack.received("hang", 1) == [("session-invitation", "hang", False)]
    clock = SystemClock()
    started = clock.monotonic()
    assert stack.serve.stop() == 0
    # The service would give up after ten.
    assert clock.monotonic() - started < 8
    assert "Traceback" not in stack.serve.output


@pytest.mark.slow
def test_a_sink_that_does_not_agree_gets_nothing(
    start_serve: Callable[..., Running], data: Path, api: HttpClient, sink_client: HttpClient
) -> None:
    serve = start_serve(WEBRTC_EVENTS_SINK_VALIDATION="on")
    endpoints = Endpoints.read(data)
    address = f"{endpoints.sink}/_behaviours/refuses"
    sink_client.expect({200}, "PUT", address, json={"answer": 403, "handshake": True, "count": 1})
    request = {
        "protocol": "HTTP",
        "sink": f"{endpoints.sink}/refuses",
        "types": [EventType.SESSION_INVITATION],
        "config": {"subscriptionDetail": {"registrationId": "refuses"}},
    }
    url = f"{endpoints.public}/subscriptions"
    first, second = (str(api.expect({202}, "POST", url, json=request).json()["id"]) for _ in range(2))

    def status(subscription: str) -> str:
        return str(api.expect({200}, "GET", f"{url}/{subscription}").json()["status"])

    def decided() -> set[str] | None:
        found = {status(first), status(second)}
        return found if "ACTIVATION_REQUESTED" not in found else None

    assert eventually(decided) == {"EXPIRED", "ACTIVE"}
    assert "Traceback" not in serve.output
    with closing(HttpClient(ca=data / "ca" / "ca.pem")) as client:
        assert received(client, endpoints.sink, "/refuses") == []
