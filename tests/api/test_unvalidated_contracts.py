"""Each contract, in each form that is served, is what Connexion takes, which does not look at a start."""

import copy
from collections.abc import Callable
from functools import partial

import pytest
from connexion.exceptions import InvalidSpecification
from connexion.spec import OpenAPISpecification

from webrtc_events.api.application import _Document
from webrtc_events.contract.documents import load_channels, load_network, load_public, load_subscriptions
from webrtc_events.contract.openapi import Contract


@pytest.mark.parametrize(
    "load",
    [
        load_public,
        partial(load_public, strict_cloudevents=True),
        partial(load_public, by_client=True),
        load_subscriptions,
        load_network,
        load_channels,
    ],
    ids=["public", "public, strict", "public, strict for some", "next", "network", "channels"],
)
def test_connexion_takes_the_contract(load: Callable[[], Contract]) -> None:
    document = load().document
    OpenAPISpecification.from_dict(copy.deepcopy(document))
    # Connexion makes text of other keys, but only when it validates too.
    assert _text_keys(document)


def test_connexion_would_refuse_what_is_no_contract() -> None:
    document = copy.deepcopy(load_public().document)
    del document["paths"]["/subscriptions"]["get"]["responses"]
    with pytest.raises(InvalidSpecification, match="'responses' is a required property"):
        OpenAPISpecification.from_dict(document)


def test_a_start_does_not_validate_it_again() -> None:
    document = copy.deepcopy(load_public().document)
    del document["paths"]["/subscriptions"]["get"]["responses"]
    _Document(document)


def _text_keys(node: object) -> bool:
    if isinstance(node, dict):
        return all(isinstance(key, str) and _text_keys(value) for key, value in node.items())
    return all(map(_text_keys, node)) if isinstance(node, list) else True
