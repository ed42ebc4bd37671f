"""The CloudEvent of an outbox entry, in both forms, and which form a subscriber gets."""

import json
from typing import Any

import pytest

from tests.delivery.claims import item_of
from tests.harness.builders import settings_without_store
from webrtc_events.core.model import ContractVersion, EventType, OutboxKind, TerminationReason
from webrtc_events.delivery.cloud_event import EventFormats, build_event

TIME = "2026-03-10T09:00:00.000Z"
SETTINGS = settings_without_store(WEBRTC_EVENTS_STRICT_CLOUDEVENTS="strict-client")
FORMATS = EventFormats.of(SETTINGS)
MOVED = ("mediaSessionId", "status")


def payload(event_type: EventType, **data: Any) -> str:
    return json.dumps({"type": event_type.value, "time": TIME, "data": data})


def event_of(strict: bool = False, **values: Any) -> dict[str, Any]:
    status = payload(EventType.SESSION_STATUS, mediaSessionId="m1", status="Ringing", sequenceNumber=7)
    values = {"payload": status} | values
    return build_event(item_of(**values), "s-1", source="https://events.example", strict=strict)


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
    assert formats.get("v0.2", "app") is formats.by_contract["v0.2"]
    assert formats.get("v0.2", "strict-client") is formats.strict
    for client in ("app", "strict-client"):
        assert formats.get("next", client) is formats.by_contract["next"]
        assert formats.get("v9", client) is None


def test_the_form_that_is_built_is_the_one_that_is_valid() -> None:
    """In the form of the contract as published, a session-status lacks what it must have if it is strict."""
    formats = EventFormats.of(SETTINGS)
    published, strict, following = formats.by_contract["v0.2"], formats.strict, formats.by_contract["next"]
    assert [found.strict for found in (published, strict, following)] == [False, True, True]
    for found in (published, strict, following):
        assert found.validator.first_fault(event_of(found.strict)) is None
    assert published.validator.first_fault(event_of(strict=True)) is not None
