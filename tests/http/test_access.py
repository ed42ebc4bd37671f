"""Who may do what."""

import time

import pytest

from tests.http.conftest import NETWORK, PREFIX, PUBLIC, Api, assert_error, subscription_request

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
SCOPES = sorted({scope for _, _, scope in OPERATIONS})


@pytest.mark.parametrize(("method", "path", "scope"), OPERATIONS)
def test_every_operation_wants_a_valid_token(api: Api, method: str, path: str, scope: str) -> None:
    expired = api.token(exp=time.time() - 60)
    for headers in (
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer x"},
        {"Authorization": f"Basic {api.token()}"},
        {"Authorization": f"Bearer {expired}"},
        {"Authorization": f"Bearer {api.token(aud='other')}"},
        {"Authorization": f"Bearer {api.token()} x"},
    ):
        response = api(method, path, token=None, headers=headers)
        message = assert_error(response, 401, "UNAUTHENTICATED")
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert "expire" not in message
    del scope


@pytest.mark.parametrize(("method", "path", "scope"), OPERATIONS)
def test_every_operation_wants_its_scope(api: Api, method: str, path: str, scope: str) -> None:
    others = " ".join(other for other in SCOPES if other != scope)
    assert_error(api(method, path, token=api.token(scope=others), json={}), 403, "PERMISSION_DENIED")
    allowed = api(method, path, token=api.token(scope=scope), json={})
    assert allowed.status_code not in (401, 403)


def test_create_wants_the_scope_of_the_type_asked_for(api: Api) -> None:
    token = api.token(scope=f"webrtc-events:{PREFIX}session-status:create")
    refused = api("POST", SUBSCRIPTIONS, token=token, json=subscription_request("session-invitation"))
    assert_error(refused, 403, "PERMISSION_DENIED")
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
