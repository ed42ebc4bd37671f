"""A subscriber beside a real gateway: what it asks the service for, and what its sink got."""

from typing import Any

from tests.harness.commands import Running, eventually
from webrtc_events.local.demo.http_client import HttpClient
from webrtc_events.local.endpoints import Endpoints

__all__ = ["PREFIX", "Subscriber"]

PREFIX = "org.camaraproject.webrtc-events.v0."


class Subscriber:
    """To be derived from by a run, which has an adapter."""

    adapter: Running

    def __init__(self, endpoints: Endpoints, api: HttpClient, sink: HttpClient) -> None:
        self.endpoints = endpoints
        self.api = api
        self._sink = sink

    def is_subscribed(self, kind: str, registration_id: str, path: str, session: str | None = None) -> bool:
        """Tries once; false: the service knows no such registration, or session, yet."""
        detail = {"registrationId": registration_id}
        if session is not None:
            detail["mediaSessionId"] = session
        body = {
            "protocol": "HTTP",
            "sink": f"{self.endpoints.sink}/{path.lstrip('/')}",
            "types": [PREFIX + kind],
            "config": {"subscriptionDetail": detail},
        }
        answer = self.api.request("POST", f"{self.endpoints.public}/subscriptions", json=body)
        return answer.status_code in (201, 202)

    def received(self, path: str) -> list[dict[str, Any]]:
        """The events that came there, each valid."""
        items = self._sink.expect({200}, "GET", f"{self.endpoints.sink}/_inbox", params={"path": path}).json()
        assert [item for item in items if item["fault"]] == []
        return [item["event"] for item in items]

    def invitation(self, path: str) -> dict[str, Any]:
        """The data of the first event that comes there."""
        found: dict[str, Any] = eventually(lambda: self.received(path))[0]["data"]
        return found

    def statuses(self, path: str) -> list[str]:
        return [event["data"]["status"] for event in self.received(path) if "status" in event["data"]]

    def await_statuses(self, path: str, *expected: str) -> list[dict[str, Any]]:
        """Exactly these, in this order; their events."""
        try:
            eventually(lambda: len(self.statuses(path)) >= len(expected))
        finally:
            found = self.statuses(path)
            assert found == list(expected), f"{found}\n{self.adapter.output}"
        events = [event for event in self.received(path) if "status" in event["data"]]
        numbers = [event["data"]["sequenceNumber"] for event in events]
        assert numbers == sorted(set(numbers))
        return events
