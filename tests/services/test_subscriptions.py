"""What clients may do with subscriptions, beyond what the contract's schemas say."""

import dataclasses
import itertools
import re
from typing import Any

import pytest
import redis

from tests.conftest import everything, kept_keys
from tests.harness.builders import listed
from tests.services.subscription_requests import APP, SCOPES, credential, request
from webrtc_events.contract.documents import load_public
from webrtc_events.core.clock import SystemClock, format_time, parse_time
from webrtc_events.core.errors import NotFound, PermissionDenied, ServiceError, Unprocessable
from webrtc_events.core.model import Caller, EventType
from webrtc_events.core.port_set import PortSet
from webrtc_events.core.settings import Settings
from webrtc_events.services import registration_subscriptions
from webrtc_events.services.subscriptions import SubscriptionOptions, Subscriptions
from webrtc_events.store.store import Store


@pytest.fixture
def subscriptions(store: Store, settings: Settings) -> Subscriptions:
    return Subscriptions(store, SubscriptionOptions.of(settings))


def error(subscriptions: Subscriptions, asked: Any, caller: Caller = APP) -> tuple[int, str, str]:
    with pytest.raises(ServiceError) as caught:
        subscriptions.create(caller, asked)
    return caught.value.status, caught.value.code, caught.value.message


def test_the_resource_echoes_the_request_without_its_secret(
    subscriptions: Subscriptions, raw_store: "redis.Redis"
) -> None:
    asked = request(
        config={"subscriptionMaxEvents": 2, "subscriptionExpireTime": "2999-01-01T00:00:00+01:00"},
        protocolSettings={"headers": {"x-app": "1"}, "method": "POST"},
        sinkCredential=credential(),
    )
    made = subscriptions.create(APP, asked)
    added = {"id", "startsAt", "expiresAt", "status"}
    assert {name: value for name, value in made.items() if name not in added} == {
        name: value for name, value in asked.items() if name != "sinkCredential"
    }
    assert made["expiresAt"] == "2998-12-31T23:00:00.000Z"
    assert made["status"] == "ACTIVE"
    assert abs(parse_time(made["startsAt"]) - SystemClock().now() * 1000) < 5_000
    assert load_public().validator("Subscription").first_fault(made) is None
    assert subscriptions.get(APP, made["id"]) == made
    assert listed(subscriptions, APP) == [made]
    assert "sink.example.com" in everything(raw_store)
    assert "s3cret" not in everything(raw_store)


def test_what_the_contract_does_not_know_is_neither_kept_nor_shown(
    subscriptions: Subscriptions, raw_store: "redis.Redis"
) -> None:
    lies = {"expiresAt": "junk", "id": "mine", "status": "DELETED", "sinkCredentials": credential()}
    asked = request(
        detail={"device": {"phoneNumber": "+12025550100"}, "sessionId": "s1"},
        config={"secret": "s3cret"},
        protocolSettings={"headers": {"x-app": "1"}, "secret": "s3cret"},
    )
    made = subscriptions.create(APP, asked | lies)
    assert load_public().validator("Subscription").first_fault(made) is None
    assert "expiresAt" not in made
    assert (made["id"] == "mine", made["status"]) == (False, "ACTIVE")
    assert made["protocolSettings"] == {"headers": {"x-app": "1"}}
    assert set(made["config"]) == {"subscriptionDetail"}
    assert set(made["config"]["subscriptionDetail"]) == {"registrationId", "deviceId", "sessionId"}
    assert listed(subscriptions, APP) == [made]
    assert "s3cret" not in everything(raw_store)


def test_the_scope_of_the_requested_type_is_needed(subscriptions: Subscriptions) -> None:
    one = frozenset({f"webrtc-events:{EventType.REGISTRATION_ENDS}:create"})
    with pytest.raises(PermissionDenied):
        subscriptions.create(Caller("app", None, one), request())
    assert subscriptions.create(Caller("app", None, one), request(EventType.REGISTRATION_ENDS))["id"]


def test_several_types_are_not_supported(subscriptions: Subscriptions) -> None:
    asked = request(types=[EventType.SESSION_INVITATION.value, EventType.REGISTRATION_ENDS.value])
    with pytest.raises(Unprocessable) as caught:
        subscriptions.create(APP, asked)
    assert caught.value.code == "MULTIEVENT_SUBSCRIPTION_NOT_SUPPORTED"


@pytest.mark.parametrize("name", ["sessionId", "mediaSessionId"])
def test_a_session_goes_by_either_name(subscriptions: Subscriptions, name: str) -> None:
    made = subscriptions.create(APP, request(EventType.SESSION_STATUS, detail={name: "s1"}))
    assert made["config"]["subscriptionDetail"][name] == "s1"  # type: ignore[literal-required]


@pytest.mark.parametrize(
    "detail", [{}, {"sessionId": ""}, {"mediaSessionId": 7}, {"sessionId": "a", "mediaSessionId": "b"}]
)
def test_session_status_needs_one_session(subscriptions: Subscriptions, detail: dict[str, Any]) -> None:
    status, code, message = error(subscriptions, request(EventType.SESSION_STATUS, detail=detail))
    assert (status, code) == (400, "INVALID_ARGUMENT")
    assert "$.config.subscriptionDetail" in message


CONTROLS = ["\n", "\r", "\t", "\0", "\x1b", "\x7f"]


@pytest.mark.parametrize("name", ["registrationId", "sessionId", "mediaSessionId"])
def test_ids_that_no_gateway_can_name_are_refused(
    subscriptions: Subscriptions, raw_store: "redis.Redis", name: str
) -> None:
    """They would match nothing, without a word."""
    detail = {"sessionId": "s1"} if name == "registrationId" else {}
    for control, template in itertools.product(CONTROLS, ["{}a", "a{}b", "a{}"]):
        bad = template.format(control)
        asked = request(EventType.SESSION_STATUS, detail=detail | {name: bad})
        status, code, message = error(subscriptions, asked)
        assert (status, code) == (400, "INVALID_ARGUMENT"), repr(bad)
        fault = r"\$\.config\.subscriptionDetail\.(registrationId|sessionId): holds a control"
        assert re.match(fault, message), repr(bad)
        assert control not in message, repr(bad)
        assert kept_keys(raw_store) == ["partitions"], repr(bad)


def test_one_that_was_stored_with_a_line_end_is_still_shown_and_deleted(
    subscriptions: Subscriptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr(registration_subscriptions, "_CONTROL", re.compile("(?!)"))
        made = subscriptions.create(APP, request(detail={"registrationId": "r1\n"}))
    assert subscriptions.get(APP, made["id"]) == made
    assert listed(subscriptions, APP) == [made]
    subscriptions.delete(APP, made["id"])


@pytest.mark.parametrize(
    ("changes", "code", "path"),
    [
        ({"sink": "https://user@sink.example.com/"}, "INVALID_SINK", "$.sink"),
        ({"sink": "https://10.0.0.1/"}, "INVALID_SINK", "$.sink"),
        (
            {"detail": {"registrationId": ""}},
            "INVALID_ARGUMENT",
            "$.config.subscriptionDetail.registrationId",
        ),
        ({"sink": "https://sink.example.com:25/"}, "INVALID_SINK", "$.sink"),
        ({"protocolSettings": {"headers": {"Host": "x"}}}, "INVALID_ARGUMENT", "$.protocolSettings.headers"),
        (
            {"config": {"subscriptionExpireTime": "2020-01-01T00:00:00Z"}},
            "INVALID_ARGUMENT",
            "$.config.subscriptionExpireTime",
        ),
        (
            {"sinkCredential": credential("2020-01-01T00:00:00Z")},
            "INVALID_ARGUMENT",
            "$.sinkCredential.accessTokenExpiresUtc",
        ),
        ({"sinkCredential": credential(token="a b")}, "INVALID_ARGUMENT", "$.sinkCredential.accessToken"),
        # Of several faults, those of the request's form come first.
        (
            {"sinkCredential": credential(token="a b"), "sink": "https://10.0.0.1/"},
            "INVALID_ARGUMENT",
            "$.sinkCredential.accessToken",
        ),
        (
            {"config": {"subscriptionExpireTime": "0000-01-01T00:00:00Z"}},
            "INVALID_ARGUMENT",
            "$.config.subscriptionExpireTime",
        ),
    ],
)
def test_what_the_schemas_cannot_say_is_checked(
    subscriptions: Subscriptions, raw_store: "redis.Redis", changes: dict[str, Any], code: str, path: str
) -> None:
    status, found_code, message = error(subscriptions, request(**changes))
    assert (status, found_code) == (400, code)
    assert message.startswith(path)
    assert kept_keys(raw_store) == ["partitions"]


def test_another_clients_subscription_looks_like_none(subscriptions: Subscriptions) -> None:
    made = subscriptions.create(APP, request())
    for other in (Caller("other", None, SCOPES), Caller("app", "alice", SCOPES)):
        assert listed(subscriptions, other) == []
        with pytest.raises(NotFound):
            subscriptions.get(other, made["id"])
        with pytest.raises(NotFound):
            subscriptions.delete(other, made["id"])
    assert subscriptions.get(APP, made["id"]) == made


def test_a_deleted_subscription_is_gone(subscriptions: Subscriptions) -> None:
    made = subscriptions.create(APP, request())
    subscriptions.delete(APP, made["id"])
    assert listed(subscriptions, APP) == []
    for again in (subscriptions.get, subscriptions.delete):
        with pytest.raises(NotFound):
            again(APP, made["id"])


def test_a_three_legged_caller_is_shown_no_device(subscriptions: Subscriptions) -> None:
    alice = Caller("app", "alice", SCOPES)
    made = subscriptions.create(alice, request())
    assert "deviceId" not in made["config"]["subscriptionDetail"]
    assert subscriptions.get(alice, made["id"]) == made
    assert "deviceId" in subscriptions.create(APP, request())["config"]["subscriptionDetail"]


def test_times_are_read_in_any_zone(subscriptions: Subscriptions) -> None:
    soon = format_time(round(SystemClock().now() * 1000) + 60_000)
    assert subscriptions.create(APP, request(config={"subscriptionExpireTime": soon}))["expiresAt"] == soon


@pytest.mark.parametrize("max_events", [5.0, 10**90])
def test_any_json_integer_is_a_maximum(subscriptions: Subscriptions, max_events: float) -> None:
    made = subscriptions.create(APP, request(config={"subscriptionMaxEvents": max_events}))
    assert subscriptions.get(APP, made["id"])["config"]["subscriptionMaxEvents"] == max_events


def test_ports_of_sinks_are_those_of_the_setting(store: Store, settings: Settings) -> None:
    subscriptions = Subscriptions(
        store, SubscriptionOptions.of(dataclasses.replace(settings, sink_ports=PortSet.of(8443, 25)))
    )
    for port in (8443, 25):
        subscriptions.create(APP, request(sink=f"https://sink.example.com:{port}/"))
    fault = "$.sink: sink must use one of the ports 25, 8443"
    for authority in ("sink.example.com", "sink.example.com:9443"):
        asked = request(sink=f"https://{authority}/")
        assert error(subscriptions, asked) == (400, "INVALID_SINK", fault)


@pytest.mark.parametrize("name", ["Signature", "WebHook-Request-Origin", "X-Forwarded-For", "Host", "ce_id"])
def test_headers_of_the_service_are_not_the_subscribers(subscriptions: Subscriptions, name: str) -> None:
    status, code, message = error(subscriptions, request(protocolSettings={"headers": {name: "s3cret"}}))
    assert (status, code) == (400, "INVALID_ARGUMENT")
    assert message == f"$.protocolSettings.headers: header {name!r} is set by the service"
