"""Calls that a real service sends to the examples: every notification once, in order, while keys change."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.examples import Example
from tests.harness.commands import Running, eventually
from tests.harness.valkeys import free_port
from webrtc_events.core.clock import SystemClock
from webrtc_events.local.demo.http_client import HttpClient
from webrtc_events.local.endpoints import Endpoints
from webrtc_events.local.recordings import Event, load_recording, played_anew

PREFIX = "org.camaraproject.webrtc-events.v0."
MakeKey = Callable[[str], str]
MakeExample = Callable[[str], Example]
Restart = Callable[..., None]


@pytest.fixture
def restart(start: Callable[..., Running], data: Path) -> Restart:
    """Starts `serve` with settings, by name, on the same data and port as the one before, which it ends."""
    running: list[Running] = []
    port = free_port()

    def again(**env: str) -> None:
        if running:
            assert running[-1].stop(signal.SIGTERM) == 0
        options = ["--port", str(port), "--sink-port", "0", "--data-dir", str(data)]
        running.append(
            start("serve", *options, env={f"WEBRTC_EVENTS_{key}": text for key, text in env.items()})
        )
        running[-1].await_output("Ctrl-C stops everything")

    return again


class Call:
    """A recorded call as if it happened now, and the subscriptions of one sink to all of it."""

    def __init__(self, name: str, api: HttpClient, data: Path) -> None:
        self.events = played_anew(load_recording(name), round(SystemClock().now() * 1000))
        self.statuses = [event for event in self.events if event["type"] == PREFIX + "session-status"]
        self.session = self.events[0]["data"]["mediaSessionId"]
        self._api = api
        self._endpoints = Endpoints.read(data)

    def subscribe(self, sink: str) -> None:
        registration = self.events[0]["subject"]
        for name, detail in (
            ("session-invitation", {}),
            ("session-status", {"sessionId": self.session}),
            ("registration-ends", {}),
        ):
            request = {
                "protocol": "HTTP",
                "sink": sink,
                "types": [PREFIX + name],
                "config": {"subscriptionDetail": {"registrationId": registration, **detail}},
            }
            url = f"{self._endpoints.public}/subscriptions"
            self._api.expect({201, 202}, "POST", url, json=request)

    def all_active(self) -> bool:
        listed = self._api.expect({200}, "GET", f"{self._endpoints.public}/subscriptions").json()
        return [subscription["status"] for subscription in listed] == ["ACTIVE"] * 3

    def publish(self, events: list[Event]) -> None:
        headers = {"Content-Type": "application/cloudevents+json"}
        for event in events:
            self._api.expect({202}, "POST", f"{self._endpoints.network}/events", json=event, headers=headers)

    def printed(self, example: Example) -> list[str]:
        """What the example has printed of the session's statuses, in its order."""
        return [line for line in example.output.splitlines() if f" {self.session} is " in line]

    def lines(self, events: list[Event]) -> list[str]:
        """What it should have printed when these are published."""
        return [
            f"{event['data']['sequenceNumber']} {self.session} is {event['data']['status']}"
            for event in events
            if event in self.statuses
        ]


@pytest.mark.parametrize("name", ["consumer-flask", pytest.param("consumer-fastapi", marks=pytest.mark.slow)])
def test_a_call_while_the_key_is_changed(
    name: str, restart: Restart, make_key: MakeKey, make_example: MakeExample, api: HttpClient, data: Path
) -> None:
    first, second = make_key("first"), make_key("second")
    restart(SIGNING_KEYS=f"{first},{second}")
    example = make_example(name)
    example.start()
    call = Call("hold-resume", api, data)
    call.subscribe(example.sink)
    half = len(call.events) // 2
    call.publish(call.events[:half])
    expected, sent = call.lines(call.events), call.lines(call.events[:half])
    numbers = [event["data"]["sequenceNumber"] for event in call.statuses]
    assert numbers == sorted(numbers)
    eventually(lambda: call.printed(example) == sent)
    restart(SIGNING_KEYS=f"{second},{first}")
    call.publish(call.events[half:])
    eventually(lambda: call.printed(example) == expected)
    # The gateway publishes all of it once more, as after an answer that it lost: nothing comes twice.
    call.publish(call.events)
    assert call.printed(example) == expected
    assert example.output.count(" calls\n") == 1
    assert "Traceback" not in example.output


@pytest.mark.slow
def test_a_stolen_key_is_replaced_at_once(
    restart: Restart, make_key: MakeKey, make_example: MakeExample, api: HttpClient, data: Path
) -> None:
    """The consumer does not know the new key, asks again after half a minute, and gets what it refused."""
    restart(SIGNING_KEYS=make_key("stolen"))
    example = make_example("consumer-fastapi")
    example.start()
    call = Call("answered", api, data)
    call.subscribe(example.sink)
    call.publish(call.events[:1])
    eventually(lambda: " calls\n" in example.output)
    restart(SIGNING_KEYS=make_key("fresh"))
    call.publish(call.events[1:])
    expected = call.lines(call.events)
    eventually(lambda: call.printed(example) == expected, 120)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("consumer-flask", marks=pytest.mark.slow),
        "consumer-fastapi",
        pytest.param("consumer-django", marks=pytest.mark.slow),
    ],
)
def test_a_consumer_agrees_before_anything_is_sent(
    name: str, restart: Restart, make_key: MakeKey, make_example: MakeExample, api: HttpClient, data: Path
) -> None:
    restart(SIGNING_KEYS=make_key("signing"), SINK_VALIDATION="on")
    example = make_example(name)
    example.start()
    call = Call("cancelled", api, data)
    call.subscribe(example.sink)
    eventually(call.all_active)
    call.publish(call.events)
    expected = call.lines(call.events)
    eventually(lambda: call.printed(example) == expected)


def test_a_consumer_does_not_take_what_nobody_signed(
    restart: Restart, make_key: MakeKey, make_example: MakeExample, api: HttpClient, data: Path
) -> None:
    restart()
    example = make_example("consumer-flask")
    example.start()
    call = Call("cancelled", api, data)
    call.subscribe(example.sink)
    call.publish(call.events)
    signing = make_key("signing")
    restart(SIGNING_KEYS=signing)
    later = Call("cancelled", api, data)
    later.subscribe(example.sink)
    later.publish(later.events)
    expected = later.lines(later.events)
    eventually(lambda: later.printed(example) == expected)
    assert call.printed(example) == []
