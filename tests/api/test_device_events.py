"""What gateways publish for subscriptions to devices: where a party is, and whom a call reaches."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.api.conftest import (
    DEVICE,
    KINDS,
    NETWORK,
    NEXT,
    PREFIX,
    PUBLIC,
    Api,
    assert_error,
    device_request,
    invitation,
    subscription_request,
)

EVENTS = f"{NETWORK}/events"
CIRCLE = {"shape": "Circle", "coordinates": {"latitude": 47.6, "longitude": -122.3, "radius": 35}}


@pytest.fixture
def both(api_with: Callable[..., Api]) -> Api:
    """A server of its own for each test: the store is emptied between them."""
    return api_with(next=True)


def publish(api: Api, *events: dict[str, Any]) -> list[dict[str, Any]]:
    response = api("POST", EVENTS, json=list(events))
    assert response.status_code == 202, response.text
    results: list[dict[str, Any]] = response.json()["results"]
    return results


def located(number: int, location: Any) -> dict[str, Any]:
    event = invitation(number)
    return event | {"data": event["data"] | {"locationDetails": location}}


def status(number: int, value: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"s{number}",
        "source": "/gateway",
        "specversion": "1.0",
        "type": PREFIX + "session-status",
        "time": "2024-11-05T05:40:24.682Z",
        "data": {"mediaSessionId": "m1", "status": value},
    } | changes


def registered(api: Api, name: str = "r1", owner: str = "app") -> None:
    body = {"deviceId": DEVICE.upper(), "owner": owner}
    assert api("PUT", f"{NETWORK}/registrations/{name}", json=body).status_code == 201


def test_a_call_is_counted_for_the_subscriptions_of_both_versions(both: Api) -> None:
    assert both("POST", f"{PUBLIC}/subscriptions", json=subscription_request()).status_code == 201
    assert both("POST", f"{NEXT}/subscriptions", json=device_request(*KINDS)).status_code == 201
    # Whose it is nobody knows yet, so it has no device.
    assert [found["subscriptions"] for found in publish(both, invitation(1))] == [1]
    registered(both)
    results = publish(both, located(2, CIRCLE), status(3, "Ringing", subject="r1"), status(4, "Connected"))
    assert [found["subscriptions"] for found in results] == [2, 1, 1]
    # A repeat changes nothing.
    assert {found["status"] for found in publish(both, located(2, CIRCLE))} == {"duplicate"}


def test_a_location_that_is_not_the_shape_that_it_says_is_refused_with_its_place(both: Api) -> None:
    called_circle = CIRCLE | {"coordinates": {"latitude": 47.6, "longitude": -122.3, "zAxis": 3}}
    message = assert_error(both("POST", EVENTS, json=located(1, called_circle)), 400, "INVALID_ARGUMENT")
    assert '$.data.locationDetails.coordinates: "radius" is missing' in message
    assert '$.data.locationDetails.coordinates: "zAxis" is not known here' in message
    # Nothing of where somebody is is repeated.
    assert "47.6" not in message
    bad, good = publish(both, located(2, called_circle), located(3, CIRCLE))
    assert (bad["status"], good["status"]) == ("rejected", "accepted")
    assert '"radius" is missing' in bad["message"]


@pytest.mark.parametrize("location", [None, "here", [], 7, {}, {"shape": "Circle"}])
def test_a_location_is_an_object_with_a_shape_and_coordinates(both: Api, location: Any) -> None:
    message = assert_error(both("POST", EVENTS, json=located(1, location)), 400, "INVALID_ARGUMENT")
    assert "$.data.locationDetails" in message


def test_an_outgoing_call_reaches_a_device_by_its_subject_alone(both: Api) -> None:
    registered(both)
    assert both("POST", f"{NEXT}/subscriptions", json=device_request("session-status")).status_code == 201
    (lost,) = publish(both, status(1, "Initial"))
    assert (lost["status"], lost["subscriptions"]) == ("accepted", 0)
    assert lost["message"].startswith("$.subject: is missing")
    single = both("POST", EVENTS, json=status(2, "InProgress")).json()["results"][0]
    assert single["message"] == lost["message"]
    (told,) = publish(both, status(3, "Ringing", subject="r1"))
    assert told == {"id": "s3", "status": "accepted", "subscriptions": 1}


def test_events_of_a_registration_of_another_client_reach_nobody(both: Api) -> None:
    registered(both, owner="other")
    assert both("POST", f"{NEXT}/subscriptions", json=device_request(*KINDS)).status_code == 201
    (result,) = publish(both, invitation(1))
    assert result == {"id": "e1", "status": "accepted", "subscriptions": 0}
