"""A body becomes a typed value, or is refused for a reason that can be told."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webrtc_events_client.consumer import ReceiveError, parse_notification
from webrtc_events_client.consumer.errors import InvalidNotification
from webrtc_events_client.types import (
    CircleCoordinates,
    ContractVersion,
    EllipsoidCoordinates,
    EventKind,
    EventType,
    LocationMethod,
    LocationShape,
    RegistrationEnds,
    RegistrationTerminationReason,
    SessionInvitation,
    SessionState,
    SessionStatus,
    SubscriptionEnded,
    TerminationReason,
    UnknownNotification,
)

PREFIX = "org.camaraproject.webrtc-events.v0."
DEVICES = "org.camaraproject.webrtc-events-subscriptions.v0."
Make = Callable[..., dict[str, Any]]


def parsed(event: Any) -> Any:
    return parse_notification(json.dumps(event).encode())


def refused(body: bytes) -> str:
    with pytest.raises(InvalidNotification) as caught:
        parse_notification(body)
    assert caught.value.status == 400
    return str(caught.value)


def test_a_status_in_the_form_of_the_contract_and_in_the_strict_form(make_event: Make) -> None:
    strict = make_event()
    contract = strict | {"mediaSessionId": "m-1", "status": "Ringing"}
    for event in (strict, contract):
        notification = parsed(event)
        assert isinstance(notification, SessionStatus)
        assert notification.session.media_session_id == "m-1"
        assert notification.session.status is SessionState.RINGING
        assert notification.session.sequence_number == 1
        assert notification.time == datetime(2027, 1, 15, 8, tzinfo=UTC)
        assert notification.raw == event
    bare = {name: value for name, value in contract.items() if name != "data"}
    assert parsed(bare).session.status == "Ringing"


def test_an_invitation(make_event: Make) -> None:
    data = {
        "originatorAddress": "tel:+12025550100",
        "receiverAddress": "sip:bob@ims.example.com",
        "status": "Initial",
        "offer": {"sdp": "v=0\r\n"},
        "offerRequired": False,
    }
    notification = parsed(make_event(type=PREFIX + "session-invitation", data=data))
    assert isinstance(notification, SessionInvitation)
    assert notification.session.originator_address == "tel:+12025550100"
    assert notification.session.offer == "v=0\r\n"
    assert notification.session.offer_required is False
    assert "v=0" not in repr(notification)


def test_the_two_ends(make_event: Make) -> None:
    event = make_event(type=PREFIX + "registration-ends")
    event["data"] = {"registrationId": "r-1", "terminationReason": "REGISTRATION_EXPIRED"}
    ended = parsed(event)
    assert isinstance(ended, RegistrationEnds)
    assert (ended.registration_id, ended.reason) == (
        "r-1",
        RegistrationTerminationReason.REGISTRATION_EXPIRED,
    )
    event = make_event(type=PREFIX + "subscription-ended")
    event["data"] = {"subscriptionId": "s-1", "terminationReason": "MAX_EVENTS_REACHED"}
    over = parsed(event)
    assert isinstance(over, SubscriptionEnded)
    assert (over.subscription_id, over.reason) == ("s-1", TerminationReason.MAX_EVENTS_REACHED)
    del event["data"]
    assert parsed(event).reason is None


SESSION = {
    "originatorAddress": "tel:+12025550100",
    "receiverAddress": "tel:+12025550101",
    "registrationId": "r-1",
    "terminationReason": "NETWORK_TERMINATED",
}
CIRCLE = {"latitude": 47.6062, "longitude": -122.3321, "radius": 35}
ELLIPSOID = {
    "latitude": 47.6,
    "longitude": -122.3,
    "zAxis": 40,
    "semiMajorAxis": 7.7,
    "semiMinorAxis": 3.3,
    "verticalAxis": 28.7,
    "orientation": 90,
}


@pytest.mark.parametrize("kind", EventKind)
def test_both_versions_become_the_same_values(make_event: Make, kind: EventKind) -> None:
    old, new = (parsed(make_event(type=prefix + kind, data=SESSION)) for prefix in (PREFIX, DEVICES))
    assert type(old) is type(new)
    assert (old.kind, old.version) == (kind, ContractVersion.V0_2)
    assert (new.kind, new.version) == (kind, ContractVersion.V0_3)
    assert kind.wire_type(ContractVersion.V0_2) == old.type == EventType(old.type)
    assert kind.wire_type(ContractVersion.V0_3) == new.type
    assert getattr(old, "session", None) == getattr(new, "session", None)


def test_where_a_caller_is(make_event: Make) -> None:
    def located(**details: Any) -> Any:
        return parsed(make_event(data={"locationDetails": details})).session.location_details

    location = located(
        shape="Circle",
        coordinates=CIRCLE,
        method="GPS",
        confidence={"pdf": "normal", "value": 92},
        timestamp="2024-11-05T05:35:12.254Z",
    )
    assert (location.shape, location.method) == (LocationShape.CIRCLE, LocationMethod.GPS)
    assert location.coordinates == CircleCoordinates(latitude=47.6062, longitude=-122.3321, radius=35.0)
    assert (location.confidence.pdf, location.confidence.value) == ("normal", 92.0)
    assert location.timestamp == datetime(2024, 11, 5, 5, 35, 12, 254000, tzinfo=UTC)
    ellipsoid = located(shape="Ellipsoid", coordinates=ELLIPSOID).coordinates
    assert isinstance(ellipsoid, EllipsoidCoordinates)
    assert (ellipsoid.z_axis, ellipsoid.semi_major_axis, ellipsoid.orientation) == (40.0, 7.7, 90.0)
    assert located().coordinates is None
    later = located(shape="Polygon", coordinates={"points": []}, method="Star")
    assert (later.shape, later.coordinates, later.method) == ("Polygon", None, "Star")
    assert located(coordinates=CIRCLE | {"radius": 10**400}).coordinates is None


def test_a_location_is_in_no_repr(make_event: Make) -> None:
    notification = parsed(make_event(data={"locationDetails": {"coordinates": CIRCLE}}))
    assert notification.session.location_details is not None
    text = repr(notification) + repr(notification.session) + repr(notification.session.location_details)
    assert "47.6" not in text


@pytest.mark.parametrize(
    "details",
    [
        "here",
        {"coordinates": []},
        {"shape": 1},
        {"method": {}},
        {"confidence": 92},
        {"confidence": {"value": "92"}},
        {"confidence": {"value": True}},
        {"timestamp": "yesterday"},
        {"timestamp": "2024-11-05T05:35:12"},
    ],
)
def test_a_location_of_the_wrong_types_is_refused(make_event: Make, details: Any) -> None:
    assert refused(json.dumps(make_event(data={"locationDetails": details})).encode())


def test_what_a_later_contract_adds_breaks_nothing(make_event: Make) -> None:
    unknown = parsed(make_event(type="org.camaraproject.webrtc-events.v1.session-moved", data={"to": "m-2"}))
    assert isinstance(unknown, UnknownNotification)
    assert unknown.data["to"] == "m-2"
    assert (unknown.kind, unknown.version) == (None, None)
    later = parsed(make_event(data={"status": "Transferred", "haptics": [1]}, traceparent="00-1"))
    assert later.session.status == "Transferred"
    assert later.raw["data"]["haptics"] == [1]


@pytest.mark.parametrize(
    "changes",
    [
        {"id": None},
        {"id": ""},
        {"id": 7},
        {"source": None},
        {"type": ["x"]},
        {"specversion": "0.3"},
        {"specversion": 1.0},
        {"time": "yesterday"},
        {"time": "2027-01-15T08:00:00"},
        {"data": {"mediaSessionId": 1}},
        {"data": {"status": None}},
        {"data": {"sequenceNumber": "2"}},
        {"data": {"sequenceNumber": True}},
        {"data": {"sequenceNumber": 1.5}},
        {"data": {"offer": "v=0"}},
        {"data": {"offer": {"sdp": 1}}},
        {"type": PREFIX + "session-invitation"},
        {"type": PREFIX + "registration-ends"},
        {"type": PREFIX + "subscription-ended", "data": {"subscriptionId": 1}},
    ],
)
def test_what_is_not_valid_is_refused(make_event: Make, changes: dict[str, Any]) -> None:
    assert refused(json.dumps(make_event(**changes)).encode())


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON"),
        (b"[]", "no object"),
        (b"null", "no object"),
        (b"\xff\xfe", "not UTF-8"),
        ("\ufeff{}".encode(), "not JSON"),
        ('{"id": 1}'.encode("utf-16"), "not UTF-8"),
        (b'{"id": "1", "id": "2"}', "repeated"),
        (b'{"data": {"a": {"b": 1, "b": 2}}}', "repeated"),
        (b'{"id": NaN}', "NaN"),
        (b'{"id": -Infinity}', "Infinity"),
        (b'{"id": "\\ud800"}', "surrogate"),
        (b'{"\\udfff": 1}', "surrogate"),
        (b"[" * 500_000, "deeply"),
        (b'{"a":' * 100_000, "deeply"),
        (b'{"id": ' + b"9" * 100_000 + b"}", "digits"),
        (b'{"id": "1"} {}', "not JSON"),
    ],
)
def test_json_that_may_be_read_in_two_ways_is_refused(body: bytes, reason: str) -> None:
    assert reason in refused(body)


def test_a_number_beyond_all_bounds_and_a_leap_second_are_taken(make_event: Make) -> None:
    assert parsed(make_event(data={"sequenceNumber": 10**30})).session.sequence_number == 10**30
    assert parsed(make_event(data={"sequenceNumber": 3.0})).session.sequence_number == 3
    assert parsed(make_event(time="2016-12-31t23:59:60.5z")).time.second == 59


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(body: bytes) -> None:
    with pytest.raises(ReceiveError):
        parse_notification(body)


words = st.text("ab☃", max_size=3)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)


@given(
    st.sampled_from(["session-invitation", "session-status", "registration-ends", "subscription-ended", "x"]),
    st.dictionaries(
        st.sampled_from(["mediaSessionId", "status", "sequenceNumber", "offer", "locationDetails", "reason"]),
        json_values,
    ),
)
def test_no_data_raises_anything_else(kind: str, data: dict[str, Any]) -> None:
    event = {
        "id": "1",
        "source": "/s",
        "specversion": "1.0",
        "type": PREFIX + kind,
        "time": "2027-01-15T08:00:00Z",
        "data": data,
    }
    try:
        parsed(event)
    except InvalidNotification as error:
        assert str(error)
