"""What a client is shown while its sink has not agreed yet."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.api.conftest import (
    KINDS,
    NETWORK,
    NEXT,
    PUBLIC,
    Api,
    assert_error,
    device_request,
    invitation,
    serving,
    subscription_request,
)
from tests.harness.issuer import Issuer
from webrtc_events.app import create_app
from webrtc_events.contract.documents import load_public, load_subscriptions
from webrtc_events.core.settings import Settings
from webrtc_events.store.store import Store

ORIGIN = "events.operator.example"


@pytest.fixture(scope="module")
def asking(http_settings: Settings, issuer: Issuer) -> Iterator[Api]:
    """Both versions of the contract, with sinks that have to agree; nobody asks them here."""
    settings = replace(http_settings, next=True, sink_validation=True, sink_validation_origin=ORIGIN)
    with serving(create_app(settings), issuer) as running:
        yield running


def made(api: Api, base: str = PUBLIC, **changes: Any) -> str:
    request = subscription_request if base == PUBLIC else device_request
    response = api("POST", f"{base}/subscriptions", json=request(**changes))
    assert response.status_code == 202, response.text
    return str(response.json()["id"])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("base", [PUBLIC, NEXT])
def test_create_is_accepted_and_tells_the_id_alone(asking: Api, base: str, kind: str) -> None:
    response = asking(
        "POST",
        f"{base}/subscriptions",
        json=subscription_request(kind) if base == PUBLIC else device_request(kind),
        headers={"x-correlator": "b4333c46-49c0-4f62-80d7-f0ef930f1c46"},
    )
    assert response.status_code == 202
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["x-correlator"] == "b4333c46-49c0-4f62-80d7-f0ef930f1c46"
    assert set(response.json()) == {"id"}
    contract = load_public() if base == PUBLIC else load_subscriptions()
    assert contract.validator("SubscriptionAsync").first_fault(response.json()) is None


@pytest.mark.parametrize("base", [PUBLIC, NEXT])
def test_it_can_be_read_listed_and_deleted_at_once(asking: Api, base: str) -> None:
    path = f"{base}/subscriptions/{made(asking, base)}"
    response = asking("GET", path)
    assert response.status_code == 200
    resource = response.json()
    assert resource["status"] == "ACTIVATION_REQUESTED"
    assert resource["startsAt"]
    contract = load_public() if base == PUBLIC else load_subscriptions()
    assert contract.validator("Subscription").first_fault(resource) is None
    assert resource in asking("GET", f"{base}/subscriptions").json()
    assert asking("DELETE", path).status_code == 204
    assert_error(asking("GET", path), 404, "NOT_FOUND")


def test_events_do_not_reach_it(asking: Api) -> None:
    made(asking, config={"subscriptionDetail": {"registrationId": "r-asking"}})
    headers = {"Content-Type": "application/cloudevents+json"}
    event = invitation(1, id="asking-1", subject="r-asking")
    response = asking("POST", f"{NETWORK}/events", json=event, headers=headers)
    assert response.status_code == 202
    assert response.json()["results"][0]["subscriptions"] == 0


def test_it_can_be_renewed(asking: Api) -> None:
    later = {"subscriptionExpireTime": "2098-01-01T00:00:00Z"}
    path = f"{NEXT}/subscriptions/{made(asking, NEXT)}"
    response = asking("PUT", path, json={"config": later})
    assert response.status_code == 200, response.text
    assert response.json()["status"] == "ACTIVATION_REQUESTED"
    assert response.json()["expiresAt"] == "2098-01-01T00:00:00.000Z"


def test_a_wrong_request_is_refused_before_the_sink_is_asked(asking: Api) -> None:
    response = asking("POST", f"{PUBLIC}/subscriptions", json=subscription_request(sink="https://10.0.0.1/x"))
    assert_error(response, 400, "INVALID_SINK")
    settings = {"headers": {"WebHook-Request-Origin": "me.example"}}
    response = asking("POST", f"{PUBLIC}/subscriptions", json=subscription_request(protocolSettings=settings))
    assert_error(response, 400, "INVALID_ARGUMENT")


def test_with_the_setting_off_it_is_active_at_once(
    api_with: Callable[..., Api], http_settings: Settings
) -> None:
    api = api_with(sink_validation_origin=ORIGIN)
    response = api("POST", f"{PUBLIC}/subscriptions", json=subscription_request())
    assert (response.status_code, response.json()["status"]) == (201, "ACTIVE")
    store = Store.connect(http_settings)
    found = store.subscriptions.get(response.json()["id"])
    store.close()
    assert found is not None
    assert found.origin is None
