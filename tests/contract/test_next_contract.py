"""The contract to come is the public one but for what is listed here."""

from collections.abc import Iterator

import pytest
from openapi_spec_validator import OpenAPIV30SpecValidator

from tests.contract.specs import (
    A_TIME,
    NEXT,
    Json,
    _at,
    _merge,
    _steps,
    actions,
    applied,
    component,
    faults,
    load,
)

# Besides these, and the form of session-status that strict mode has now, it is the public document.
NEW_IN_NEXT = {
    "components/examples/RENEW_CREDENTIAL",
    "components/examples/RENEW_EXPIRY",
    "components/responses/SubscriptionEnded409",
    "components/responses/UpdateSubscriptionBadRequest400",
    "components/schemas/SubscriptionUpdateConfig",
    "components/schemas/SubscriptionUpdateRequest",
    "paths//subscriptions/{subscriptionId}/put",
}
OTHER_IN_NEXT = {"info/description", "info/version", "servers/0/url", "tags/0/description"}


def differences(ours: Json, theirs: Json, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """(what, where) for each place at which `theirs` is new, gone or other than `ours`."""
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        ours, theirs = dict(enumerate(ours)), dict(enumerate(theirs))
    if isinstance(ours, dict) and isinstance(theirs, dict):
        yield from (("gone", "/".join((*path, str(key)))) for key in ours.keys() - theirs.keys())
        yield from (("new", "/".join((*path, str(key)))) for key in theirs.keys() - ours.keys())
        for key in ours.keys() & theirs.keys():
            yield from differences(ours[key], theirs[key], (*path, str(key)))
    elif ours != theirs:
        yield "other", "/".join(path)


def test_the_next_document_is_the_public_one_but_for_what_is_listed() -> None:
    expected = {("new", departure) for departure in NEW_IN_NEXT} | {
        ("other", departure) for departure in OTHER_IN_NEXT
    }
    assert set(differences(applied("strict-cloudevents"), load(NEXT))) == expected


def test_a_drift_between_the_two_is_found() -> None:
    document = load(NEXT)
    document["components"]["schemas"]["Config"]["properties"]["subscriptionMaxEvents"]["minimum"] = 2
    del document["components"]["schemas"]["Subscription"]["required"][0]
    found = set(differences(load(NEXT), document))
    assert found == {
        ("other", "components/schemas/Config/properties/subscriptionMaxEvents/minimum"),
        ("other", "components/schemas/Subscription/required"),
    }


def test_what_is_always_documented_holds_for_the_next_document_too() -> None:
    document = load(NEXT)
    for action in actions("always-documented"):
        *parents, last = _steps(action["target"])
        parent = _at(document, parents)
        if action.get("remove"):
            del parent[last]
        else:
            _merge(parent[last], action["update"])
    assert list(OpenAPIV30SpecValidator(document).iter_errors()) == []
    assert faults(document) == {}


@pytest.mark.parametrize(
    ("update", "good"),
    [
        ({"config": {"subscriptionExpireTime": A_TIME}}, True),
        ({}, False),
        ({"config": {}}, False),
        ({"config": {"subscriptionExpireTime": "2024-11-05T05:40:23"}}, False),
        ({"config": {"subscriptionMaxEvents": 5}}, False),
        ({"subscriptionExpireTime": A_TIME}, False),
        ({"sink": "https://notifications.example.com/webrtc"}, False),
        ({"sinkCredential": {"credentialType": "ACCESSTOKEN"}}, False),
    ],
)
def test_an_update_renews_something_and_nothing_else(update: dict[str, Json], good: bool) -> None:
    assert component(load(NEXT), "SubscriptionUpdateRequest").is_valid(update) is good
