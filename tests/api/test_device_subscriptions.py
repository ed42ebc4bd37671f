"""The contract that follows, served beside the public one: subscriptions to devices."""

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from tests.api.conftest import (
    ALL_SCOPES,
    DEVICE,
    KINDS,
    NETWORK,
    NEXT,
    NEXT_PREFIX,
    NEXT_SCOPES,
    PUBLIC,
    Api,
    assert_error,
    device_request,
    device_subscription,
    subscription_request,
)
from tests.api.test_operations import CREDENTIAL
from tests.harness.valkeys import eventually
from webrtc_events.contract.documents import load_subscriptions

LIST = f"{NEXT}/subscriptions"
LATER = {"subscriptionExpireTime": "2098-01-01T00:00:00Z"}
PAST = "2020-01-01T00:00:00Z"
SCOPE = "webrtc-events-subscriptions:"
CONTRACT = load_subscriptions()


def put(api: Api, subscription: str, body: Any, **claims: Any) -> Any:
    return api("PUT", f"{LIST}/{subscription}", token=api.token(**claims), json=body)


def test_it_is_off_by_default(api: Api) -> None:
    subscription = api("POST", f"{PUBLIC}/subscriptions", json=subscription_request()).json()["id"]
    assert_error(put(api, subscription, {"config": LATER}), 404, "NOT_FOUND")
    for path in ("/subscriptions", "/openapi.json", "/ui/"):
        assert_error(api("GET", NEXT + path), 404, "NOT_FOUND")
    response = api("PUT", f"{PUBLIC}/subscriptions/{subscription}", json={"config": LATER})
    assert_error(response, 405, "METHOD_NOT_ALLOWED")
    assert response.headers["Allow"] == "GET, DELETE"


@pytest.mark.parametrize("kinds", [(kind,) for kind in KINDS] + [KINDS, KINDS[::-1], KINDS[1:]])
def test_a_subscription_is_created_read_listed_and_deleted(both: Api, kinds: tuple[str, ...]) -> None:
    settings = {"headers": {"X-A": "b"}, "method": "POST"}
    request = device_request(*kinds, sinkCredential=CREDENTIAL, protocolSettings=settings)
    created = both("POST", LIST, json=request)
    assert created.status_code == 201, created.text
    assert created.headers["Content-Type"] == "application/json"
    resource = created.json()
    assert resource.items() >= {k: v for k, v in request.items() if k != "sinkCredential"}.items()
    assert resource["status"] == "ACTIVE"
    assert resource["types"] == [NEXT_PREFIX + kind for kind in kinds]
    assert "s3cret" not in created.text
    assert CONTRACT.validator("Subscription").first_fault(resource) is None
    path = f"{LIST}/{resource['id']}"
    assert both("GET", path).json() == resource
    assert both("GET", LIST).json() == [resource]
    deleted = both("DELETE", path)
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert_error(both("GET", path), 404, "NOT_FOUND")
    assert_error(both("DELETE", path), 404, "NOT_FOUND")


def test_a_type_that_is_repeated_counts_once(both: Api) -> None:
    resource = device_subscription(both, "session-status", "session-status", "registration-ends")
    assert resource["types"] == [NEXT_PREFIX + "session-status", NEXT_PREFIX + "registration-ends"]


@pytest.mark.parametrize(
    ("changes", "code", "where"),
    [
        ({"protocol": "MQTT5"}, "INVALID_PROTOCOL", "$.protocol"),
        ({"sink": "http://localhost:9443/inbox"}, "INVALID_SINK", "$.sink"),
        ({"sink": "https://localhost:9443/" + "x" * 1024}, "INVALID_SINK", "$.sink"),
        (
            {"sinkCredential": CREDENTIAL | {"credentialType": "PLAIN"}},
            "INVALID_CREDENTIAL",
            "credentialType",
        ),
        ({"sinkCredential": CREDENTIAL | {"accessTokenType": "mac"}}, "INVALID_TOKEN", "accessTokenType"),
        ({"types": []}, "INVALID_ARGUMENT", "$.types"),
        ({"types": [NEXT_PREFIX + "session-status"] * 4}, "INVALID_ARGUMENT", "$.types"),
        ({"types": [NEXT_PREFIX + "subscription-ended"]}, "INVALID_ARGUMENT", "$.types[0]"),
        # A type of the version before.
        ({"types": ["org.camaraproject.webrtc-events.v0.session-status"]}, "INVALID_ARGUMENT", "$.types[0]"),
        ({"config": {"subscriptionDetail": {}}}, "INVALID_ARGUMENT", "deviceId"),
        ({"config": {"subscriptionDetail": {"deviceId": "7d44"}}}, "INVALID_ARGUMENT", "deviceId"),
        (
            {"config": {"subscriptionDetail": {"deviceId": DEVICE}, "subscriptionMaxEvents": 1_000_001}},
            "OUT_OF_RANGE",
            "subscriptionMaxEvents",
        ),
        # What the version before knew, and what nobody knows.
        (
            {"config": {"subscriptionDetail": {"deviceId": DEVICE, "registrationId": "r1"}}},
            "INVALID_ARGUMENT",
            '$.config.subscriptionDetail: "registrationId" is not known here',
        ),
        ({"retry": True}, "INVALID_ARGUMENT", '$: "retry" is not known here'),
        (
            {"protocolSettings": {"headers": {}, "timeout": 5}},
            "INVALID_ARGUMENT",
            '$.protocolSettings: "timeout" is not known here',
        ),
        (
            {"sinkCredential": CREDENTIAL | {"accessTokenExpireUtc": "2099-01-01T00:00:00Z"}},
            "INVALID_ARGUMENT",
            '$.sinkCredential: "accessTokenExpireUtc" is not known here',
        ),
        ({"id": "my-own", "status": "ACTIVE"}, "INVALID_ARGUMENT", '$: "id" and "status" are not known here'),
    ],
)
def test_a_request_names_what_is_wrong(both: Api, changes: dict[str, Any], code: str, where: str) -> None:
    response = both("POST", LIST, json=device_request(**changes))
    assert where in assert_error(response, 400, code)
    assert "s3cret" not in response.text
    assert both("GET", LIST).json() == []


def test_the_version_before_takes_what_it_does_not_know(both: Api) -> None:
    response = both("POST", f"{PUBLIC}/subscriptions", json=subscription_request(retry=True))
    assert response.status_code == 201, response.text
    assert "retry" not in response.json()


@pytest.mark.parametrize("depth", [50, 99, 101, 10_000])
def test_a_deep_body_is_refused_shortly(both: Api, depth: int) -> None:
    body = json.dumps(device_request())[:-1] + ', "more": ' + '{"a":' * depth + "1" + "}" * depth + "}"
    headers = {"Content-Type": "application/json"}
    message = assert_error(both("POST", LIST, data=body, headers=headers), 400, "INVALID_ARGUMENT")
    assert len(message) < 200


def test_ten_thousand_members_are_refused_shortly(both: Api) -> None:
    """And so is one with a long name: messages have 512 characters at most."""
    config = {"subscriptionDetail": {"deviceId": DEVICE} | {f"member{number}": 1 for number in range(10_000)}}
    message = assert_error(both("POST", LIST, json=device_request(config=config)), 400, "INVALID_ARGUMENT")
    assert "and 9988 more are not known here" in message
    named = {"x" * 3000: 1, "y" * 3000: 2}
    message = assert_error(both("POST", LIST, json=device_request(**named)), 400, "INVALID_ARGUMENT")
    assert len(message) <= 512
    assert message.endswith("...")


def test_each_version_has_its_own_subscriptions(both: Api) -> None:
    old = both("POST", f"{PUBLIC}/subscriptions", json=subscription_request()).json()
    new = device_subscription(both, *KINDS)
    assert both("GET", f"{PUBLIC}/subscriptions").json() == [old]
    assert both("GET", LIST).json() == [new]
    for base, other in ((PUBLIC, new), (NEXT, old)):
        path = f"{base}/subscriptions/{other['id']}"
        assert_error(both("GET", path), 404, "NOT_FOUND")
        assert_error(both("DELETE", path), 404, "NOT_FOUND")
    assert_error(put(both, old["id"], {"config": LATER}), 404, "NOT_FOUND")


# Who may do what


OPERATIONS = [
    ("GET", LIST, "read"),
    ("GET", f"{LIST}/x", "read"),
    ("PUT", f"{LIST}/x", "update"),
    ("DELETE", f"{LIST}/x", "delete"),
]


@pytest.mark.parametrize(("method", "path", "action"), OPERATIONS)
def test_every_operation_wants_its_scope(both: Api, method: str, path: str, action: str) -> None:
    scope = SCOPE + action
    others = " ".join({*NEXT_SCOPES.split(), *ALL_SCOPES.split()} - {scope})
    refused = both(method, path, token=both.token(scope=others), json={})
    assert scope in assert_error(refused, 403, "PERMISSION_DENIED")
    assert both(method, path, token=both.token(scope=scope), json={}).status_code not in (401, 403)
    assert_error(both(method, path, token=None, json={}), 401, "UNAUTHENTICATED")


def test_the_scopes_of_one_version_open_nothing_of_the_other(both: Api) -> None:
    old, new = both.token(scope=ALL_SCOPES), both.token(scope=NEXT_SCOPES)
    for method, path in [("POST", LIST)] + [(method, path) for method, path, _ in OPERATIONS]:
        body = device_request() if method == "POST" else {}
        assert_error(both(method, path, token=old, json=body), 403, "PERMISSION_DENIED")
    for method, path in (("POST", ""), ("GET", ""), ("GET", "/x"), ("DELETE", "/x")):
        response = both(method, f"{PUBLIC}/subscriptions{path}", token=new, json=subscription_request())
        assert_error(response, 403, "PERMISSION_DENIED")


@pytest.mark.parametrize("asked", [KINDS, KINDS[:2], KINDS[1:], (KINDS[0], KINDS[2])])
def test_create_wants_the_scopes_of_all_types_asked_for(both: Api, asked: tuple[str, ...]) -> None:
    scopes = {kind: f"{SCOPE}{NEXT_PREFIX}{kind}:create" for kind in KINDS}
    only = " ".join(scopes[kind] for kind in asked)
    assert both("POST", LIST, token=both.token(scope=only), json=device_request(*asked)).status_code == 201
    for missing in asked:
        held = " ".join(scopes[kind] for kind in KINDS if kind != missing)
        refused = both("POST", LIST, token=both.token(scope=held), json=device_request(*asked))
        message = assert_error(refused, 403, "PERMISSION_DENIED")
        assert message == f"The access token lacks the scope {scopes[missing]}."
        challenge = f'Bearer error="insufficient_scope", scope="{scopes[missing]}"'
        assert refused.headers["WWW-Authenticate"] == challenge


def test_all_scopes_that_are_missing_are_named(both: Api) -> None:
    scopes = sorted(f"{SCOPE}{NEXT_PREFIX}{kind}:create" for kind in KINDS)
    refused = both("POST", LIST, token=both.token(scope=scopes[0]), json=device_request(*KINDS))
    message = assert_error(refused, 403, "PERMISSION_DENIED")
    assert message == f"The access token lacks the scope {scopes[1]} and {scopes[2]}."


def test_clients_and_users_do_not_see_each_others(both: Api) -> None:
    mine = device_subscription(both)
    for other in (both.token(client_id="other", sub="other"), both.token(sub="user")):
        for method in ("GET", "DELETE"):
            assert_error(both(method, f"{LIST}/{mine['id']}", token=other), 404, "NOT_FOUND")
        assert both("GET", LIST, token=other).json() == []
    response = put(both, mine["id"], {"config": LATER}, client_id="other", sub="other")
    assert_error(response, 404, "NOT_FOUND")


def test_an_end_user_s_token_is_not_told_the_device(both: Api) -> None:
    user = both.token(sub="alice")
    created = both("POST", LIST, token=user, json=device_request())
    assert created.status_code == 201
    resource = created.json()
    assert resource["config"]["subscriptionDetail"] == {}
    assert CONTRACT.validator("Subscription").first_fault(resource) is None
    for path in (f"{LIST}/{resource['id']}", LIST):
        assert DEVICE not in both("GET", path, token=user).text
        assert DEVICE in both("GET", path).text
    assert DEVICE not in put(both, resource["id"], {"config": LATER}, sub="alice").text


# Renewal


@pytest.mark.parametrize(
    "update",
    [{"config": LATER}, {"sinkCredential": CREDENTIAL}, {"config": LATER, "sinkCredential": CREDENTIAL}],
)
def test_a_subscription_is_renewed(both: Api, update: dict[str, Any]) -> None:
    resource = device_subscription(both, *KINDS)
    response = put(both, resource["id"], update)
    assert response.status_code == 200, response.text
    assert "s3cret" not in response.text
    assert response.headers["Content-Type"] == "application/json"
    expected = resource
    if "config" in update:
        expected = resource | {"config": resource["config"] | LATER, "expiresAt": "2098-01-01T00:00:00.000Z"}
    assert response.json() == expected
    assert put(both, resource["id"], update).json() == expected
    assert both("GET", f"{LIST}/{resource['id']}").json() == expected


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
        (changed(scope="everything"), "INVALID_ARGUMENT", '$.sinkCredential: "scope" is not known here'),
    ],
)
def test_an_update_names_what_is_wrong(both: Api, update: Any, code: str, where: str) -> None:
    resource = device_subscription(both)
    response = put(both, resource["id"], update)
    message = assert_error(response, 400, code)
    assert where in message
    assert "s3cret" not in response.text
    assert both("GET", f"{LIST}/{resource['id']}").json() == resource


def test_the_body_is_needed_and_is_json(both: Api) -> None:
    path = f"{LIST}/{device_subscription(both)['id']}"
    assert_error(both("PUT", path), 400, "INVALID_ARGUMENT")
    headers = {"Content-Type": "application/json"}
    assert_error(both("PUT", path, data=b"{", headers=headers), 400, "INVALID_ARGUMENT")
    assert_error(both("PUT", path, data=b"null", headers=headers), 400, "INVALID_ARGUMENT")
    headers = {"Content-Type": "text/plain"}
    body = json.dumps({"config": LATER})
    assert_error(both("PUT", path, data=body, headers=headers), 415, "UNSUPPORTED_MEDIA_TYPE")


def test_what_is_not_there_or_has_ended_is_not_renewed(both: Api) -> None:
    resource = device_subscription(both)
    assert_error(put(both, "unknown", {"config": LATER}), 404, "NOT_FOUND")
    assert_error(put(both, "", {"config": LATER}), 400, "INVALID_ARGUMENT")
    assert_error(put(both, "x" * 257, {"config": LATER}), 400, "INVALID_ARGUMENT")
    assert both("DELETE", f"{NETWORK}/subscriptions/{resource['id']}").status_code == 204
    assert both("GET", f"{LIST}/{resource['id']}").json()["status"] == "EXPIRED"
    response = put(both, resource["id"], {"config": LATER})
    assert_error(response, 409, "INCOMPATIBLE_STATE")
    # What was asked for holds.
    assert both("DELETE", f"{LIST}/{resource['id']}").status_code == 204
    assert_error(put(both, resource["id"], {"config": LATER}), 404, "NOT_FOUND")


# The reference


def test_each_version_has_its_own_reference(both: Api) -> None:
    for base, version, puts in ((PUBLIC, "0.2.0", False), (NEXT, "0.3.0-rc.1", True)):
        document = both("GET", f"{base}/openapi.json").json()
        assert document["info"]["version"] == version
        assert document["servers"] == [{"url": base}]
        assert ("put" in document["paths"]["/subscriptions/{subscriptionId}"]) is puts
        ui = both("GET", f"{base}/ui/")
        assert ui.status_code == 200
        assert f"{base}/openapi.json" in ui.text


def test_other_methods_and_an_empty_id_are_answered_as_the_document_says(both: Api) -> None:
    refused = both("DELETE", LIST)
    assert_error(refused, 405, "METHOD_NOT_ALLOWED")
    assert set(refused.headers["Allow"].split(", ")) == {"GET", "POST"}
    assert_error(both("GET", f"{LIST}/"), 400, "INVALID_ARGUMENT")


def test_the_log_says_which_version_was_asked(
    api_with: Callable[..., Api], caplog: pytest.LogCaptureFixture
) -> None:
    """They share operationIds."""
    caplog.set_level(logging.INFO, "webrtc_events.api.request_log")
    api = api_with(next=True, log_requests=1)
    for base in (PUBLIC, NEXT):
        assert api("GET", f"{base}/subscriptions").status_code == 200
    api("GET", f"{NEXT}/openapi.json")

    def lines() -> list[str]:
        return [line for line in caplog.messages if line.startswith("request ")]

    # A line is written when its answer is complete, which a client may see before.
    eventually(lambda: len(lines()) >= 3, "all lines are there")
    operation = "method=GET operation=retrieveNotificationChannelSubscriptionList"
    assert [line.partition(" status=")[0] for line in lines()] == [
        f"request {operation} api=webrtc-events/v0.2",
        f"request {operation} api=webrtc-events-subscriptions/v0.3rc1",
        f"request method=GET path={NEXT}/openapi.json",
    ]


def test_it_belongs_to_the_public_side(api_with: Callable[..., Api]) -> None:
    network = api_with(next=True, apis=frozenset({"network"}))
    assert_error(network("GET", LIST), 404, "NOT_FOUND")
    public = api_with(next=True, apis=frozenset({"public"}))
    assert public("GET", LIST).status_code == 200
