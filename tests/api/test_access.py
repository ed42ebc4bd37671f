"""Who may do what."""

import time

import pytest

from tests.api.conftest import NETWORK, PREFIX, PUBLIC, Api, assert_error, subscription_request

SUBSCRIPTIONS = f"{PUBLIC}/subscriptions"
OPERATIONS = [
    ("POST", SUBSCRIPTIONS, f"webrtc-events:{PREFIX}session-invitation:create"),
    ("GET", SUBSCRIPTIONS, "webrtc-events:read"),
    ("GET", f"{SUBSCRIPTIONS}/x", "webrtc-events:read"),
    ("DELETE", f"{SUBSCRIPTIONS}/x", "webrtc-events:delete"),
    ("POST", f"{NETWORK}/events", "webrtc-events:network"),
    ("PUT", f"{NETWORK}/registrations/x", "webrtc-events:network"),
    ("DELETE", f"{NETWORK}/registrations/x", "webrtc-events:network"),
]
# RFC 6750, section 3.1. One text for all that can be wrong.
INVALID_TOKEN = (
    'Bearer error="invalid_token", error_description="The access token is expired, not for this service, '
    'or invalid for another reason"'
)
SCOPES = sorted({scope for _, _, scope in OPERATIONS})


@pytest.mark.parametrize(("method", "path", "scope"), OPERATIONS)
def test_every_operation_wants_a_valid_token(api: Api, method: str, path: str, scope: str) -> None:
    expired = api.token(exp=time.time() - 60)
    absent: list[dict[str, str]] = [
        {},
        {"Authorization": ""},
        {"Authorization": f"Basic {api.token()}"},
    ]
    bad = [
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer x"},
        {"Authorization": f"Bearer {expired}"},
        {"Authorization": f"Bearer {api.token(aud='other')}"},
        {"Authorization": f"Bearer {api.token()} x"},
    ]
    for challenge, requests in (("Bearer", absent), (INVALID_TOKEN, bad)):
        for headers in requests:
            response = api(method, path, token=None, headers=headers)
            message = assert_error(response, 401, "UNAUTHENTICATED")
            assert response.headers["WWW-Authenticate"] == challenge
            assert "expire" not in message
    del scope


@pytest.mark.parametrize(("method", "path", "scope"), OPERATIONS)
def test_every_operation_wants_its_scope(api: Api, method: str, path: str, scope: str) -> None:
    others = " ".join(other for other in SCOPES if other != scope)
    refused = api(method, path, token=api.token(scope=others), json={})
    assert scope in assert_error(refused, 403, "PERMISSION_DENIED")
    challenge = refused.headers["WWW-Authenticate"]
    assert challenge.startswith('Bearer error="insufficient_scope", scope="')
    assert scope in challenge
    allowed = api(method, path, token=api.token(scope=scope), json={})
    assert allowed.status_code not in (401, 403)


def test_create_wants_the_scope_of_the_type_asked_for(api: Api) -> None:
    token = api.token(scope=f"webrtc-events:{PREFIX}session-status:create")
    refused = api("POST", SUBSCRIPTIONS, token=token, json=subscription_request("session-invitation"))
    wanted = f"webrtc-events:{PREFIX}session-invitation:create"
    assert assert_error(refused, 403, "PERMISSION_DENIED") == f"The access token lacks the scope {wanted}."
    assert refused.headers["WWW-Authenticate"] == f'Bearer error="insufficient_scope", scope="{wanted}"'
    assert api("POST", SUBSCRIPTIONS, token=token, json=subscription_request("session-status")).ok


def test_lower_case_bearer_is_taken(api: Api) -> None:
    headers = {"Authorization": f"bearer {api.token()}"}
    assert api("GET", SUBSCRIPTIONS, token=None, headers=headers).status_code == 200


def test_clients_and_users_do_not_see_each_others(api: Api) -> None:
    mine = api("POST", SUBSCRIPTIONS, json=subscription_request()).json()
    for other in (api.token(client_id="other", sub="other"), api.token(sub="user")):
        assert_error(api("GET", f"{SUBSCRIPTIONS}/{mine['id']}", token=other), 404, "NOT_FOUND")
        assert_error(api("DELETE", f"{SUBSCRIPTIONS}/{mine['id']}", token=other), 404, "NOT_FOUND")
        assert mine["id"] not in api("GET", SUBSCRIPTIONS, token=other).text
