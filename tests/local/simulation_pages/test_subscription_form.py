"""The form of a subscription has what the contract has."""

from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webrtc_events.contract.documents import load_public
from webrtc_events.contract.openapi import Contract
from webrtc_events.core.model import EventType
from webrtc_events.local.simulation.form_fields import FormErrors
from webrtc_events.local.simulation_pages.subscription_form import FieldKind, FormField, SubscriptionForm


@cache
def _contract() -> Contract:
    return load_public()


@cache
def _form() -> SubscriptionForm:
    return SubscriptionForm.of(_contract())


def _fields() -> dict[str, FormField]:
    return {field.name: field for field in _form().fields}


def test_there_is_a_field_for_each_value_what_is_needed_first() -> None:
    assert list(_fields()) == [
        "sink",
        "types",
        "config.subscriptionDetail.registrationId",
        "config.subscriptionDetail.deviceId",
        "config.subscriptionDetail.sessionId",
        "config.subscriptionExpireTime",
        "config.subscriptionMaxEvents",
        "config.initialEvent",
        "sinkCredential.accessToken",
        "sinkCredential.accessTokenExpiresUtc",
    ]
    assert [field.name for field in _form().fields if field.is_required] == list(_fields())[:3]
    assert [field.name for field in _form().fields if field.is_aside] == list(_fields())[-2:]


def test_a_field_is_of_the_kind_of_its_value() -> None:
    fields = _fields()
    assert fields["types"].choices == (
        (EventType.SESSION_STATUS, "session-status"),
        (EventType.SESSION_INVITATION, "session-invitation"),
        (EventType.REGISTRATION_ENDS, "registration-ends"),
    )
    assert (fields["config.subscriptionMaxEvents"].kind, fields["config.subscriptionMaxEvents"].minimum) == (
        FieldKind.NUMBER,
        1,
    )
    assert fields["config.initialEvent"].choices == (("false", "false"), ("true", "true"))
    assert fields["sink"].description == "The HTTPS address that notifications are posted to."
    assert all(field.description for field in fields.values())


def _required() -> dict[str, str]:
    return {
        "sink": "https://localhost:9443/x",
        "types": EventType.SESSION_INVITATION,
        "config.subscriptionDetail.registrationId": "r-1",
    }


def test_a_request_has_what_is_filled_in_and_what_is_no_choice() -> None:
    assert _form().request({**_required(), "config.initialEvent": "", "unknown": "x"}) == {
        "protocol": "HTTP",
        "sink": "https://localhost:9443/x",
        "types": [EventType.SESSION_INVITATION],
        "config": {"subscriptionDetail": {"registrationId": "r-1"}},
    }


def test_a_token_brings_its_constants() -> None:
    request = _form().request({**_required(), "sinkCredential.accessToken": "t"})
    assert request["sinkCredential"] == {
        "accessToken": "t",
        "accessTokenType": "bearer",
        "credentialType": "ACCESSTOKEN",
    }


def test_what_is_no_number_is_a_fault_of_its_field() -> None:
    with pytest.raises(FormErrors) as raised:
        _form().request({**_required(), "config.subscriptionMaxEvents": "many"})
    assert raised.value.fields == {"config.subscriptionMaxEvents": "must be a whole number"}


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "config.subscriptionDetail.sessionId": st.text("abc", min_size=1, max_size=5),
            "config.subscriptionExpireTime": st.just("2030-01-17T13:18:23.682Z"),
            "config.subscriptionMaxEvents": st.integers(1, 10**6).map(str),
            "config.initialEvent": st.sampled_from(["true", "false"]),
        },
    )
)
def test_each_request_is_valid_by_the_contract(more: dict[str, str]) -> None:
    request = _form().request({**_required(), **more})
    assert _contract().validator("SubscriptionRequest").first_fault(request) is None


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("$.sink: must use a port", {"sink": "must use a port"}),
        ("$.types[0]: is none", {"types": "is none"}),
        (
            "$.config.subscriptionDetail.sessionId: session-status needs one",
            {"config.subscriptionDetail.sessionId": "session-status needs one"},
        ),
        ("$.config: is missing", {"": "$.config: is missing"}),
        ("$.unheard: of", {"": "$.unheard: of"}),
        ("There are too many.", {"": "There are too many."}),
        ("sink: x", {"": "sink: x"}),
    ],
)
def test_a_refusal_is_shown_at_the_field_that_it_is_about(message: str, expected: dict[str, str]) -> None:
    assert _form().faults(message) == expected


def test_a_contract_with_other_members_has_other_fields() -> None:
    document: dict[str, Any] = {**_contract().document}
    schemas = {**document["components"]["schemas"]}
    schemas["Config"] = {
        **schemas["Config"],
        "properties": {**schemas["Config"]["properties"], "priority": {"type": "string", "enum": ["a", "b"]}},
    }
    changed = SubscriptionForm.of(Contract({**document, "components": {"schemas": schemas}}))
    (field,) = (field for field in changed.fields if field.name == "config.priority")
    assert (field.kind, field.choices) == (FieldKind.SELECT, (("a", "a"), ("b", "b")))
