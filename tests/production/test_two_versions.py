"""One store and one call, heard under both contracts at once: 0.2 by its registration, 0.3 by its device.

gunicorn with two processes, a worker, and a TLS sink that now and then has no time: each subscription gets
all that it asked for, once, in order, in the form of its own contract.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.harness import device_subscriptions as v0_3
from tests.harness.issuer import Issuer
from tests.harness.sinks import Answer, Received, RecordingSink
from tests.harness.valkeys import CLOCK, ValkeyServer, eventually
from tests.production.service import Service, processes
from webrtc_events.contract.documents import load_public, load_subscriptions
from webrtc_events.local.recordings import load_recording

V0_2 = "/webrtc-events/v0.2/subscriptions"
PREFIX = "org.camaraproject.webrtc-events.v0."
SCOPES = " ".join(
    [f"webrtc-events:{PREFIX}{kind}:create" for kind in v0_3.KINDS]
    + [f"webrtc-events:{what}" for what in ("read", "delete", "network")]
)
DEVICE = "7d444840-9dc0-11d1-b245-5ffdce74fad2"
PLACE = {"shape": "Circle", "coordinates": {"latitude": 50.7, "longitude": 7.1, "radius": 30.0}}
# What 0.2 has beside the attributes of a CloudEvent.
MOVED = {"mediaSessionId", "status"}


@pytest.fixture
def sink() -> Iterator[RecordingSink]:
    """Has no time for every fourth request."""
    with RecordingSink() as sink:
        sink.answer = lambda _: Answer(503 if len(sink.requests) % 4 == 0 else 204)
        yield sink


@pytest.fixture
def service(tmp_path: Path, issuer: Issuer, sink: RecordingSink) -> Iterator[Service]:
    store = ValkeyServer(tmp_path / "store")
    with store:
        made = Service(tmp_path, issuer, store.url, sink, NEXT="true", SESSION_LINGER_S="1")
        scopes = f"{SCOPES} {v0_3.SCOPES}"
        made.headers = {"Authorization": f"Bearer {issuer.token(CLOCK.now(), scope=scopes)}"}
        made.start()
        yield made
        made.stop()


@pytest.fixture
def call() -> list[dict[str, Any]]:
    """A recorded call of all three types; the caller's network says where it comes from."""
    call = load_recording("answered")
    call[0]["data"]["locationDetails"] = PLACE
    return call


def asked(service: Service, method: str, path: str, **body: Any) -> Any:
    answer = requests.request(method, service.url + path, headers=service.headers, timeout=20, **body)
    assert answer.ok, f"{answer.status_code} {answer.text}"
    return answer.json() if answer.content else None


def subscribed(service: Service, sink: RecordingSink, call: list[dict[str, Any]]) -> dict[str, str]:
    """The path of each subscription's sink: all that 0.2 and 0.3 have of the call."""
    (registration,) = {event["subject"] for event in call}
    (session,) = {event["data"].get("mediaSessionId") for event in call} - {None}
    made = {}
    for kind in v0_3.KINDS:
        detail = {"registrationId": registration} | ({"sessionId": session} if "status" in kind else {})
        request = {
            "protocol": "HTTP",
            "sink": sink.url_of(f"/0.2/{kind}"),
            "types": [PREFIX + kind],
            "config": {"subscriptionDetail": detail},
        }
        made[f"/0.2/{kind}"] = asked(service, "POST", V0_2, json=request)["id"]
    request = v0_3.request_for(DEVICE, sink.url_of("/0.3"))
    made["/0.3"] = asked(service, "POST", v0_3.SUBSCRIPTIONS, json=request)["id"]
    return made


def taken(sink: RecordingSink, path: str) -> list[Any]:
    """What came to it, without repeats, which are under the same id."""
    events: dict[str, Any] = {}
    for request in sink.requests:
        if request.path == path:
            events.setdefault(request.json["id"], request.json)
    return list(events.values())


def happening(event: dict[str, Any], prefix: str) -> tuple[str, Any]:
    """Kind and data of an event, as the gateway knows it."""
    data = {name: value for name, value in event["data"].items() if name != "subscriptionId"}
    return event["type"].removeprefix(prefix), data


def test_one_call_reaches_a_subscription_of_each_version_in_order_and_in_its_own_form(
    service: Service, sink: RecordingSink, call: list[dict[str, Any]]
) -> None:
    (registration,) = {event["subject"] for event in call}
    owner = {"deviceId": DEVICE, "owner": "app"}
    asked(service, "PUT", f"/network/v0/registrations/{registration}", json=owner)
    made = subscribed(service, sink, call)

    for event in call:
        headers = service.headers | {"Content-Type": "application/cloudevents+json"}
        answer = requests.post(
            f"{service.url}/network/v0/events", data=json.dumps(event), headers=headers, timeout=20
        )
        assert answer.json()["results"][0]["subscriptions"] == 2, answer.text

    # The end of the registration ends those of 0.2, and not that of the device.
    eventually(lambda: len(taken(sink, "/0.3")) >= len(call), "0.3 has the whole call", 30)
    for kind in v0_3.KINDS:
        wanted = sum(event["type"].endswith(kind) for event in call) + 1
        eventually(lambda: len(taken(sink, f"/0.2/{kind}")) >= wanted, f"0.2 has its {kind}", 30)  # noqa: B023

    published = [happening(event, PREFIX) for event in call]
    assert [happening(event, v0_3.PREFIX) for event in taken(sink, "/0.3")] == published
    for kind in v0_3.KINDS:
        *events, end = taken(sink, f"/0.2/{kind}")
        plain = [(known, without_place(data)) for known, data in published if known == kind]
        assert [happening(event, PREFIX) for event in events] == plain
        assert end["type"] == f"{PREFIX}subscription-ended"
        assert end["data"]["terminationReason"] == "NETWORK_TERMINATED"

    check_forms(sink.requests, made)
    assert asked(service, "GET", f"{v0_3.SUBSCRIPTIONS}/{made['/0.3']}")["status"] == "ACTIVE"
    assert [found["id"] for found in asked(service, "GET", v0_3.SUBSCRIPTIONS)] == [made["/0.3"]]


def without_place(data: Any) -> Any:
    return {name: value for name, value in data.items() if name != "locationDetails"}


def check_forms(received: list[Received], made: dict[str, str]) -> None:
    """Each is valid by its own contract, and by that alone; its subscription is the one that was made."""
    validators = {
        "0.2": load_public().validator("CloudEvent"),
        "0.3": load_subscriptions().validator("CloudEvent"),
    }
    for request in received:
        version = request.path.split("/")[1]
        other = "0.2" if version == "0.3" else "0.3"
        event = request.json
        assert validators[version].first_fault(event) is None
        assert validators[other].first_fault(event) is not None
        assert event["data"]["subscriptionId"] == made[request.path]
        in_old_form = version == "0.2" and event["type"] == f"{PREFIX}session-status"
        assert (event.keys() >= MOVED) == in_old_form
        assert not (MOVED & event.keys()) or in_old_form
        if version == "0.2":
            assert "locationDetails" not in event["data"]


def test_what_was_made_under_0_3_goes_on_when_that_is_switched_off(
    service: Service, sink: RecordingSink, call: list[dict[str, Any]], tmp_path: Path
) -> None:
    """It gets its events and can be ended by the operator; its client reaches it no more."""
    (registration,) = {event["subject"] for event in call}
    owner = {"deviceId": DEVICE, "owner": "app"}
    asked(service, "PUT", f"/network/v0/registrations/{registration}", json=owner)
    request = v0_3.request_for(DEVICE, sink.url_of("/0.3"))
    made = asked(service, "POST", v0_3.SUBSCRIPTIONS, json=request)["id"]
    service.stop()
    environ = service.environ | {"WEBRTC_EVENTS_NEXT": "false"}
    service.api, service.worker = processes(tmp_path, environ, service.url, api_processes=2)
    service.start()
    answer = requests.get(f"{service.url}{v0_3.SUBSCRIPTIONS}/{made}", headers=service.headers, timeout=20)
    assert answer.status_code == 404
    headers = {"Content-Type": "application/cloudevents-batch+json"}
    answer = requests.post(
        f"{service.url}/network/v0/events", json=call, headers=service.headers | headers, timeout=20
    )
    assert {result["subscriptions"] for result in answer.json()["results"]} == {1}
    asked(service, "DELETE", f"/network/v0/subscriptions/{made}")
    eventually(lambda: len(taken(sink, "/0.3")) == len(call) + 1, "0.3 has the whole call, and its end", 30)
    *events, end = taken(sink, "/0.3")
    assert [happening(event, v0_3.PREFIX) for event in events] == [happening(event, PREFIX) for event in call]
    assert end["type"] == f"{v0_3.PREFIX}subscription-ended"
