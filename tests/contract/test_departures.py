"""Departures from CAMARA's contract: an overlay, each one named with its reason."""

import copy
import re

import pytest
from openapi_spec_validator import OpenAPIV30SpecValidator

from tests.contract.specs import (
    ERRATA,
    PUBLIC,
    WIRE_FINGERPRINT,
    _at,
    _merge,
    _steps,
    actions,
    applied,
    component,
    faults,
    fingerprint,
    load,
    undescribed,
)

MODES = ("always-documented", "strict-cloudevents")
# In place of strict-cloudevents, where it is for some clients only.
BY_CLIENT = "strict-cloudevents-by-client"
TARGET = re.compile(r"\$(\.[A-Za-z_]\w*|\['[^']+'\]|\[\d+\])*")


def test_the_errata_are_an_overlay_of_the_public_document() -> None:
    errata = load(ERRATA)
    assert errata["overlay"] == "1.0.0"
    assert errata["info"].keys() == {"title", "version"}
    assert errata["extends"] == PUBLIC
    for action in errata["actions"]:
        assert TARGET.fullmatch(action["target"]), action["target"]
        assert ("update" in action) is not action.get("remove", False)


def test_every_departure_is_named_with_its_reason() -> None:
    departures = actions(*MODES, BY_CLIENT)
    assert len(departures) == len(load(ERRATA)["actions"])
    assert {action["x-departure"] for action in departures} == set(range(1, 9))
    for action in departures:
        assert action["description"].startswith(f"Departure {action['x-departure']}. ")


def test_only_the_form_of_session_status_depends_on_the_mode() -> None:
    assert {action["x-departure"] for action in actions("strict-cloudevents", BY_CLIENT)} == {1}


@pytest.mark.parametrize(
    "modes", [MODES[:1], MODES, (MODES[0], BY_CLIENT)], ids=["default", "strict", "by client"]
)
def test_the_overlay_leaves_a_valid_and_described_document(modes: tuple[str, ...]) -> None:
    document = applied(*modes)
    assert list(OpenAPIV30SpecValidator(document).iter_errors()) == []
    assert list(undescribed(document)) == []


@pytest.mark.parametrize("modes", [MODES, (MODES[0], BY_CLIENT)], ids=["strict", "by client"])
def test_no_action_undoes_another(modes: tuple[str, ...]) -> None:
    document = applied(*modes)
    for action in actions(*modes):
        if "update" in action:
            # Lists are left out: they grow when they are added to twice.
            plain = {key: value for key, value in action["update"].items() if not isinstance(value, list)}
            again = copy.deepcopy(document)
            _merge(_at(again, _steps(action["target"])), plain)
            assert again == document, action["target"]


@pytest.mark.parametrize("modes", [MODES[:1], (MODES[0], BY_CLIENT)], ids=["default", "by client"])
def test_what_is_only_documented_changes_the_wire_in_one_tolerated_property(modes: tuple[str, ...]) -> None:
    document = applied(*modes)
    del document["components"]["schemas"]["WebrtcSubscriptionDetail"]["properties"]["mediaSessionId"]
    assert fingerprint(document) == WIRE_FINGERPRINT


def test_the_overlay_mends_the_examples_that_fail_as_published() -> None:
    assert faults(applied("always-documented")).keys() == {"SESSION_UPDATE"}
    assert faults(applied(*MODES)) == {}


@pytest.mark.parametrize("missing", ["mediaSessionId", "status"])
def test_strict_mode_moves_the_requirement_into_data(missing: str) -> None:
    document = applied("strict-cloudevents")
    event = document["components"]["examples"]["SESSION_UPDATE"]["value"]
    strict = component(document, "CloudEvent")
    assert strict.is_valid(event)
    del event["data"][missing]
    assert not strict.is_valid(event)
