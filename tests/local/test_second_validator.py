"""The second validator: what it accepts, and that it finds each kind of fault."""

import json
from importlib.resources import files
from typing import Any

import pytest
import yaml

from webrtc_events.local.sink.second_validator import SecondValidator, of_devices_document

_HEADERS = [("Content-Type", "application/cloudevents+json"), ("x-correlator", "c-1")]
_EXAMPLES = ["NEW_SESSION_INCOMING", "SESSION_CONNECTED", "REGISTRATION_ENDS", "SUBSCRIPTION_ENDED"]


@pytest.fixture(scope="module", params=[False, True], ids=["default", "strict"])
def strict(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="module")
def validator(strict: bool) -> SecondValidator:
    return SecondValidator(strict=strict)


@pytest.fixture(scope="module")
def examples() -> dict[str, Any]:
    document = yaml.load(
        files("webrtc_events").joinpath("spec", "webrtc-events.yaml").read_text(), yaml.SafeLoader
    )
    return {name: example["value"] for name, example in document["components"]["examples"].items()}


def _event(examples: dict[str, Any], name: str, strict: bool) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(json.dumps(examples[name], default=str))
    if strict and name == "SESSION_CONNECTED":
        del event["mediaSessionId"], event["status"]
    return event


def _fault(validator: SecondValidator, event: Any) -> str | None:
    return validator.fault(_HEADERS, json.dumps(event).encode())


@pytest.mark.parametrize("name", _EXAMPLES)
def test_contract_examples_are_valid(
    validator: SecondValidator, examples: dict[str, Any], strict: bool, name: str
) -> None:
    assert _fault(validator, _event(examples, name, strict)) is None


@pytest.mark.parametrize("name", _EXAMPLES)
@pytest.mark.parametrize("member", ["id", "source", "specversion", "type", "time"])
def test_missing_attribute_is_invalid(
    validator: SecondValidator, examples: dict[str, Any], strict: bool, name: str, member: str
) -> None:
    event = _event(examples, name, strict)
    del event[member]
    assert _fault(validator, event)


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("NEW_SESSION_INCOMING", ["data", "originatorAddress"], "12025550143"),
        ("NEW_SESSION_INCOMING", ["data", "sequenceNumber"], "1"),
        ("SESSION_CONNECTED", ["data", "status"], "Chatting"),
        ("SESSION_CONNECTED", ["data", "mediaSessionId"], 7),
        ("REGISTRATION_ENDS", ["data", "terminationReason"], "BORED"),
        ("SUBSCRIPTION_ENDED", ["data", "terminationReason"], "REGISTRATION_EXPIRED"),
        ("SUBSCRIPTION_ENDED", ["time"], "yesterday"),
        ("SUBSCRIPTION_ENDED", ["source"], ""),
    ],
)
def test_wrong_value_is_invalid_and_named(
    validator: SecondValidator, examples: dict[str, Any], strict: bool, name: str, path: list[str], value: Any
) -> None:
    event = _event(examples, name, strict)
    target = event
    for part in path[:-1]:
        target = target[part]
    target[path[-1]] = value
    assert path[-1] in str(_fault(validator, event))


def test_event_of_another_type_is_invalid(
    validator: SecondValidator, examples: dict[str, Any], strict: bool
) -> None:
    event = _event(examples, "REGISTRATION_ENDS", strict)
    event["type"] = "org.camaraproject.webrtc-events.v0.session-invitation"
    assert "originatorAddress" in str(_fault(validator, event))
    event["type"] = "org.example.unknown"
    assert "org.example.unknown" in str(_fault(validator, event))


def test_session_status_has_the_form_that_is_set(
    validator: SecondValidator, examples: dict[str, Any], strict: bool
) -> None:
    """Each form is the other's fault."""
    event = _event(examples, "SESSION_CONNECTED", not strict)
    assert _fault(validator, event)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"\xff", b'{"id": NaN}', b'{"id": "a", "id": "b"}', b"[" * 100_000]
)
def test_what_is_no_event_is_invalid(validator: SecondValidator, body: bytes) -> None:
    fault = validator.fault(_HEADERS, body)
    assert fault
    assert len(fault) <= 300


def test_other_media_type_is_invalid(validator: SecondValidator, examples: dict[str, Any]) -> None:
    body = json.dumps(examples["SUBSCRIPTION_ENDED"], default=str).encode()
    assert validator.fault([("Content-Type", "application/json")], body)
    assert validator.fault([], body)


def test_wrong_correlator_is_invalid(validator: SecondValidator, examples: dict[str, Any]) -> None:
    body = json.dumps(examples["SUBSCRIPTION_ENDED"], default=str).encode()
    assert "x-correlator" in str(validator.fault([_HEADERS[0], ("x-correlator", "a b")], body))


def test_each_example_of_the_next_contract_is_valid_by_that_one_alone(validator: SecondValidator) -> None:
    next_one = SecondValidator.of_device_subscriptions()
    document = of_devices_document()
    operation = document["paths"]["/notifications"]["post"]
    named = operation["requestBody"]["content"]["application/cloudevents+json"]["examples"]
    assert len(named) >= 5
    for name in named:
        event = document["components"]["examples"][name]["value"]
        assert _fault(next_one, json.loads(json.dumps(event, default=str))) is None, name
        assert _fault(validator, json.loads(json.dumps(event, default=str))) is not None, name


def test_what_is_missing_by_the_next_contract_is_found(validator: SecondValidator) -> None:
    next_one = SecondValidator.of_device_subscriptions()
    event = of_devices_document()["components"]["examples"]["NEW_SESSION_INCOMING"]["value"]
    del event["data"]["mediaSessionId"]
    assert "mediaSessionId" in str(_fault(next_one, json.loads(json.dumps(event, default=str))))
