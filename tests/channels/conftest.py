"""A whole service with channels in this process: an API and a worker on the tests' store."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from tests.api.conftest import (
    ALL_SCOPES,
    NETWORK,
    PUBLIC,
    Api,
    http_settings,
    invitation,
    issuer,
    serving,
    subscription_request,
)
from tests.harness.channels import BASE
from tests.harness.event_sockets import SocketReader, offers
from tests.harness.event_streams import StreamReader
from tests.harness.issuer import Issuer
from webrtc_events.app import create_app
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.settings import Settings
from webrtc_events.worker import Worker

__all__ = ["http_settings", "issuer"]

CHANNELS = "/channels/v0/channels"
SCOPES = f"{ALL_SCOPES} webrtc-events:channels:read webrtc-events:channels:write"


@dataclass
class Channel:
    id: str
    sink: str
    token: str


@dataclass
class Stack:
    """`restart_api` and `stop_worker` do as they say; what is made with it is closed at its end."""

    settings: Settings
    issuer: Issuer
    stack: ExitStack
    api: Api = field(init=False)
    worker: Worker | None = None
    _serving: Any = None
    _published: int = 0

    def start_api(self) -> None:
        self._serving = serving(create_app(self.settings), self.issuer)
        self.api = self._serving.__enter__()

    def stop_api(self) -> None:
        running, self._serving = self._serving, None
        if running is not None:
            running.__exit__(None, None, None)

    def start_worker(self) -> None:
        self.worker = Worker.build(self.settings, SystemClock())
        self.worker.start()

    def stop_worker(self) -> None:
        worker, self.worker = self.worker, None
        if worker is not None:
            worker.stop()

    def token(self, **claims: Any) -> str:
        return self.api.token(**({"scope": SCOPES} | claims))

    def make(self, **claims: Any) -> Channel:
        answer = self.api("POST", CHANNELS, token=self.token(**claims))
        assert answer.status_code == 201, answer.text
        body = answer.json()
        return Channel(body["id"], body["sink"], body["token"])

    def subscribe(self, channel: Channel, registration: str = "r1", **changes: Any) -> requests.Response:
        claims = changes.pop("claims", {})
        config = {"subscriptionDetail": {"registrationId": registration}} | changes.pop("config", {})
        request = subscription_request(sink=channel.sink, config=config, **changes)
        return self.api("POST", f"{PUBLIC}/subscriptions", json=request, token=self.token(**claims))

    def subscribed(self, channel: Channel, registration: str = "r1", **changes: Any) -> str:
        answer = self.subscribe(channel, registration, **changes)
        assert answer.status_code == 201, answer.text
        subscription_id: str = answer.json()["id"]
        return subscription_id

    def publish(self, count: int, registration: str = "r1", sdp: str = "v=0") -> list[int]:
        """So many invitations, each with this offer; returns their sequence numbers."""
        numbers = [*range(self._published + 1, self._published + count + 1)]
        self._published += count
        events = [invitation(number, subject=registration) for number in numbers]
        for event, number in zip(events, numbers, strict=True):
            event["data"] = event["data"] | {"sequenceNumber": number, "offer": {"sdp": sdp}}
        headers = {"Content-Type": "application/cloudevents-batch+json"}
        answer = self.api("POST", f"{NETWORK}/events", json=events, headers=headers)
        assert answer.status_code == 202, answer.text
        assert {result["status"] for result in answer.json()["results"]} == {"accepted"}
        return numbers

    def read(self, channel: Channel, last_id: str = "", **options: Any) -> StreamReader:
        url = f"http://127.0.0.1:{self.api.port}{CHANNELS}/{channel.id}/events"
        token = options.pop("token", channel.token)
        return self.stack.enter_context(StreamReader(url, token, last_id, **options))

    def open(self, channel: Channel, last_id: str = "", **options: Any) -> SocketReader:
        """As `read`, over a WebSocket. `offered`: what is offered instead of the channel's token."""
        offered = options.pop("offered", None) or offers(channel.token, last_id)
        url = f"http://127.0.0.1:{self.api.port}{CHANNELS}/{channel.id}/events"
        return self.stack.enter_context(SocketReader(url, offered, **options))

    def acknowledge(self, channel: Channel, cursor: str, token: str = "") -> requests.Response:
        path = f"{CHANNELS}/{channel.id}/cursor"
        return self.api("PUT", path, json={"cursor": cursor}, token=token or channel.token)

    def delete(self, channel: Channel, **claims: Any) -> requests.Response:
        return self.api("DELETE", f"{CHANNELS}/{channel.id}", token=self.token(**claims))


@pytest.fixture
def channel_settings(http_settings: Settings, raw_store: Any) -> Settings:
    """`raw_store` empties the store."""
    return dataclasses.replace(
        http_settings,
        channels_url=BASE,
        max_registration_subscriptions=0,
        requests_per_s=0,
        cors_origins=frozenset({"https://app.example", "http://localhost:*"}),
    )


@pytest.fixture
def service(channel_settings: Settings, issuer: Issuer) -> Iterator[Stack]:
    with ExitStack() as stack:
        running = Stack(channel_settings, issuer, stack)
        running.start_api()
        running.start_worker()
        yield running
        stack.close()
        running.stop_api()
        running.stop_worker()


@pytest.fixture
def service_with(channel_settings: Settings, issuer: Issuer) -> Iterator[Callable[..., Stack]]:
    with ExitStack() as stack:

        def start(**changes: object) -> Stack:
            running = Stack(dataclasses.replace(channel_settings, **changes), issuer, stack)  # type: ignore[arg-type]
            running.start_api()
            running.start_worker()
            stack.callback(running.stop_worker)
            stack.callback(running.stop_api)
            return running

        yield start
