"""Who may make, read, show and delete a channel, and what a subscription may name as its sink."""

import dataclasses
from contextlib import ExitStack

import pytest

from tests.api.conftest import PUBLIC, assert_error, subscription_request
from tests.channels.conftest import CHANNELS, Channel, Stack
from tests.harness.channels import BASE
from tests.harness.issuer import Issuer
from webrtc_events.core.settings import Settings

NOWHERE = "0" * 32


def test_a_channel_is_made_shown_and_deleted(service: Stack) -> None:
    made = service.api("POST", CHANNELS, token=service.token())
    assert made.status_code == 201
    body = made.json()
    assert set(body) == {"id", "sink", "token", "expiresAt"}
    assert body["sink"] == f"{BASE}/channels/{body['id']}"
    shown = service.api("GET", f"{CHANNELS}/{body['id']}", token=service.token())
    assert shown.status_code == 200
    assert shown.json() == {name: body[name] for name in ("id", "sink", "expiresAt")}
    assert service.delete(Channel(body["id"], "", "")).status_code == 204
    assert_error(service.api("GET", f"{CHANNELS}/{body['id']}", token=service.token()), 404, "NOT_FOUND")


def test_each_operation_needs_its_scope(service: Stack) -> None:
    channel = service.make()
    read, write = (service.token(scope=f"webrtc-events:channels:{what}") for what in ("read", "write"))
    path = f"{CHANNELS}/{channel.id}"
    assert_error(service.api("POST", CHANNELS, token=read), 403, "PERMISSION_DENIED")
    assert_error(service.api("DELETE", path, token=read), 403, "PERMISSION_DENIED")
    assert_error(service.api("GET", path, token=write), 403, "PERMISSION_DENIED")
    assert_error(service.api("POST", CHANNELS, token=None), 401, "UNAUTHENTICATED")
    assert service.api("GET", path, token=read).status_code == 200
    assert service.api("DELETE", path, token=write).status_code == 204


def test_another_client_sees_no_channel(service: Stack) -> None:
    channel = service.make()
    other = {"client_id": "other"}
    path = f"{CHANNELS}/{channel.id}"
    assert_error(service.api("GET", path, token=service.token(**other)), 404, "NOT_FOUND")
    assert_error(service.delete(channel, **other), 404, "NOT_FOUND")
    assert service.read(channel).status == 200


def test_a_reader_needs_the_token_of_the_channel(service: Stack) -> None:
    channel, other = service.make(), service.make()
    for wrong in (other.token, service.token(), "x", ""):
        reader = service.read(channel, token=wrong)
        assert reader.status == 401
        assert b"UNAUTHENTICATED" in reader.body
    assert_error(service.acknowledge(channel, "1-1", other.token), 401, "UNAUTHENTICATED")
    assert service.read(Channel(NOWHERE, "", channel.token)).status == 404
    assert service.read(Channel("no-channel", "", channel.token)).status == 404


def test_the_token_of_a_channel_is_no_access_token(service: Stack) -> None:
    channel = service.make()
    assert_error(service.api("POST", CHANNELS, token=channel.token), 401, "UNAUTHENTICATED")
    assert_error(service.api("GET", f"{PUBLIC}/subscriptions", token=channel.token), 401, "UNAUTHENTICATED")


@pytest.mark.parametrize("user", ["u2", None])
def test_a_channel_of_a_user_takes_that_users_subscriptions_alone(service: Stack, user: str | None) -> None:
    channel = service.make(sub="u1")
    other = {} if user is None else {"sub": user}
    assert_error(service.subscribe(channel, claims=other), 400, "INVALID_SINK")
    assert service.subscribe(channel, claims={"sub": "u1"}).status_code == 201


def test_a_channel_of_another_client_is_no_sink(service: Stack) -> None:
    channel = service.make()
    message = assert_error(service.subscribe(channel, claims={"client_id": "other"}), 400, "INVALID_SINK")
    # The same as for one that there is not.
    nowhere = Channel(NOWHERE, f"{BASE}/channels/{NOWHERE}", "")
    assert assert_error(service.subscribe(nowhere), 400, "INVALID_SINK") == message


@pytest.mark.parametrize(
    "path", ["/channels", "/channels/", "/channels/x", f"/channels/{NOWHERE}/events", "/"]
)
def test_what_is_below_the_address_of_channels_is_no_web_server(service: Stack, path: str) -> None:
    assert_error(service.subscribe(Channel("", BASE + path, "")), 400, "INVALID_SINK")


@pytest.mark.parametrize("claims", [{"client_id": "other"}, {}], ids=["another's", "one's own"])
@pytest.mark.parametrize("base", ["HTTPS://channels.localhost", "https://CHANNELS.localhost:443"])
def test_another_spelling_of_a_channels_url_is_no_sink(
    service: Stack, base: str, claims: dict[str, str]
) -> None:
    """Written as URLs of sinks are, it is that of the channel, whoever's it is."""
    channel = service.make()
    service.subscribed(channel)
    other = Channel("", channel.sink.replace("https://channels.localhost", base), "")
    assert_error(service.subscribe(other, claims=claims), 400, "INVALID_SINK")
    assert service.read(channel).wait_events(len(service.publish(1))).numbers() == [1]


def test_a_deleted_channel_is_no_sink(service: Stack) -> None:
    channel = service.make()
    service.delete(channel)
    assert_error(service.subscribe(channel), 400, "INVALID_SINK")


def test_a_channel_takes_no_credential(service: Stack) -> None:
    channel = service.make()
    credential = {
        "credentialType": "ACCESSTOKEN",
        "accessToken": "t",
        "accessTokenExpiresUtc": "2100-01-01T00:00:00Z",
        "accessTokenType": "bearer",
    }
    assert_error(service.subscribe(channel, sinkCredential=credential), 400, "INVALID_CREDENTIAL")


def test_a_client_has_a_bounded_number_of_channels(channel_settings: Settings, issuer: Issuer) -> None:
    with ExitStack() as stack:
        service = Stack(dataclasses.replace(channel_settings, max_channels=2), issuer, stack)
        service.start_api()
        stack.callback(service.stop_api)
        first, _ = service.make(), service.make()
        assert_error(service.api("POST", CHANNELS, token=service.token()), 429, "QUOTA_EXCEEDED")
        service.make(client_id="other")
        service.delete(first)
        service.make()


def test_channels_are_not_asked_whether_they_agree(channel_settings: Settings, issuer: Issuer) -> None:
    asking = dataclasses.replace(
        channel_settings, sink_validation=True, sink_validation_origin="events.example"
    )
    with ExitStack() as stack:
        service = Stack(asking, issuer, stack)
        service.start_api()
        stack.callback(service.stop_api)
        answer = service.subscribe(service.make())
        assert (answer.status_code, answer.json()["status"]) == (201, "ACTIVE")


def test_without_the_setting_there_are_no_channels(channel_settings: Settings, issuer: Issuer) -> None:
    with ExitStack() as stack:
        service = Stack(dataclasses.replace(channel_settings, channels_url=None), issuer, stack)
        service.start_api()
        stack.callback(service.stop_api)
        assert_error(service.api("POST", CHANNELS, token=service.token()), 404, "NOT_FOUND")
        request = subscription_request(sink="https://192.0.2.7/channels/v0")
        assert service.api("POST", f"{PUBLIC}/subscriptions", json=request).status_code in (201, 400)


def test_the_contract_is_published(service: Stack) -> None:
    document = service.api("GET", "/channels/v0/openapi.json", token=None).json()
    assert "/channels/{channelId}/events" in document["paths"]
    assert document["components"]["securitySchemes"]["channelToken"]["scheme"] == "bearer"
