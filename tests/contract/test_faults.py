"""What is said of a value that breaks its schema: all of it, once, and none of the value."""

import time
from typing import Any

import pytest

from webrtc_events.contract.documents import load_network, load_public
from webrtc_events.contract.faults import Fault, summary
from webrtc_events.contract.schema_members import known_members
from webrtc_events.contract.validators import Validator

PUBLIC, NETWORK = load_public(), load_network()
PREFIX = "org.camaraproject.webrtc-events.v0."


def faults(name: str, instance: Any, contract: Any = PUBLIC) -> list[str]:
    return [str(fault) for fault in contract.validator(name).faults(instance)]


def request(**changes: Any) -> dict[str, Any]:
    return {
        "protocol": "HTTP",
        "sink": "https://localhost/",
        "types": [PREFIX + "session-invitation"],
        "config": {"subscriptionDetail": {"registrationId": "r1"}},
    } | changes


def test_what_is_missing_in_an_object_is_one_fault_with_what_may_be_misspelt() -> None:
    assert faults("SubscriptionRequest", {"protocol": "HTTP", "conf": {}, "type": []}) == [
        '$: "sink", "config" and "types" are missing; "conf" and "type" are not known here'
    ]
    assert faults("SubscriptionRequest", request(config={"details": {}})) == [
        '$.config: "subscriptionDetail" is missing; "details" is not known here'
    ]


def test_members_of_the_schema_that_the_discriminator_chose_are_known() -> None:
    credential = {"credentialType": "ACCESSTOKEN", "accessToken": "t", "expires": "now"}
    (fault,) = faults("SubscriptionRequest", request(sinkCredential=credential))
    assert fault == (
        '$.sinkCredential: "accessTokenExpiresUtc" and "accessTokenType" are missing; '
        '"expires" is not known here'
    )


def test_a_member_that_only_a_departure_adds_is_known() -> None:
    """Departure 2: `mediaSessionId` is another name of `sessionId`."""
    detail = {"mediaSessionId": "m1"}
    assert faults("SubscriptionRequest", request(config={"subscriptionDetail": detail})) == [
        '$.config.subscriptionDetail: "registrationId" is missing'
    ]


def test_unknown_members_alone_are_no_fault() -> None:
    assert faults("SubscriptionRequest", request(more=1)) == []


def test_value_that_is_checked_twice_is_one_fault() -> None:
    assert faults("SubscriptionRequest", request(protocol="MQTT")) == ['$.protocol: the value is not "HTTP"']


@pytest.mark.parametrize("names", [1, 12, 13, 5_000])
def test_many_names_make_a_short_text(names: int) -> None:
    schema = {"type": "object", "required": ["a"], "properties": {"a": {}}}
    instance = {f"x{number}": number for number in range(names)}
    (fault,) = Validator(schema, lambda _: frozenset("a")).faults(instance)
    assert fault.message.startswith('"a" is missing; "x0"')
    assert fault.message.endswith(" more are not known here") == (names > 12)
    assert len(fault.message) < 200


def test_long_and_hostile_names_are_cut() -> None:
    schema = {"properties": {"a": {}}, "additionalProperties": False}
    (fault,) = Validator(schema).faults({"x" * 100_000: 1, "y" * 100_000: 2})
    assert len(fault.message) < 700
    assert fault.rule == "additionalProperties"


def test_no_value_is_repeated() -> None:
    secret = "s3cret"
    for instance in (
        request(sinkCredential={"credentialType": secret}),
        request(protocol=secret, types=[secret]),
        request(sinkCredential={"credentialType": "ACCESSTOKEN", "accessToken": [secret]}),
        {"x": secret},
        [secret],
        secret,
    ):
        assert secret not in summary([*PUBLIC.validator("SubscriptionRequest").faults(instance)])


def test_of_very_many_faults_the_first_are_named() -> None:
    many = [Fault(f"$[{number}]", "type", "is wrong") for number in range(7)]
    assert summary(many[:5]).count("is wrong") == 5
    assert summary(many) == summary(many[:5]) + "; and 2 more"


def test_members_inside_a_batch_are_known() -> None:
    plain = {"items": {"$ref": "#/components/schemas/A"}}
    schemas: dict[str, Any] = {
        "A": {"allOf": [{"$ref": "#/components/schemas/B"}, {"properties": {"a": {}}}]},
        "B": {"properties": {"b": {"$ref": "#/components/schemas/A"}}},
    }
    assert known_members(plain, schemas, [0]) == {"a", "b"}
    assert known_members(plain, schemas, [3, "b", "b"]) == {"a", "b"}
    assert known_members(plain, schemas, [0, "a"]) is None
    assert known_members(plain, schemas, ["x", 1]) is None


def test_fault_names_what_an_event_of_its_type_lacks() -> None:
    event = {
        "id": "1",
        "source": "/gateway",
        "specversion": "1.0",
        "type": PREFIX + "session-status",
        "time": "2030-01-16T13:18:23Z",
        "data": {"mediaSession": "m1", "status": "Busy"},
    }
    assert faults("NetworkEvent", event, NETWORK) == [
        '$.data: "mediaSessionId" is missing; "mediaSession" is not known here'
    ]


def test_very_large_request_costs_no_more_than_a_large_one() -> None:
    """All errors of 60,000 items would take seconds, in which the service does nothing else."""
    validator = PUBLIC.validator("SubscriptionRequest")
    for instance in ({"types": [{}] * 60_000}, request(types=[{}] * 60_000), [[{}] * 100] * 1_000):
        started = time.thread_time()
        assert len(list(validator.faults(instance))) == 1
        assert time.thread_time() - started < 1
