"""`webrtc-events demo`: plays a recorded call through a running `serve` and checks every notification."""

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from webrtc_events.core.clock import Clock
from webrtc_events.core.model import EventType, TerminationReason
from webrtc_events.local.demo.expectation import Expected, faults
from webrtc_events.local.demo.http_client import HttpClient
from webrtc_events.local.endpoints import DEFAULT_CLIENT, Endpoints
from webrtc_events.local.local_error import LocalError
from webrtc_events.local.recordings import Event, load_recording, played_anew
from webrtc_events.local.sink.received import Received

__all__ = ["Demo", "Show"]

_RECORDING = "answered"
# Between two events of the network, so that a person can follow.
_PAUSE_S = 0.12
_ARRIVAL_S = 10.0
_COMPLETE_S = 20.0
# After all that was expected, nothing more may come for this long.
_QUIET_S = 0.7

_REASONS = {
    EventType.SESSION_INVITATION: TerminationReason.SUBSCRIPTION_DELETED,
    EventType.SESSION_STATUS: TerminationReason.MAX_EVENTS_REACHED,
    EventType.REGISTRATION_ENDS: TerminationReason.NETWORK_TERMINATED,
}


@dataclass(frozen=True, slots=True)
class Show:
    """Prints what the demo does (`step`) and what arrives (`notification`)."""

    step: Callable[[str], None]
    notification: Callable[[Received], None]


class Demo:
    """Run it once. `api` carries a token with all scopes, `sink` trusts the local CA."""

    def __init__(
        self, endpoints: Endpoints, api: HttpClient, sink: HttpClient, clock: Clock, show: Show
    ) -> None:
        self._endpoints = endpoints
        self._api = api
        self._sink = sink
        self._clock = clock
        self._show = show
        self._run = uuid.uuid4().hex[:12]
        self._path = f"/demo/{self._run}/"
        self._events = played_anew(load_recording(_RECORDING), round(clock.now() * 1000))
        self._expected: dict[EventType, Expected] = {}
        self._received: list[Received] = []
        self._seen = 0

    def run(self) -> list[str]:
        """What went wrong; an empty list means that every notification came, valid and in order.

        Raises:
            LocalError: a server does not answer, or answers what it should not.
        """
        self._register()
        for event_type in _REASONS:
            self._subscribe(event_type)
        before = [event for event in self._events if event["type"] != EventType.REGISTRATION_ENDS]
        after = [event for event in self._events if event["type"] == EventType.REGISTRATION_ENDS]
        self._show.step(f"playing     {len(self._events)} events of a recorded call")
        self._play(before)
        self._unsubscribe(EventType.SESSION_INVITATION)
        self._play(after)
        self._await(self._expected.values(), _COMPLETE_S)
        self._listen(_QUIET_S)
        return [
            fault for expected in self._expected.values() for fault in faults(expected, self._of(expected))
        ]

    @property
    def notifications(self) -> int:
        """The number that came."""
        return len(self._received)

    @property
    def _registration(self) -> str:
        return str(self._events[0]["subject"])

    def _register(self) -> None:
        body = {"deviceId": str(uuid.uuid4()), "owner": DEFAULT_CLIENT}
        self._api.expect(
            {200, 201}, "PUT", f"{self._endpoints.network}/registrations/{self._registration}", json=body
        )
        self._show.step(f"registered  {self._registration}")

    def _subscribe(self, event_type: EventType) -> None:
        name = event_type.rpartition(".")[2]
        path = f"{self._path}{name}"
        events = tuple(event for event in self._events if event["type"] == event_type)
        correlator = f"demo-{self._run}-{name}"
        request = {
            "protocol": "HTTP",
            "sink": f"{self._endpoints.sink}{path}",
            "types": [event_type],
            "config": self._config(event_type, events),
        }
        url = f"{self._endpoints.public}/subscriptions"
        headers = {"x-correlator": correlator}
        response = self._api.expect({201, 202}, "POST", url, json=request, headers=headers)
        if response.headers.get("x-correlator") != correlator:
            raise LocalError(f"{url} got x-correlator {correlator} and answered with another")
        subscription = str(response.json()["id"])
        self._await_active(f"{url}/{subscription}")
        reason = _REASONS[event_type]
        self._expected[event_type] = Expected(
            type=event_type, subscription=subscription, path=path, events=events, reason=reason
        )
        self._show.step(f"subscribed  {name:<18}  {subscription:<36}  to end with {reason}")

    def _await_active(self, url: str) -> None:
        """The service may first ask the sink whether it agrees."""
        deadline = self._clock.monotonic() + _ARRIVAL_S
        while (status := self._api.expect({200}, "GET", url).json()["status"]) != "ACTIVE":
            if status != "ACTIVATION_REQUESTED" or self._clock.monotonic() >= deadline:
                raise LocalError(f"{url} is {status}: the sink did not agree")
            self._clock.sleep(_PAUSE_S)

    def _config(self, event_type: EventType, events: Sequence[Event]) -> dict[str, Any]:
        detail = {"registrationId": self._registration}
        config: dict[str, Any] = {"subscriptionDetail": detail}
        if event_type is EventType.SESSION_STATUS:
            detail["mediaSessionId"] = events[0]["data"]["mediaSessionId"]
            config["subscriptionMaxEvents"] = len(events)
        return config

    def _play(self, events: Sequence[Event]) -> None:
        """One after the other: a gateway that needs the order awaits each answer."""
        for event in events:
            headers = {"Content-Type": "application/cloudevents+json"}
            url = f"{self._endpoints.network}/events"
            (result,) = self._api.expect({202}, "POST", url, json=event, headers=headers).json()["results"]
            if result["status"] != "accepted":
                raise LocalError(
                    f"the network event {event['id']} was {result['status']}: {result.get('message')}"
                )
            self._listen(_PAUSE_S)

    def _unsubscribe(self, event_type: EventType) -> None:
        """Once its events are there: what is accepted and not yet sent is dropped by a DELETE."""
        expected = self._expected[event_type]
        deadline = self._clock.monotonic() + _ARRIVAL_S
        while len(self._of(expected)) < len(expected.events) and self._clock.monotonic() < deadline:
            self._listen(_PAUSE_S)
        self._api.expect(
            {202, 204}, "DELETE", f"{self._endpoints.public}/subscriptions/{expected.subscription}"
        )
        self._show.step(f"deleted     {event_type.rpartition('.')[2]:<18}  {expected.subscription}")

    def _await(self, all_expected: Iterable[Expected], seconds: float) -> None:
        deadline = self._clock.monotonic() + seconds
        wanted = list(all_expected)
        while self._clock.monotonic() < deadline and any(
            len(self._of(expected)) < expected.count for expected in wanted
        ):
            self._listen(_PAUSE_S)

    def _listen(self, seconds: float) -> None:
        """Takes in what arrives within this time."""
        deadline = self._clock.monotonic() + seconds
        while (left := deadline - self._clock.monotonic()) > 0:
            query = {"after": str(self._seen), "path": self._path, "wait": f"{left:.3f}"}
            for item in self._sink.expect(
                {200}, "GET", f"{self._endpoints.sink}/_inbox", params=query
            ).json():
                received = Received.from_json(item)
                self._seen = received.number
                self._received.append(received)
                self._show.notification(received)

    def _of(self, expected: Expected) -> list[Received]:
        return [received for received in self._received if received.path == expected.path]
