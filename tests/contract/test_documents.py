"""The contracts as the service applies them."""

import copy
from typing import Any

import pytest

from webrtc_events.contract.discriminators import SchemaError, checked_schemas
from webrtc_events.contract.documents import load_network, load_public
from webrtc_events.contract.openapi import Contract

TIME = "2024-11-05T05:40:23Z"
PREFIX = "org.camaraproject.webrtc-events.v0."
PUBLIC = load_public()
STRICT = load_public(strict_cloudevents=True)
NETWORK = load_network()


def event(kind: str, data: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    head = {
        "id": "1",
        "source": "/s",
        "specversion": "1.0",
        "type": PREFIX + kind,
        "time": "2024-11-05T05:40:23Z",
    }
    return head | ({} if data is None else {"data": data}) | more


SESSION = {
    "subscriptionId": "s",
    "mediaSessionId": "m",
    "originatorAddress": "tel:+11234567899",
    "receiverAddress": "sip:bob@example.com",
    "status": "Ringing",
}
INVITATION = event("session-invitation", SESSION)
STATUS = event("session-status", SESSION, mediaSessionId="m", status="Ringing")
REGISTRATION_ENDS = event(
    "registration-ends", {"registrationId": "r", "terminationReason": "NETWORK_TERMINATED"}
)
ENDED = event("subscription-ended", {"subscriptionId": "s", "terminationReason": "SUBSCRIPTION_EXPIRED"})
REQUEST: dict[str, Any] = {
    "protocol": "HTTP",
    "sink": "https://example.com/sink",
    "sinkCredential": {
        "credentialType": "ACCESSTOKEN",
        "accessToken": "s3cret",
        "accessTokenExpiresUtc": "2030-01-01T00:00:00Z",
        "accessTokenType": "bearer",
    },
    "types": [PREFIX + "session-invitation"],
    "config": {"subscriptionDetail": {"registrationId": "r"}, "subscriptionMaxEvents": 5},
    "protocolSettings": {"method": "POST", "headers": {"X-A": "b"}},
}
RESOURCE = {name: value for name, value in REQUEST.items() if name != "sinkCredential"} | {"id": "i"}
ABSENT = object()


def changed(document: dict[str, Any], path: str, value: object) -> Any:
    """A copy with `value` at the dotted path, or without it if `value` is ABSENT."""
    result = copy.deepcopy(document)
    *parents, last = path.split(".")
    node = result
    for name in parents:
        node = node[name]
    if value is ABSENT:
        del node[last]
    else:
        node[last] = value
    return result


@pytest.mark.parametrize("contract", [PUBLIC, STRICT])
@pytest.mark.parametrize(
    "valid", [INVITATION, STATUS, REGISTRATION_ENDS, ENDED], ids=lambda event: event["type"]
)
def test_valid_events_pass(contract: Contract, valid: dict[str, Any]) -> None:
    assert contract.validator("CloudEvent").first_fault(valid) is None


@pytest.mark.parametrize(
    ("valid", "path", "value", "fault"),
    [
        (INVITATION, "type", PREFIX + "unheard-of", ("$.type", "enum")),
        (INVITATION, "type", ABSENT, ("$", "required")),
        (INVITATION, "type", PREFIX + "registration-ends", ("$.data", "required")),
        (INVITATION, "specversion", "0.3", ("$.specversion", "enum")),
        (INVITATION, "time", "2024-11-05T05:40:23", ("$.time", "format")),
        (INVITATION, "data", ABSENT, ("$", "required")),
        (INVITATION, "data.originatorAddress", ABSENT, ("$.data", "required")),
        (INVITATION, "data.receiverAddress", "tel:12", ("$.data.receiverAddress", "pattern")),
        (INVITATION, "data.status", "Singing", ("$.data.status", "enum")),
        (INVITATION, "data.offer", {"sdp": 1}, ("$.data.offer.sdp", "type")),
        (STATUS, "mediaSessionId", ABSENT, ("$", "required")),
        (STATUS, "status", ABSENT, ("$", "required")),
        (STATUS, "data.status", ABSENT, ("$.data", "required")),
        (STATUS, "data.mediaSessionId", ABSENT, ("$.data", "required")),
        (STATUS, "data.sequenceNumber", "1", ("$.data.sequenceNumber", "type")),
        (REGISTRATION_ENDS, "data", ABSENT, ("$", "required")),
        (REGISTRATION_ENDS, "data.registrationId", ABSENT, ("$.data", "required")),
        (REGISTRATION_ENDS, "data.terminationReason", "BORED", ("$.data.terminationReason", "enum")),
        (ENDED, "data.subscriptionId", ABSENT, ("$.data", "required")),
        (ENDED, "data.terminationReason", "REGISTRATION_EXPIRED", ("$.data.terminationReason", "enum")),
    ],
)
def test_event_is_held_to_the_schema_of_its_type(
    valid: dict[str, Any], path: str, value: object, fault: tuple[str, str]
) -> None:
    validator = PUBLIC.validator("CloudEvent")
    found = validator.first_fault(changed(valid, path, value))
    assert found is not None
    assert (found.path, found.rule) == fault


@pytest.mark.parametrize("instance", ["text", 1, None, []])
def test_event_is_an_object(instance: object) -> None:
    found = PUBLIC.validator("CloudEvent").first_fault(instance)
    assert found is not None
    assert (found.path, found.rule) == ("$", "type")


@pytest.mark.parametrize(
    ("path", "value", "rule", "at"),
    [
        ("protocol", "MQTT", "enum", "$.protocol"),
        ("protocolSettings.method", "GET", "enum", "$.protocolSettings.method"),
        ("protocolSettings.headers.X-A", 1, "type", "$.protocolSettings.headers['X-A']"),
        ("sinkCredential.credentialType", "PLAIN", "enum", "$.sinkCredential.credentialType"),
        ("sinkCredential.accessToken", ABSENT, "required", "$.sinkCredential"),
        ("sinkCredential.accessTokenType", "mac", "enum", "$.sinkCredential.accessTokenType"),
        ("sinkCredential.accessTokenExpiresUtc", "soon", "format", "$.sinkCredential.accessTokenExpiresUtc"),
        ("sink", "https://a/b\n", "format", "$.sink"),
        ("sink", "http://example.com", "pattern", "$.sink"),
        ("config.subscriptionDetail.deviceId", "7d44", "format", "$.config.subscriptionDetail.deviceId"),
        ("config.subscriptionMaxEvents", 0, "minimum", "$.config.subscriptionMaxEvents"),
        ("types", [], "minItems", "$.types"),
    ],
)
def test_request_is_held_to_the_schema_of_its_protocol(path: str, value: object, rule: str, at: str) -> None:
    validator = PUBLIC.validator("SubscriptionRequest")
    assert validator.first_fault(REQUEST) is None
    assert (at, rule) in {
        (fault.path, fault.rule) for fault in validator.faults(changed(REQUEST, path, value))
    }


@pytest.mark.parametrize(
    ("path", "value", "rule", "at"),
    [
        ("protocolSettings.method", "PUT", "enum", "$.protocolSettings.method"),
        ("protocol", "AMQP", "enum", "$.protocol"),
        ("id", ABSENT, "required", "$"),
    ],
)
def test_answer_is_held_to_the_schema_of_its_protocol(path: str, value: object, rule: str, at: str) -> None:
    validator = PUBLIC.validator("Subscription")
    assert validator.first_fault(RESOURCE) is None
    assert (at, rule) in {
        (fault.path, fault.rule) for fault in validator.faults(changed(RESOURCE, path, value))
    }


def test_faults_do_not_repeat_values() -> None:
    secret = "s3cret-value"
    for path in ("sinkCredential.accessToken", "sinkCredential.accessTokenType", "sink", "protocol", "types"):
        for value in (secret, [secret], {"x": secret}):
            for fault in PUBLIC.validator("SubscriptionRequest").faults(changed(REQUEST, path, value)):
                assert secret not in str(fault)


def test_fault_of_a_long_name_is_short() -> None:
    request = changed(REQUEST, "protocolSettings.headers", {"x" * 100_000: 1})
    assert all(len(str(fault)) < 1000 for fault in PUBLIC.validator("SubscriptionRequest").faults(request))


def test_strict_cloudevents_moves_the_session_into_data() -> None:
    bare = {name: value for name, value in STATUS.items() if name not in ("mediaSessionId", "status")}
    assert PUBLIC.validator("CloudEvent").first_fault(bare) is not None
    assert STRICT.validator("CloudEvent").first_fault(bare) is None
    for name in ("mediaSessionId", "status"):
        assert STRICT.validator("CloudEvent").first_fault(changed(bare, f"data.{name}", ABSENT)) is not None
    assert STRICT.validator("CloudEvent").first_fault(changed(bare, "data", ABSENT)) is not None


def test_the_document_says_which_clients_have_another_form() -> None:
    """The document stays that of the others."""
    contract = load_public(by_client=True)
    assert contract.document == PUBLIC.document
    schema = contract.reference["components"]["schemas"]["EventSessionStatus"]
    undocumented = PUBLIC.reference["components"]["schemas"]["EventSessionStatus"]
    assert "`data` only" in schema["description"]
    assert "`data` only" not in undocumented["description"]
    assert schema["allOf"] == undocumented["allOf"]


def test_departures_that_only_tell_are_in_the_reference_alone() -> None:
    def named(document: dict[str, Any]) -> set[str]:
        return set(document["components"]["schemas"]["WebrtcSubscriptionDetail"]["properties"])

    assert named(PUBLIC.reference) - named(PUBLIC.document) == {"mediaSessionId"}


@pytest.mark.parametrize("kind", ["subscription-ended", "unheard-of"])
def test_network_event_of_another_type_is_refused(kind: str) -> None:
    found = NETWORK.validator("NetworkEvent").first_fault(event(kind, {"subscriptionId": "s"}))
    assert found is not None
    assert found.path == "$.type"


def test_network_event_may_not_name_a_subscription() -> None:
    data = {name: value for name, value in SESSION.items() if name != "subscriptionId"}
    valid = event("session-invitation", data, subject="r")
    assert NETWORK.validator("NetworkEvent").first_fault(valid) is None
    found = NETWORK.validator("NetworkEvent").first_fault(changed(valid, "data.subscriptionId", "s"))
    assert found is not None
    assert found.path == "$.data"


def test_operations_are_known_by_their_ids() -> None:
    assert PUBLIC.base_path == "/webrtc-events/v0.2"
    assert NETWORK.base_path == "/network/v0"
    assert {operation.method for operation in PUBLIC.operations.values()} == {"GET", "POST", "DELETE"}
    assert NETWORK.operations["publishEvents"].scopes == {"webrtc-events:network"}
    assert set(NETWORK.operations["publishEvents"].bodies) == {
        "application/cloudevents+json",
        "application/cloudevents-batch+json",
        "application/json",
    }


@pytest.mark.parametrize(
    "schema",
    [
        {"discriminator": {"propertyName": "a"}},
        {
            "properties": {
                "a": {"discriminator": {"propertyName": "b", "mapping": {"c": "#/components/schemas/A"}}}
            }
        },
        {"properties": {"a": {"minimum": 1, "exclusiveMinimum": True}}},
    ],
)
def test_schema_that_would_lose_its_meaning_is_an_error(schema: dict[str, Any]) -> None:
    with pytest.raises(SchemaError):
        checked_schemas({"A": schema})


def test_nullable_and_siblings_of_references_mean_what_openapi_says() -> None:
    schemas = checked_schemas({
        "A": {"properties": {"b": {"type": "string", "nullable": True}, "c": {"$ref": "#/x", "maxLength": 1}}}
    })  # fmt: skip
    assert schemas["A"]["properties"] == {
        "b": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "c": {"$ref": "#/x"},
    }
