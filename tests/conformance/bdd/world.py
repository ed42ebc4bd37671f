"""The service as a scenario meets it: its API, its gateway side, a token issuer, and sinks."""

import json
import time
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import requests

from tests.api.conftest import NETWORK, PREFIX, Api, assert_error
from tests.conformance.bdd.versions import V0_2, Version
from tests.harness.authority import Authority
from tests.harness.commands import eventually
from tests.harness.sinks import Answer, Received, RecordingSink
from webrtc_events.contract.openapi import Contract
from webrtc_events.core.clock import format_time, parse_time
from webrtc_events.local.sink.notification_validator import NotificationValidator

__all__ = ["Service", "World", "a_moment", "moments"]

_CALLER, _CALLED = "tel:+12025550100", "tel:+12025550101"


def a_moment(seconds: float) -> str:
    """This many seconds from now, as RFC 3339 writes it."""
    return format_time(round((time.time() + seconds) * 1000))


def moments(*texts: str) -> list[int]:
    """In ms since the epoch."""
    return [parse_time(text) for text in texts]


@dataclass(frozen=True)
class Service:
    """A running service. `authority` signs the certificates of the sinks that it trusts."""

    api: Api
    authority: Authority
    second_validator: NotificationValidator
    strict: bool

    def fault(self, received: Received, version: Version) -> str | None:
        """Why this is no valid notification, by the contract's schemas and by openapi-core."""
        fault = version.load(self.strict).validator("CloudEvent").first_fault(received.json)
        return str(fault) if fault else self.second_validator.fault(received.headers, received.body)


@dataclass
class World:
    """One scenario's own client, registration, session and sink; nothing is shared with another's.

    `request` is what is asked for next, `update` what a PUT asks for, `answer` the last answer,
    `event` the last that was published, `result` what the gateway was answered, `notification` the
    last one looked at. `arrivals` are the moments at which notifications came, in ms since the epoch.
    """

    service: Service
    open_sink: Callable[[], AbstractContextManager[RecordingSink]]
    version: Version = V0_2
    name: str = field(default_factory=lambda: uuid.uuid4().hex)
    correlator: str = field(default_factory=lambda: str(uuid.uuid4()))
    claims: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    request: dict[str, Any] = field(default_factory=dict)
    update: dict[str, Any] = field(default_factory=dict)
    subscription: dict[str, Any] = field(default_factory=dict)
    event: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] = field(default_factory=dict)
    seen: int = 0
    arrivals: list[int] = field(default_factory=list)
    _sink: RecordingSink | None = None
    _answer: requests.Response | None = None
    _notification: Received | None = None

    @property
    def client(self) -> str:
        return f"app-{self.name}"

    @property
    def registration(self) -> str:
        return f"registration-{self.name}"

    @property
    def session(self) -> str:
        return f"session-{self.name}"

    @property
    def device(self) -> str:
        return str(uuid.UUID(self.name))

    @property
    def subscriptions(self) -> str:
        return self.version.subscriptions

    @property
    def path(self) -> str:
        return f"{self.subscriptions}/{self.subscription['id']}"

    @property
    def contract(self) -> Contract:
        return self.version.load(self.service.strict)

    @property
    def answer(self) -> requests.Response:
        assert self._answer is not None
        return self._answer

    @property
    def notification(self) -> Received:
        assert self._notification is not None
        return self._notification

    @property
    def sink(self) -> RecordingSink:
        """Opened when first asked for."""
        if self._sink is None:
            self._sink = self.open_sink().__enter__()
            self.sink_answers(Answer())
        return self._sink

    def sink_answers(self, *answers: Answer) -> None:
        """One after the other, the last one from then on."""
        sink, came = self.sink, len(self.arrivals)

        def answer(_: Received) -> Answer:
            self.arrivals.append(int(time.time() * 1000))
            return answers[min(len(self.arrivals) - came, len(answers)) - 1]

        sink.answer = answer

    def sink_is_asked(self, answer: Answer) -> None:
        """What it answers to OPTIONS; what is posted it takes."""
        self.sink.answer = lambda received: answer if received.method == "OPTIONS" else Answer()

    def close(self) -> None:
        if self._sink is not None:
            self._sink.__exit__(None, None, None)

    def token(self, **claims: Any) -> str:
        return self.service.api.token(
            **(
                {"client_id": self.client, "sub": self.client, "scope": self.version.scopes}
                | self.claims
                | claims
            )
        )

    def ask(self, method: str, path: str, *, token: str | None = "", **options: Any) -> None:
        """`token` "": the client's; None: no Authorization. An empty `correlator` is not sent."""
        correlator = {"x-correlator": self.correlator} if self.correlator else {}
        headers = correlator | self.headers | options.pop("headers", {})
        bearer = self.token() if token == "" else token
        self._answer = self.service.api(method, path, token=bearer, headers=headers, **options)

    def prepare(self, kind: str) -> None:
        """A request of that kind with all that is usual; of several kinds, with ", " between."""
        detail = {"deviceId": self.device}
        if self.version is V0_2:
            detail["registrationId"] = self.registration
            if kind == "session-status":
                detail["sessionId"] = self.session
        self.request = {
            "protocol": "HTTP",
            "sink": self.sink.url_of("/notifications"),
            "types": self.version.types(kind.split(", ")),
            "config": {"subscriptionDetail": detail},
        }

    def credential(self, seconds: float) -> dict[str, str]:
        return {
            "credentialType": "ACCESSTOKEN",
            "accessToken": f"sink-token-{self.name}",
            "accessTokenExpiresUtc": a_moment(seconds),
            "accessTokenType": "bearer",
        }

    def send(self) -> None:
        self.ask("POST", self.subscriptions, json=self.request)
        if self.answer.status_code in (201, 202):
            self.subscription = self.answer.json()

    def subscribe(self, kind: str) -> None:
        self.prepare(kind)
        self.send()
        assert self.answer.status_code in (201, 202), self.answer.text

    def publish(self, kind: str, **changes: Any) -> None:
        """What the gateway publishes, and the `result` of it; an attribute that is None is left out."""
        event = self._network_event(kind, changes.pop("data", {})) | changes
        self.event = {name: value for name, value in event.items() if value is not None}
        answer = self.gateway("POST", "/events", self.event, "application/cloudevents+json")
        assert answer.status_code == 202, answer.text
        (self.result,) = answer.json()["results"]

    def gateway(
        self, method: str, path: str, body: Any = None, media_type: str = "application/json"
    ) -> requests.Response:
        data = None if body is None else json.dumps(body)
        return self.service.api(method, f"{NETWORK}{path}", data=data, headers={"Content-Type": media_type})

    def _network_event(self, kind: str, data: dict[str, Any]) -> dict[str, Any]:
        required = {
            "session-invitation": {
                "mediaSessionId": self.session,
                "originatorAddress": _CALLER,
                "receiverAddress": _CALLED,
                "status": "Initial",
                "offer": {"sdp": "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n"},
            },
            "session-status": {"mediaSessionId": self.session, "status": "Ringing"},
            "registration-ends": {
                "registrationId": self.registration,
                "terminationReason": "NETWORK_TERMINATED",
            },
        }[kind]
        return {
            "id": uuid.uuid4().hex,
            "source": "https://gateway.example.com",
            "specversion": "1.0",
            "type": PREFIX + kind,
            "time": a_moment(0),
            "subject": self.registration,
            "data": required | data,
        }

    def receive_question(self) -> Received:
        """The next request to the sink, which is no notification."""
        self._notification = self.sink.wait_for(self.seen + 1, timeout_s=15)[self.seen]
        self.seen += 1
        return self.notification

    def receive(self) -> dict[str, Any]:
        """The next notification, in order; every one is checked against the contract."""
        self._notification = self.sink.wait_for(self.seen + 1, timeout_s=15)[self.seen]
        self.seen += 1
        assert self.service.fault(self.notification, self.version) is None
        event: dict[str, Any] = self.notification.json
        return event

    def await_status(self, status: str) -> None:
        def reached() -> bool:
            self.ask("GET", self.path)
            return bool(self.answer.json()["status"] == status)

        eventually(reached, 15)

    def assert_error(self, status: int, code: str) -> str:
        """Returns the message."""
        return assert_error(self.answer, status, code)
