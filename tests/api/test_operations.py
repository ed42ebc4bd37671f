"""The operations, from the wire to the store and back."""

import json
import re
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from tests.api.conftest import NETWORK, PREFIX, PUBLIC, Api, assert_error, invitation, subscription_request

SUBSCRIPTIONS = f"{PUBLIC}/subscriptions"
EVENTS = f"{NETWORK}/events"
CREDENTIAL = {
    "credentialType": "ACCESSTOKEN",
    "accessToken": "s3cret-token",
    "accessTokenExpiresUtc": "2099-01-01T00:00:00Z",
    "accessTokenType": "bearer",
}


@pytest.mark.parametrize("kind", ["session-invitation", "session-status", "registration-ends"])
def test_subscription_is_created_read_listed_and_deleted(api: Api, kind: str) -> None:
    request = subscription_request(
        kind, sinkCredential=CREDENTIAL, protocolSettings={"headers": {"X-A": "b"}}
    )
    created = api("POST", SUBSCRIPTIONS, json=request)
    assert created.status_code == 201, created.text
    assert created.headers["Content-Type"] == "application/json"
    resource = created.json()
    assert resource.items() >= {k: v for k, v in request.items() if k != "sinkCredential"}.items()
    assert resource["status"] == "ACTIVE"
    assert "s3cret" not in created.text

    path = f"{SUBSCRIPTIONS}/{resource['id']}"
    assert api("GET", path).json() == resource
    assert resource in api("GET", SUBSCRIPTIONS).json()

    deleted = api("DELETE", path)
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert "Content-Type" not in deleted.headers


@pytest.mark.parametrize("registration", ["r1", "r2"])
def test_a_media_session_of_another_test_is_not_known(api: Api, registration: str) -> None:
    """The same session in both, each time of one registration; nobody may listen to that of another."""
    request = subscription_request("session-status", **with_detail(registration, sessionId="m1"))
    assert api("POST", SUBSCRIPTIONS, json=request).status_code == 201
    response = post_events(api, invitation(1, subject=registration, source="/of-another-test"))
    assert response.status_code == 202, response.text


def test_unknown_subscription_is_not_found(api: Api) -> None:
    for method in ("GET", "DELETE"):
        for id_ in ("unknown", "%C3%A4", "a%20b", "x" * 500):
            assert_error(api(method, f"{SUBSCRIPTIONS}/{id_}"), 404, "NOT_FOUND")


def with_detail(registration: str, **detail: str) -> dict[str, Any]:
    return {"config": {"subscriptionDetail": {"registrationId": registration} | detail}}


def with_config(**changes: Any) -> dict[str, Any]:
    return {"config": {"subscriptionDetail": {"registrationId": "r1"}} | changes}


@pytest.mark.parametrize(
    ("changes", "code", "where"),
    [
        ({"protocol": "MQTT"}, "INVALID_PROTOCOL", "$.protocol"),
        ({"protocol": 5}, "INVALID_ARGUMENT", "$.protocol"),
        (
            {"sinkCredential": CREDENTIAL | {"credentialType": "PLAIN"}},
            "INVALID_CREDENTIAL",
            "credentialType",
        ),
        ({"sinkCredential": CREDENTIAL | {"accessTokenType": "mac"}}, "INVALID_TOKEN", "accessTokenType"),
        ({"sinkCredential": {"credentialType": "ACCESSTOKEN"}}, "INVALID_ARGUMENT", "$.sinkCredential"),
        ({"sink": "http://example.com"}, "INVALID_SINK", "$.sink"),
        ({"sink": "https://a/b\n"}, "INVALID_SINK", "$.sink"),
        ({"sink": 5}, "INVALID_ARGUMENT", "$.sink"),
        (with_config(subscriptionMaxEvents=0), "OUT_OF_RANGE", "$.config.subscriptionMaxEvents"),
        (with_config(subscriptionMaxEvents=1.5), "INVALID_ARGUMENT", "$.config.subscriptionMaxEvents"),
        (with_config(subscriptionExpireTime="2099-01-01T00:00:00"), "INVALID_ARGUMENT", "ExpireTime"),
        (with_config(subscriptionDetail={}), "INVALID_ARGUMENT", "registrationId"),
        (with_config(subscriptionDetail={"registrationId": "r1\n"}), "INVALID_ARGUMENT", "registrationId"),
        ({"types": [PREFIX + "unheard-of"]}, "INVALID_ARGUMENT", "$.types[0]"),
        ({"types": []}, "INVALID_ARGUMENT", "$.types"),
        ({"protocol": "MQTT", "sink": "http://a", "types": []}, "INVALID_ARGUMENT", "$.types"),
        ({"protocol": "MQTT", "sink": "http://a"}, "INVALID_PROTOCOL", "$.protocol"),
        (
            {"sink": "http://a", "sinkCredential": CREDENTIAL | {"accessTokenType": "mac"}},
            "INVALID_TOKEN",
            "accessTokenType",
        ),
        ({"sink": "http://a", **with_config(subscriptionMaxEvents=0)}, "INVALID_SINK", "$.sink"),
    ],
)
def test_create_names_what_is_wrong(api: Api, changes: dict[str, Any], code: str, where: str) -> None:
    message = assert_error(api("POST", SUBSCRIPTIONS, json=subscription_request(**changes)), 400, code)
    assert where in message


@pytest.mark.parametrize("missing", ["protocol", "sink", "types", "config"])
def test_missing_property_is_an_invalid_argument(api: Api, missing: str) -> None:
    request = {name: value for name, value in subscription_request().items() if name != missing}
    assert missing in assert_error(api("POST", SUBSCRIPTIONS, json=request), 400, "INVALID_ARGUMENT")


def test_two_valid_types_are_unprocessable(api: Api) -> None:
    both = [PREFIX + "session-invitation", PREFIX + "registration-ends"]
    for types in (both, both[:1] * 2):
        response = api("POST", SUBSCRIPTIONS, json=subscription_request(types=types))
        assert_error(response, 422, "MULTIEVENT_SUBSCRIPTION_NOT_SUPPORTED")
    for types in ([*both, "unheard-of"], [both[0], 5]):
        assert_error(
            api("POST", SUBSCRIPTIONS, json=subscription_request(types=types)), 400, "INVALID_ARGUMENT"
        )


def test_no_value_of_a_refused_request_comes_back(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    for credential in (
        CREDENTIAL | {"accessToken": ["s3cret-token"]},
        CREDENTIAL | {"accessTokenType": "s3cret-token"},
        CREDENTIAL | {"credentialType": "s3cret-token"},
        "s3cret-token",
    ):
        response = api("POST", SUBSCRIPTIONS, json=subscription_request(sinkCredential=credential))
        assert response.status_code == 400
        assert "s3cret" not in response.text
    assert "s3cret" not in caplog.text


def post_events(api: Api, value: object, media_type: str = "application/cloudevents+json") -> Any:
    return api("POST", EVENTS, data=json.dumps(value), headers={"Content-Type": media_type})


def test_single_event_is_accepted_once(api: Api) -> None:
    # Of a source that no other test has: the service remembers for longer than a test takes.
    event = invitation(1, source="/accepted-once")
    for status in ("accepted", "duplicate"):
        response = post_events(api, event)
        assert response.status_code == 202, response.text
        (result,) = response.json()["results"]
        assert (result["id"], result["status"]) == ("e1", status)


@pytest.mark.parametrize(
    "changes", [{"subject": "r1\n"}, {"data": {"mediaSessionId": "m1\n", "status": "Ringing"}}]
)
def test_an_event_that_names_what_holds_a_line_end_is_refused(api: Api, changes: dict[str, Any]) -> None:
    event = invitation(61) | ({"type": PREFIX + "session-status"} if "data" in changes else {}) | changes
    message = assert_error(post_events(api, event), 400, "INVALID_ARGUMENT")
    assert ("subject" if "subject" in changes else "mediaSessionId") in message


def test_a_large_event_is_worked_on_in_a_thread(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that nobody else has to wait until it is written."""
    assert api("POST", SUBSCRIPTIONS, json=subscription_request("session-invitation")).status_code == 201

    async def never(*_: object) -> None:
        raise AssertionError("on the event loop")

    monkeypatch.setattr("webrtc_events.services.events.Events.accept_single", never)
    event = invitation(1, source="/large")
    event["data"]["offer"] = {"sdp": "v=0\r\n" + "a=x\r\n" * 20_000}
    assert post_events(api, event).json()["results"][0]["status"] == "accepted"
    assert post_events(api, invitation(2, source="/large")).status_code == 500


def test_single_events_that_come_at_once_have_each_their_answer(api: Api) -> None:
    assert api("POST", SUBSCRIPTIONS, json=subscription_request("session-invitation")).status_code == 201
    events = [invitation(number % 150, source="/at-once") for number in range(200)]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(partial(post_events, api), events))
    assert [answer.status_code for answer in answers] == [202] * 200
    results = [answer.json()["results"][0] for answer in answers]
    # Of what came twice one is told so, whichever was first.
    assert [result["id"] for result in results] == [event["id"] for event in events]
    assert Counter(result["status"] for result in results) == {"accepted": 150, "duplicate": 50}


def test_batch_is_validated_event_by_event(api: Api) -> None:
    batch = [
        invitation(11),
        {"id": "e12"},
        5,
        invitation(13, type=PREFIX + "subscription-ended"),
        invitation(14),
    ]
    response = post_events(api, batch, "application/cloudevents-batch+json")
    assert response.status_code == 202, response.text
    results = response.json()["results"]
    assert [result["status"] for result in results] == [
        "accepted",
        "rejected",
        "rejected",
        "rejected",
        "accepted",
    ]
    assert [result.get("id") for result in results] == ["e11", "e12", None, "e13", "e14"]
    assert all(result["message"] for result in results[1:4])


def test_the_size_of_an_event_is_that_of_its_stored_form(api_with: Callable[..., Api]) -> None:
    """In a batch the others go on. What is kept is ASCII: an umlaut has six bytes."""
    api = api_with(event_bytes=10_000)

    def sized(number: int, text: str) -> dict[str, Any]:
        event = invitation(number, subject="sized")
        return event | {"data": event["data"] | {"originatorName": text}}

    assert post_events(api, sized(40, "x" * 9_000), "application/json").status_code == 202
    for text in ("x" * 10_000, "ü" * 2_000):
        message = assert_error(post_events(api, sized(41, text), "application/json"), 400, "INVALID_ARGUMENT")
        assert re.search(r"has 1[0-9]{4} bytes as it is kept, and an event may have 10000", message)
    batch = post_events(api, [sized(42, "x" * 10_000), invitation(43, subject="sized")], "application/json")
    assert batch.status_code == 202
    assert [result["status"] for result in batch.json()["results"]] == ["rejected", "accepted"]


def test_plain_json_is_an_event_or_a_batch(api: Api) -> None:
    """What a person types at first: curl with a Content-Type that everybody knows."""
    single = post_events(api, invitation(38, subject="plain"), "application/json")
    assert single.json()["results"] == [{"id": "e38", "status": "accepted", "subscriptions": 0}]
    batch = post_events(api, [invitation(32), {"id": "e33"}], "application/json")
    assert batch.status_code == 202
    assert [result["status"] for result in batch.json()["results"]] == ["accepted", "rejected"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            {"id": "e34", "kind": "x"},
            '$: "type", "source", "specversion", "time" and "data" are missing; "kind" is not known here',
        ),
        ([], "$: the value has less than 1 item"),
        ("x", '$: the value is not of type "object" or "array"'),
    ],
)
def test_plain_json_that_is_neither_gets_an_error_that_says_what_is_wrong(
    api: Api, value: object, message: str
) -> None:
    assert assert_error(post_events(api, value, "application/json"), 400, "INVALID_ARGUMENT") == message


def test_all_that_is_missing_or_unknown_is_named_at_once(api: Api) -> None:
    path = f"{NETWORK}/registrations/r-named"
    refused = api("PUT", path, json={"clientId": "app", "expiresAt": "soon", "device": "d"})
    assert assert_error(refused, 400, "INVALID_ARGUMENT") == (
        '$: "deviceId" and "owner" are missing; "clientId" and "device" are not known here; '
        '$.expiresAt: the value is not a "date-time"'
    )


def test_every_value_that_would_do_is_named(api: Api) -> None:
    event = invitation(35, type=PREFIX + "session-status", data={"mediaSessionId": "m1", "status": "Busi"})
    message = assert_error(post_events(api, event), 400, "INVALID_ARGUMENT")
    statuses = [
        *("Initial", "InProgress", "Ringing", "Proceeding", "Connected", "Terminated", "Hold", "Resume"),
        *("SessionCancelled", "Declined", "Failed", "Waiting", "NoAnswer", "NotReachable", "Busy"),
    ]
    shown = ", ".join(f'"{status}"' for status in statuses)
    assert message == f"$.data.status: the value is not one of {shown}"


@pytest.mark.parametrize(
    ("media_type", "value"),
    [
        ("application/cloudevents+json", invitation(21, type="unheard-of")),
        ("application/cloudevents+json", {"id": "e21"}),
        ("application/cloudevents+json", [invitation(21)]),
        ("application/cloudevents+json", invitation(21, data={"status": "Initial"})),
        ("application/cloudevents+json", None),
        ("application/cloudevents-batch+json", []),
        ("application/cloudevents-batch+json", invitation(21)),
        ("application/cloudevents-batch+json", [{}] * 1001),
        (
            "application/cloudevents+json",
            invitation(
                22,
                type=PREFIX + "registration-ends",
                data={"registrationId": "r2", "terminationReason": "REGISTRATION_EXPIRED"},
            ),
        ),
    ],
)
def test_what_is_no_event_or_no_batch_is_refused(api: Api, media_type: str, value: object) -> None:
    assert_error(post_events(api, value, media_type), 400, "INVALID_ARGUMENT")


@pytest.mark.slow
def test_large_batch_is_taken(api: Api) -> None:
    sdp = "v=0\r\n" * 600
    batch = [
        invitation(n, id=f"large{n}", data={**invitation(n)["data"], "offer": {"sdp": sdp}})
        for n in range(1000)
    ]
    response = post_events(api, batch, "application/cloudevents-batch+json")
    assert response.status_code == 202, response.text
    assert {result["status"] for result in response.json()["results"]} == {"accepted"}


def test_registration_is_put_and_deleted(api: Api) -> None:
    path = f"{NETWORK}/registrations/reg%3A1"
    body = {"deviceId": "7d444840-9dc0-11d1-b245-5ffdce74fad2", "owner": "app"}
    assert [api("PUT", path, json=body).status_code for _ in range(2)] == [201, 200]
    assert api("PUT", path, json=body).json() == body | {"registrationId": "reg:1"}
    assert_error(api("PUT", path, json=body | {"deviceId": "7d44"}), 400, "INVALID_ARGUMENT")
    assert_error(api("PUT", f"{NETWORK}/registrations/{'x' * 300}", json=body), 400, "INVALID_ARGUMENT")
    assert api("DELETE", path).status_code == 204
    assert_error(api("DELETE", path), 404, "NOT_FOUND")
