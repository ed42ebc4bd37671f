"""The CloudEvent of an outbox entry, in both forms, and which form a subscriber gets."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.contract.test_network_contract import SESSION
from tests.delivery.claims import item_of
from tests.harness.builders import settings_without_store
from webrtc_events.contract.documents import load_network, load_subscriptions
from webrtc_events.contract.faults import Fault
from webrtc_events.core.model import ContractVersion, EventType, OutboxKind, TerminationReason
from webrtc_events.delivery.cloud_event import EventFormat, EventFormats, build_event

TIME = "2026-03-10T09:00:00.000Z"
SETTINGS = settings_without_store(WEBRTC_EVENTS_STRICT_CLOUDEVENTS="strict-client")
FORMATS = EventFormats.of(SETTINGS)
MOVED = ("mediaSessionId", "status")


def payload(event_type: EventType, **data: Any) -> str:
    return json.dumps({"type": event_type.value, "time": TIME, "data": data})


STATUS = payload(EventType.SESSION_STATUS, mediaSessionId="m1", status="Ringing", sequenceNumber=7)


def event_of(strict: bool = False, **values: Any) -> dict[str, Any]:
    event_format = FORMATS.strict if strict else FORMATS.by_contract[ContractVersion.V0_2]
    return in_format(event_format, **values)


def checked(event_format: EventFormat, event: dict[str, Any]) -> tuple[dict[str, Any], Fault | None]:
    """The event as it is sent, and what is wrong with it."""
    fault = event_format.validator.first_fault(event)
    return (event, None) if fault is None else event_format.mended(event, fault)


def in_format(event_format: EventFormat, **values: Any) -> dict[str, Any]:
    values = {"payload": STATUS} | values
    return build_event(item_of(**values), "s-1", event_format, source="https://events.example")


def test_a_strict_event_has_its_data_in_data_alone() -> None:
    assert event_of(strict=True) == {
        "id": "s-1.1",
        "source": "https://events.example",
        "specversion": "1.0",
        "type": EventType.SESSION_STATUS,
        "time": TIME,
        "datacontenttype": "application/json",
        "data": {"mediaSessionId": "m1", "status": "Ringing", "sequenceNumber": 7, "subscriptionId": "s-1"},
    }


def test_else_a_session_status_has_two_members_on_the_event_too() -> None:
    assert event_of() == event_of(strict=True) | {"mediaSessionId": "m1", "status": "Ringing"}
    lacking = payload(EventType.SESSION_STATUS, status="Ringing")
    assert {name: event_of(payload=lacking).get(name) for name in MOVED} == {
        "mediaSessionId": None,
        "status": "Ringing",
    }


def test_no_other_event_has_them() -> None:
    text = payload(EventType.SESSION_INVITATION, mediaSessionId="m1", status="Initial")
    assert event_of(payload=text) == event_of(strict=True, payload=text)
    assert not event_of(payload=text).keys() & set(MOVED)


def test_a_counted_number_takes_the_place_of_the_gateways() -> None:
    assert event_of(sequence=9)["data"]["sequenceNumber"] == 9
    without = payload(EventType.SESSION_STATUS, mediaSessionId="m1", status="Ringing")
    assert "sequenceNumber" not in event_of(payload=without)["data"]


def test_a_redelivered_event_keeps_its_id() -> None:
    assert event_of(number=12)["id"] == "s-1.12"
    assert event_of(number=12, first_number=4)["id"] == "s-1.4"


ENDED = {
    "MAX_EVENTS_REACHED": "The maximum number of events was reached.",
    "NETWORK_TERMINATED": "The network ended the subscription.",
    "SUBSCRIPTION_EXPIRED": "The subscription's time is over.",
    "ACCESS_TOKEN_EXPIRED": "The sink's access token has expired.",
    "SUBSCRIPTION_DELETED": "The subscription was deleted by its owner.",
}


@pytest.mark.parametrize("reason", TerminationReason)
@pytest.mark.parametrize("strict", [False, True])
def test_an_end_says_why_and_since_when(reason: TerminationReason, strict: bool) -> None:
    event = event_of(strict, kind=OutboxKind.END, payload=reason.value, accepted_ms=1_773_133_200_500)
    assert event["type"] == EventType.SUBSCRIPTION_ENDED
    assert event["time"] == "2026-03-10T09:00:00.500Z"
    assert event["data"] == {
        "terminationReason": reason.value,
        "terminationDescription": ENDED[reason],
        "subscriptionId": "s-1",
    }
    assert FORMATS.by_contract[ContractVersion.V0_2].validator.first_fault(event) is None


def test_each_version_and_client_gets_its_form() -> None:
    formats = EventFormats.of(SETTINGS)
    assert formats.by_contract.keys() == set(ContractVersion)
    assert formats.get("v0.2", "app") is formats.by_contract["v0.2"]
    assert formats.get("v0.2", "strict-client") is formats.strict
    for client in ("app", "strict-client"):
        assert formats.get("v0.3", client) is formats.by_contract["v0.3"]
        # Records of releases before: version 0.2, strictly.
        assert formats.get("next", client) is formats.strict
        assert formats.get("v9", client) is None


def test_the_form_that_is_built_is_the_one_that_is_valid() -> None:
    """In the form of the contract as published, a session-status lacks what it must have if it is strict."""
    formats = EventFormats.of(SETTINGS)
    published, strict, following = formats.by_contract["v0.2"], formats.strict, formats.by_contract["v0.3"]
    for found in (published, strict, following):
        built = in_format(found)
        assert checked(found, built) == (built, None)
    assert published.validator.first_fault(in_format(strict)) is not None
    for former in (published, strict):
        assert following.validator.first_fault(in_format(former)) is not None
        assert former.validator.first_fault(in_format(following)) is not None


# Version 0.3

V0_3 = FORMATS.by_contract[ContractVersion.V0_3]
PREFIX = "org.camaraproject.webrtc-events-subscriptions.v0."
PARTIES = {"originatorAddress": "tel:+12025550100", "receiverAddress": "tel:+12025550101"}
CIRCLE = {"shape": "Circle", "coordinates": {"latitude": 47.6, "longitude": -122.3, "radius": 35}}
DATA: dict[EventType, dict[str, Any]] = {
    EventType.SESSION_INVITATION: {"mediaSessionId": "m1", "status": "Initial", **PARTIES},
    EventType.SESSION_STATUS: {"mediaSessionId": "m1", "status": "Ringing", "sequenceNumber": 2},
    EventType.REGISTRATION_ENDS: {"registrationId": "r1", "terminationReason": "REGISTRATION_EXPIRED"},
}


@pytest.mark.parametrize("event_type", DATA)
def test_a_version_has_its_own_names_and_its_data_in_data_alone(event_type: EventType) -> None:
    event = in_format(V0_3, payload=payload(event_type, **DATA[event_type]), sequence=4)
    assert checked(V0_3, event) == (event, None)
    assert event == {
        "id": "s-1.1",
        "source": "https://events.example",
        "specversion": "1.0",
        "type": PREFIX + event_type.rpartition(".")[2],
        "time": TIME,
        "datacontenttype": "application/json",
        "data": {**DATA[event_type], "subscriptionId": "s-1", "sequenceNumber": 4},
    }


@pytest.mark.parametrize("reason", TerminationReason)
def test_an_end_is_called_by_its_version_too(reason: TerminationReason) -> None:
    event = in_format(V0_3, kind=OutboxKind.END, payload=reason.value)
    assert event["type"] == PREFIX + "subscription-ended"
    assert event["data"]["terminationReason"] == reason
    assert checked(V0_3, event) == (event, None)


@pytest.mark.parametrize("event_type", [EventType.SESSION_INVITATION, EventType.SESSION_STATUS])
def test_a_location_goes_to_subscribers_of_the_version_that_has_it_alone(event_type: EventType) -> None:
    text = payload(event_type, **DATA[event_type], locationDetails=CIRCLE)
    with_location = in_format(V0_3, payload=text)
    assert with_location["data"]["locationDetails"] == CIRCLE
    assert checked(V0_3, with_location)[1] is None
    without = payload(event_type, **DATA[event_type])
    for event_format in (FORMATS.by_contract["v0.2"], FORMATS.strict):
        assert in_format(event_format, payload=text) == in_format(event_format, payload=without)


def test_what_is_too_long_for_the_version_is_cut_and_the_event_goes_out() -> None:
    schemas = load_subscriptions().document["components"]["schemas"]
    bounds = {
        "originatorName": schemas["MediaSession"]["properties"]["originatorName"]["maxLength"],
        "receiverName": schemas["MediaSession"]["properties"]["receiverName"]["maxLength"],
        "reason": schemas["MediaSession"]["properties"]["reason"]["maxLength"],
    }
    long = {name: "\U0001f600" * (length + 1) for name, length in bounds.items()}
    data = {**DATA[EventType.SESSION_INVITATION], **long, "sequenceNumber": 0}
    built = in_format(V0_3, payload=payload(EventType.SESSION_INVITATION, **data))
    event, fault = checked(V0_3, built)
    assert fault is None
    assert {name: len(event["data"][name]) for name in bounds} == bounds
    assert "sequenceNumber" not in event["data"]
    assert event["data"]["mediaSessionId"] == "m1"

    length = schemas["RegistrationEnds"]["properties"]["terminationDescription"]["maxLength"]
    data = {**DATA[EventType.REGISTRATION_ENDS], "terminationDescription": "." * (length + 1)}
    event, fault = checked(V0_3, in_format(V0_3, payload=payload(EventType.REGISTRATION_ENDS, **data)))
    assert (len(event["data"]["terminationDescription"]), fault) == (length, None)


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ({"mediaSessionId": "m" * 257}, "$.data.mediaSessionId"),
        ({"offer": {"sdp": "v" * 65_537}}, "$.data.offer.sdp"),
        ({"sequenceNumber": "one"}, "$.data.sequenceNumber"),
        ({"reason": 7}, "$.data.reason"),
    ],
)
def test_what_cannot_be_cut_is_a_fault_of_the_event(data: dict[str, Any], path: str) -> None:
    text = payload(EventType.SESSION_STATUS, **(DATA[EventType.SESSION_STATUS] | data))
    _, fault = checked(V0_3, in_format(V0_3, payload=text))
    assert fault is not None
    assert fault.path == path


@pytest.mark.parametrize("event_format", [V0_3, FORMATS.strict])
@pytest.mark.parametrize("data", ["locationDetails", ["locationDetails"], 7, None])
def test_data_that_is_no_object_is_refused(event_format: EventFormat, data: Any) -> None:
    text = json.dumps({"type": EventType.SESSION_STATUS.value, "time": TIME, "data": data})
    with pytest.raises(TypeError):
        in_format(event_format, payload=text)


# Whatever gateways may say

METRES, DEGREES = st.integers(-1, 100) | st.floats(-1, 1e9), st.integers(-400, 400) | st.floats(-400, 400)
MEMBERS = {
    "latitude": DEGREES,
    "longitude": DEGREES,
    "radius": METRES,
    "zAxis": METRES,
    "semiMajorAxis": METRES,
    "semiMinorAxis": METRES,
    "verticalAxis": METRES,
    "orientation": DEGREES,
}
OF_A_CIRCLE = ("latitude", "longitude", "radius")
OF_AN_ELLIPSOID = tuple(name for name in MEMBERS if name != "radius")
LOCATIONS = st.fixed_dictionaries(
    {
        "shape": st.sampled_from(["Circle", "Ellipsoid", "Square"]),
        # Mostly whole, so that much of what is made is accepted.
        "coordinates": st.one_of(
            st.fixed_dictionaries({name: MEMBERS[name] for name in OF_A_CIRCLE}),
            st.fixed_dictionaries({name: MEMBERS[name] for name in OF_AN_ELLIPSOID}),
            st.fixed_dictionaries({}, optional=MEMBERS),
        ),
    },
    optional={
        "method": st.sampled_from(["GPS", "DBH_HELO", "Guess"]),
        "confidence": st.fixed_dictionaries(
            {}, optional={"pdf": st.sampled_from(["normal", "odd"]), "value": METRES}
        ),
        "timestamp": st.sampled_from([TIME, "2026-03-10T09:00:00." + "0" * 60 + "Z", "noon"]),
        "extra": st.text(),
    },
)
ACCEPTS = load_network().validator("NetworkEvent")
LONG = st.integers(200, 3000).map("é".__mul__)


@given(data=SESSION, location=st.none() | LOCATIONS, reason=st.none() | LONG, name=st.none() | LONG)
@example(data=DATA[EventType.SESSION_STATUS], location=CIRCLE, reason=None, name=None)
def test_what_is_accepted_of_a_gateway_goes_out_in_the_form_of_each_version(
    data: dict[str, Any], location: Any, reason: str | None, name: str | None
) -> None:
    more = {"locationDetails": location, "reason": reason, "originatorName": name}
    data = data | {member: value for member, value in more.items() if value is not None}
    event = {
        "id": "e1",
        "source": "/gateway",
        "specversion": "1.0",
        "type": EventType.SESSION_STATUS.value,
        "time": TIME,
        "data": data,
    }
    if not ACCEPTS.is_valid(event):
        return
    text = payload(EventType.SESSION_STATUS, **data)
    for event_format in (V0_3, FORMATS.by_contract["v0.2"], FORMATS.strict):
        sent, fault = checked(event_format, in_format(event_format, payload=text))
        assert fault is None
        expected = location if event_format is V0_3 else None
        assert sent["data"].get("locationDetails") == expected
