"""The next contract, served beside the public one."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.api.conftest import ALL_SCOPES, NETWORK, PUBLIC, Api, assert_error, serving, subscription_request
from tests.api.test_operations import CREDENTIAL
from tests.harness.issuer import Issuer
from webrtc_events.app import create_app
from webrtc_events.core.settings import Settings

NEXT = "/webrtc-events/vwip"
LATER = {"subscriptionExpireTime": "2098-01-01T00:00:00Z"}
UPDATE_SCOPES = f"{ALL_SCOPES} webrtc-events:update"
PAST = "2020-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def both(http_settings: Settings, issuer: Issuer) -> Iterator[Api]:
    with serving(create_app(replace(http_settings, next=True)), issuer) as running:
        yield running


def put(api: Api, subscription: str, body: Any, **claims: Any) -> Any:
    token = api.token(**({"scope": UPDATE_SCOPES} | claims))
    return api("PUT", f"{NEXT}/subscriptions/{subscription}", token=token, json=body)


def made(api: Api, base: str = NEXT, **changes: Any) -> dict[str, Any]:
    response = api("POST", f"{base}/subscriptions", json=subscription_request(**changes))
    assert response.status_code == 201, response.text
    resource: dict[str, Any] = response.json()
    return resource


def test_it_is_off_by_default(api: Api) -> None:
    subscription = made(api, PUBLIC)["id"]
    assert_error(put(api, subscription, {"config": LATER}), 404, "NOT_FOUND")
    for path in ("/subscriptions", "/openapi.json", "/ui/"):
        assert_error(api("GET", NEXT + path), 404, "NOT_FOUND")
    response = api("PUT", f"{PUBLIC}/subscriptions/{subscription}", json={"config": LATER})
    assert_error(response, 405, "METHOD_NOT_ALLOWED")
    assert response.headers["Allow"] == "GET, DELETE"


def test_both_versions_show_and_delete_the_same_subscriptions(both: Api) -> None:
    for base, other in ((PUBLIC, NEXT), (NEXT, PUBLIC)):
        resource = made(both, base)
        path = f"/subscriptions/{resource['id']}"
        assert both("GET", other + path).json() == both("GET", base + path).json() == resource
        assert resource in both("GET", f"{other}/subscriptions").json()
        assert both("DELETE", other + path).status_code == 204
        assert_error(both("GET", base + path), 404, "NOT_FOUND")


@pytest.mark.parametrize("base", [PUBLIC, NEXT])
@pytest.mark.parametrize(
    "update",
    [{"config": LATER}, {"sinkCredential": CREDENTIAL}, {"config": LATER, "sinkCredential": CREDENTIAL}],
)
def test_a_subscription_is_renewed(both: Api, base: str, update: dict[str, Any]) -> None:
    resource = made(both, base)
    response = put(both, resource["id"], update)
    assert response.status_code == 200, response.text
    assert "s3cret" not in response.text
    assert response.headers["Content-Type"] == "application/json"
    expected = resource
    if "config" in update:
        expected = resource | {"config": resource["config"] | LATER, "expiresAt": "2098-01-01T00:00:00.000Z"}
    assert response.json() == expected
    assert put(both, resource["id"], update).json() == expected
    for base in (PUBLIC, NEXT):
        assert both("GET", f"{base}/subscriptions/{resource['id']}").json() == expected


def changed(**changes: Any) -> dict[str, Any]:
    return {"sinkCredential": CREDENTIAL | changes}


@pytest.mark.parametrize(
    ("update", "code", "where"),
    [
        ({}, "INVALID_ARGUMENT", "$"),
        ([], "INVALID_ARGUMENT", "$"),
        ({"config": {}}, "INVALID_ARGUMENT", "$.config"),
        ({"config": {"subscriptionMaxEvents": 5}}, "INVALID_ARGUMENT", "subscriptionMaxEvents"),
        ({"config": LATER, "sink": "https://elsewhere.example.com/"}, "INVALID_ARGUMENT", "sink"),
        ({"config": {"subscriptionExpireTime": "tomorrow"}}, "INVALID_ARGUMENT", "subscriptionExpireTime"),
        ({"config": {"subscriptionExpireTime": PAST}}, "INVALID_ARGUMENT", "$.config.subscriptionExpireTime"),
        (
            {"config": {"subscriptionExpireTime": "0001-01-01T00:00:00+23:00"}},
            "INVALID_ARGUMENT",
            "$.config.subscriptionExpireTime",
        ),
        (changed(accessTokenExpiresUtc=PAST), "INVALID_ARGUMENT", "$.sinkCredential.accessTokenExpiresUtc"),
        (changed(credentialType="PLAIN"), "INVALID_CREDENTIAL", "credentialType"),
        (changed(accessTokenType="mac"), "INVALID_TOKEN", "accessTokenType"),
        (changed(accessToken=["s3cret-token"]), "INVALID_ARGUMENT", "accessToken"),
        (changed(accessToken="s3cret-token\r\nx-a: b"), "INVALID_ARGUMENT", "accessToken"),
    ],
)
def test_an_update_names_what_is_wrong(both: Api, update: Any, code: str, where: str) -> None:
    resource = made(both)
    response = put(both, resource["id"], update)
    message = assert_error(response, 400, code)
    assert where in message
    assert "s3cret" not in response.text
    assert both("GET", f"{NEXT}/subscriptions/{resource['id']}").json() == resource


def test_the_body_is_needed_and_is_json(both: Api) -> None:
    path = f"{NEXT}/subscriptions/{made(both)['id']}"
    token = both.token(scope=UPDATE_SCOPES)
    assert_error(both("PUT", path, token=token), 400, "INVALID_ARGUMENT")
    headers = {"Content-Type": "application/json"}
    assert_error(both("PUT", path, token=token, data=b"{", headers=headers), 400, "INVALID_ARGUMENT")
    assert_error(both("PUT", path, token=token, data=b"null", headers=headers), 400, "INVALID_ARGUMENT")
    headers = {"Content-Type": "text/plain"}
    body = json.dumps({"config": LATER})
    assert_error(both("PUT", path, token=token, data=body, headers=headers), 415, "UNSUPPORTED_MEDIA_TYPE")


def test_the_scope_is_needed(both: Api) -> None:
    resource = made(both)
    response = put(both, resource["id"], {"config": LATER}, scope=ALL_SCOPES)
    assert_error(response, 403, "PERMISSION_DENIED")
    response = both("PUT", f"{NEXT}/subscriptions/{resource['id']}", token=None, json={"config": LATER})
    assert_error(response, 401, "UNAUTHENTICATED")
    only = put(both, resource["id"], {"config": LATER}, scope="webrtc-events:update")
    assert only.status_code == 200


def test_what_is_not_there_or_has_ended_is_not_renewed(both: Api) -> None:
    resource = made(both)
    response = put(both, resource["id"], {"config": LATER}, client_id="other", sub="other")
    assert_error(response, 404, "NOT_FOUND")
    assert_error(put(both, "unknown", {"config": LATER}), 404, "NOT_FOUND")
    assert_error(put(both, "", {"config": LATER}), 400, "INVALID_ARGUMENT")
    assert both("DELETE", f"{NETWORK}/subscriptions/{resource['id']}").status_code == 204
    assert both("GET", f"{NEXT}/subscriptions/{resource['id']}").json()["status"] == "EXPIRED"
    response = put(both, resource["id"], {"config": LATER})
    assert_error(response, 409, "WEBRTC_EVENTS.SUBSCRIPTION_ENDED")
    both("DELETE", f"{NEXT}/subscriptions/{resource['id']}")
    assert_error(put(both, resource["id"], {"config": LATER}), 404, "NOT_FOUND")


def test_each_version_has_its_own_reference(both: Api) -> None:
    for base, version, puts in ((PUBLIC, "0.2.0", False), (NEXT, "wip", True)):
        document = both("GET", f"{base}/openapi.json").json()
        assert document["info"]["version"] == version
        assert document["servers"] == [{"url": base}]
        assert ("put" in document["paths"]["/subscriptions/{subscriptionId}"]) is puts
        ui = both("GET", f"{base}/ui/")
        assert ui.status_code == 200
        assert f"{base}/openapi.json" in ui.text


def test_it_belongs_to_the_public_side(api_with: Callable[..., Api]) -> None:
    network = api_with(next=True, apis=frozenset({"network"}))
    assert_error(network("GET", f"{NEXT}/subscriptions"), 404, "NOT_FOUND")
    public = api_with(next=True, apis=frozenset({"public"}))
    assert public("GET", f"{NEXT}/subscriptions").status_code == 200
