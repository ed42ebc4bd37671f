"""An array of items that are known to conform is not validated again where its schema says no more."""

import pytest

from webrtc_events.contract.documents import load_public, load_subscriptions
from webrtc_events.contract.openapi import Contract
from webrtc_events.contract.validators import KnownItems, Validator


def of_list(contract: Contract) -> Validator:
    operation = contract.operations["retrieveNotificationChannelSubscriptionList"]
    return operation.responses["200"]["application/json"]


@pytest.mark.parametrize(("count", "expected"), [(0, True), (100, True), (101, False), (None, False)])
def test_a_page_of_0_3_may_have_a_hundred(count: int | None, expected: bool) -> None:
    contract = load_subscriptions()
    assert of_list(contract).takes(KnownItems(contract.validator("Subscription"), count)) == expected


def test_a_list_of_0_2_may_have_any_number() -> None:
    contract = load_public()
    held_to = contract.validator("Subscription")
    assert of_list(contract).takes(KnownItems(held_to, None))
    assert of_list(contract).takes(KnownItems(held_to, 100_000))


def test_items_that_were_held_to_something_else_are_validated() -> None:
    contract, other = load_public(), load_subscriptions()
    assert not of_list(contract).takes(KnownItems(None, 1))
    assert not of_list(contract).takes(KnownItems(other.validator("Subscription"), 1))
    assert not of_list(contract).takes(KnownItems(contract.validator("Config"), 1))
    # No array at all.
    assert not contract.validator("Subscription").takes(KnownItems(contract.validator("Subscription"), 1))


@pytest.mark.parametrize(
    ("more", "expected"),
    [({}, True), ({"minItems": 0}, True), ({"minItems": 1}, False), ({"uniqueItems": True}, False)],
)
def test_an_array_that_says_more_is_validated(more: dict[str, object], expected: bool) -> None:
    contract = load_public()
    array = contract.validator_for(
        {"type": "array", "items": {"$ref": "#/components/schemas/Subscription"}, **more}
    )
    assert array.takes(KnownItems(contract.validator("Subscription"), 1)) == expected
