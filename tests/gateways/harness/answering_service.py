"""An issuer and a service that answer as a test says: what adapters are tested with."""

import json
from collections.abc import Callable
from typing import Any

from tests.harness.sinks import Answer, Received, RecordingSink
from webrtc_events.gateways.journal import Journal
from webrtc_events.gateways.network_requests import NetworkRequest, PublishEvent
from webrtc_events.gateways.publisher import Publisher

__all__ = ["HOUR_MS", "Service", "accepted", "answer", "append", "drain", "event"]

HOUR_MS = 3_600_000


class Service:
    """Issuer and service in one. `events` decides on batches, `registrations` on the rest."""

    def __init__(self) -> None:
        self.sink = RecordingSink(answer=self._answer)
        self.tokens = 0
        self.lifetime_s = 3600
        self.token_answer: Answer | None = None
        self.events: Callable[[list[Any]], Answer] = accepted
        self.registrations: Callable[[Received], Answer] = lambda request: Answer(
            204 if request.method == "DELETE" else 200
        )

    def _answer(self, request: Received) -> Answer:
        if request.path == "/.well-known/openid-configuration":
            return answer(200, {"token_endpoint": self.sink.url_of("/token")})
        if request.path == "/token" and self.token_answer is not None:
            return self.token_answer
        if request.path == "/token":
            self.tokens += 1
            token = {"access_token": f"t{self.tokens}", "token_type": "Bearer", "expires_in": self.lifetime_s}
            return answer(200, token)
        if request.path == "/network/v0/events":
            return self.events(request.json)
        return self.registrations(request)

    def calls(self) -> list[tuple[str, str]]:
        return [
            (request.method, request.path.removeprefix("/network/v0"))
            for request in self.sink.requests
            if request.path.startswith("/network/")
        ]

    def batches(self) -> list[list[str]]:
        """The ids of each batch that came."""
        return [
            [event["id"] for event in request.json]
            for request in self.sink.requests
            if request.path.endswith("/events")
        ]


def answer(status: int, body: Any, *headers: tuple[str, str]) -> Answer:
    return Answer(status, (("Content-Type", "application/json"), *headers), json.dumps(body).encode())


def accepted(events: list[Any]) -> Answer:
    return answer(202, {"results": [{"status": "accepted", "subscriptions": 0} for _ in events]})


def event(number: int, size: int = 0) -> PublishEvent:
    return PublishEvent({"id": str(number), "type": "x", "data": {"filling": "x" * size}})


def append(journal: Journal, *requests: NetworkRequest) -> None:
    with journal.transaction() as transaction:
        transaction.append(requests)


def drain(publisher: Publisher, steps: int = 30) -> None:
    for _ in range(steps):
        if publisher.send_head() is None:
            return
    raise AssertionError("the queue does not become empty")
