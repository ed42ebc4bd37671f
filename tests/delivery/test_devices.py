"""One call for subscriptions of both versions: each gets it in its own form, and in order."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.delivery.conftest import DispatcherDriver
from tests.delivery.test_calls import CALLS
from tests.harness.builders import created
from tests.harness.channels import BASE, new_channel, page_of
from tests.harness.sinks import Answer, Received, RecordingSink
from tests.store.devices import ALL_TYPES, DEVICE, HOME, created_for, listening_for, registered
from webrtc_events.contract.documents import load_network, load_public, load_subscriptions
from webrtc_events.core.clock import SystemClock, format_time
from webrtc_events.core.model import EventType, Status, Subscription, TerminationReason
from webrtc_events.services.events import Events
from webrtc_events.services.registrations import Registrations
from webrtc_events.store.store import Store

Make = Callable[..., DispatcherDriver]
INVITATION, STATUS, ENDS = ALL_TYPES
V0_2, V0_3 = (contract.validator("CloudEvent") for contract in (load_public(), load_subscriptions()))
PREFIX = "org.camaraproject.webrtc-events-subscriptions.v0."
LOCATION = {
    "shape": "Circle",
    "coordinates": {"latitude": 47.6, "longitude": -122.3, "radius": 35},
    "method": "GPS",
    "confidence": {"pdf": "normal", "value": 92},
    "timestamp": "2024-11-05T05:35:12.254Z",
}


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    return environ | {"WEBRTC_EVENTS_CHANNELS_URL": BASE}


@pytest.fixture
def gateway(store: Store) -> Events:
    return Events(store, load_network())


def recorded(calls: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (calls / f"{name}.ndjson").read_text().splitlines()]


def received(sink: RecordingSink, path: str) -> list[dict[str, Any]]:
    return [request.json for request in sink.requests if request.path == path]


def published(gateway: Events, *events: dict[str, Any]) -> list[int]:
    results = gateway.accept(list(events))
    assert {result["status"] for result in results} == {"accepted"}, results
    return [result["subscriptions"] for result in results]


def ended(store: Store, subscription: Subscription) -> None:
    store.subscriptions.end(
        subscription.id, TerminationReason.NETWORK_TERMINATED, Status.EXPIRED, drop_pending=False
    )


def status(value: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": value,
        "source": "/gateway",
        "specversion": "1.0",
        "type": STATUS.value,
        "time": "2024-11-05T05:40:23.682Z",
        "data": {"mediaSessionId": "m1", "status": value},
    } | changes


@pytest.mark.parametrize("name", CALLS)
def test_a_device_gets_the_whole_call_of_its_registration_in_one_order(
    name: str, store: Store, sink: RecordingSink, make_driver: Make, gateway: Events, calls: Path
) -> None:
    call = recorded(calls, name)
    registration = call[0]["subject"]
    registered(store, registration)
    device = created_for(store, sink=sink.url_of("/device"))
    assert published(gateway, *call) == [int(e.get("subject", registration) == registration) for e in call]
    make_driver().run()
    ended(store, device)
    make_driver().run()
    *events, last = received(sink, "/device")
    of_device = [event for event in call if event.get("subject", registration) == registration]
    assert [event["type"] for event in events] == [
        PREFIX + event["type"].rpartition(".")[2] for event in of_device
    ]
    for event, given in zip(events, of_device, strict=True):
        assert V0_3.first_fault(event) is None
        assert event["data"].pop("subscriptionId") == device.id
        assert {**event["data"], **given["data"]} == event["data"]
        assert event["time"] == given["time"]
    assert last["type"] == PREFIX + "subscription-ended"
    assert V0_3.first_fault(last) is None


def test_one_call_goes_to_both_versions_each_in_its_form(
    store: Store, sink: RecordingSink, make_driver: Make, gateway: Events, calls: Path
) -> None:
    call = copy.deepcopy(recorded(calls, "answered"))
    registration, session = call[0]["subject"], call[0]["data"]["mediaSessionId"]
    for event in call:
        if event["type"] != ENDS:
            event["data"]["locationDetails"] = LOCATION
    registered(store, registration)
    created_for(store, sink=sink.url_of("/device"))
    for event_type in ALL_TYPES:
        created(
            store,
            sink=sink.url_of(f"/{event_type.rpartition('.')[2]}"),
            registration=registration,
            event_type=event_type,
            session=session if event_type is STATUS else None,
        )
    of_registration = [event for event in call if event["subject"] == registration]
    assert published(gateway, *of_registration) == [2] * len(of_registration)
    make_driver().run()
    new = received(sink, "/device")
    old = [event for name in ("session-invitation", "session-status") for event in received(sink, f"/{name}")]
    assert len(new) == len(of_registration)
    for event in new:
        assert V0_3.first_fault(event) is None
        # Nothing of version 0.2's own place for them.
        assert not event.keys() & {"mediaSessionId", "status"}
    for event in old:
        assert V0_2.first_fault(event) is None
        assert "locationDetails" not in event["data"]
    for event in new:
        is_end = event["type"] == PREFIX + "registration-ends"
        assert event["data"].get("locationDetails") == (None if is_end else LOCATION)
    # The same events in the same order, whatever their types.
    kinds = [event["type"].rpartition(".")[2] for event in new]
    for name in ("session-invitation", "session-status"):
        shared = [event["data"] for event, kind in zip(new, kinds, strict=True) if kind == name]
        others = [event["data"] for event in received(sink, f"/{name}") if event["type"].endswith(name)]
        own = {"subscriptionId", "locationDetails"}
        assert [strip(data, own) for data in shared] == [strip(data, own) for data in others]


def strip(data: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name not in names}


def test_the_order_across_types_outlasts_a_sink_that_fails(
    store: Store, sink: RecordingSink, make_driver: Make, gateway: Events, calls: Path
) -> None:
    call = recorded(calls, "answered")
    registration = call[0]["subject"]
    registered(store, registration)
    created_for(store, sink=sink.url_of("/device"))

    def answer(_: Received) -> Answer:
        return Answer(503 if len(sink.requests) % 3 == 0 else 204)

    sink.answer = answer
    published(gateway, *call)
    make_driver().run(1000)
    taken = [request.json for number, request in enumerate(sink.requests, start=1) if number % 3]
    statuses = [event["data"].get("status") for event in taken]
    assert statuses == [event["data"].get("status") for event in call if event["subject"] == registration]
    numbers = [int(event["id"].rpartition(".")[2]) for event in taken]
    assert numbers == sorted(set(numbers))


# Outgoing calls


def test_the_progress_of_an_outgoing_call_reaches_the_callers_device_by_its_subject(
    store: Store, sink: RecordingSink, make_driver: Make, gateway: Events
) -> None:
    registered(store, "caller")
    registered(store, "called", "0b2d6e0c-5f2a-4f4e-8a4b-9d7c1f1f2a3b")
    created_for(store, sink=sink.url_of("/caller"))
    steps = ["Initial", "InProgress", "Ringing", "Connected", "Terminated"]
    assert published(gateway, *(status(step, subject="caller") for step in steps)) == [1] * 5
    make_driver().run()
    events = received(sink, "/caller")
    assert [event["data"]["status"] for event in events] == steps
    # The service counts them, as the gateway did not.
    assert [event["data"]["sequenceNumber"] for event in events] == [1, 2, 3, 4, 5]
    assert {event["type"] for event in events} == {PREFIX + "session-status"}


def test_an_event_that_names_nobody_says_why_nobody_gets_it(store: Store, gateway: Events) -> None:
    registered(store, "r1")
    created_for(store)
    (lost,) = gateway.accept([status("Initial")])
    assert (lost["status"], lost["subscriptions"]) == ("accepted", 0)
    assert "$.subject: is missing" in lost["message"]
    assert load_network().validator("PublishResult").first_fault({"results": [lost]}) is None
    # Repeated, it reaches nobody still, for the same reason.
    assert gateway.accept([status("Initial")]) == [lost]
    # With a subject it is known whom the session involves, and what has none follows it.
    assert published(gateway, status("InProgress", subject="r1"), status("Ringing")) == [1, 1]


def test_nothing_is_said_where_somebody_gets_it_or_a_registration_is_named(
    store: Store, gateway: Events
) -> None:
    created(store, event_type=STATUS, session="m1")
    for event in (status("Initial"), status("Ringing", subject="nobody's"), status("Held", subject="r1")):
        event["data"]["status"] = "Ringing"
        (result,) = gateway.accept([event])
        assert "message" not in result, event


# Ends


def test_an_end_of_a_registration_ends_no_subscription_to_its_device(
    store: Store, sink: RecordingSink, make_driver: Make, gateway: Events, calls: Path
) -> None:
    call = recorded(calls, "registration-expired")
    registration = call[0]["subject"]
    registered(store, registration)
    device = created_for(store, sink=sink.url_of("/device"))
    published(gateway, *call)
    registered(store, "again")
    published(gateway, status("Connected", subject="again"))
    make_driver().run()
    events = received(sink, "/device")
    (end,) = [event for event in events if event["type"] == PREFIX + "registration-ends"]
    assert end["data"]["registrationId"] == registration
    assert events[-1]["data"]["status"] == "Connected"
    found = store.subscriptions.get(device.id)
    assert found is not None
    assert found.status is Status.ACTIVE


def test_time_ends_a_registration_and_its_device_hears_it(
    store: Store, store_at: Callable[..., Store], sink: RecordingSink, make_driver: Make
) -> None:
    moment = format_time(round((SystemClock().now() + 60) * 1000))
    Registrations(store).put("r1", {"deviceId": DEVICE.upper(), "owner": "app", "expiresAt": moment})
    created_for(store, sink=sink.url_of("/device"))
    later = store_at(61)
    later.expiry.sweep()
    make_driver(later).run()
    (event,) = received(sink, "/device")
    assert V0_3.first_fault(event) is None
    assert event["type"] == PREFIX + "registration-ends"
    assert event["data"]["terminationReason"] == "REGISTRATION_EXPIRED"
    assert event["time"] == moment


def test_the_maximum_counts_events_of_all_types_and_the_end_is_last(
    store: Store, sink: RecordingSink, make_driver: Make, gateway: Events, calls: Path
) -> None:
    call = recorded(calls, "answered")
    registered(store, call[0]["subject"])
    created_for(store, sink=sink.url_of("/device"), max_events=3)
    published(gateway, *call)
    make_driver().run()
    *events, last = received(sink, "/device")
    assert len(events) == 3
    assert last["type"] == PREFIX + "subscription-ended"
    assert last["data"]["terminationReason"] == "MAX_EVENTS_REACHED"


# The handshake


def test_a_sink_of_a_device_is_asked_before_it_gets_anything(
    store: Store, sink: RecordingSink, make_driver: Make, gateway: Events
) -> None:
    registered(store)
    device = created_for(store, sink=sink.url_of("/device"), origin="here.example")
    sink.answer = lambda _: Answer(204, headers=(("WebHook-Allowed-Origin", "here.example"),))
    # It does not agree yet, so it hears of nothing.
    assert published(gateway, status("Initial", subject="r1")) == [0]
    make_driver().run()
    assert published(gateway, status("Ringing", subject="r1")) == [1]
    make_driver().run()
    assert [request.method for request in sink.requests] == ["OPTIONS", "POST"]
    event = sink.requests[1].json
    assert (event["type"], event["data"]["status"]) == (PREFIX + "session-status", "Ringing")
    found = store.subscriptions.get(device.id)
    assert found is not None
    assert found.status is Status.ACTIVE


# Channels


def test_a_channel_holds_events_in_the_form_of_their_version(
    store: Store, make_driver: Make, gateway: Events, calls: Path
) -> None:
    call = recorded(calls, "answered")
    registered(store, call[0]["subject"])
    channel = new_channel(store)
    device = listening_for(store, channel)
    published(gateway, *call)
    ended(store, device)
    make_driver().run()
    events = page_of(store, channel, HOME).events
    assert {event.type for event in events} == {
        PREFIX + event_type.rpartition(".")[2] for event_type in EventType
    }
    for event in events:
        held = json.loads(event.body)
        assert held["type"] == event.type
        assert V0_3.first_fault(held) is None
    assert events[-1].type == PREFIX + "subscription-ended"


def test_every_type_has_a_name_in_the_version() -> None:
    mapping = load_subscriptions().document["components"]["schemas"]["CloudEvent"]["discriminator"]["mapping"]
    assert set(mapping) == {PREFIX + event_type.rpartition(".")[2] for event_type in EventType}
