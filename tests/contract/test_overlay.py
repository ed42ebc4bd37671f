"""OpenAPI overlays."""

from typing import Any

import pytest

from webrtc_events.contract.overlay import OverlayError, apply_overlay

DOCUMENT = {"a": {"b-c": [{"d": 1}, {"d": 2}]}, "paths": {"/x/{y}": {"get": {"tags": ["one"]}}}}


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ({"target": "$.a.b-c[1].d", "remove": True}, {"a": {"b-c": [{"d": 1}, {}]}}),
        ({"target": "$.a.b-c[0]", "remove": True}, {"a": {"b-c": [{"d": 2}]}}),
        ({"target": "$.a", "update": {"b-c": [3]}}, {"a": {"b-c": [{"d": 1}, {"d": 2}, 3]}}),
        ({"target": "$.a.b-c", "update": 3}, {"a": {"b-c": [{"d": 1}, {"d": 2}, 3]}}),
        ({"target": "$", "update": {"a": {"e": {"f": 1}}}}, {"a": {**DOCUMENT["a"], "e": {"f": 1}}}),
        (
            {"target": "$.paths['/x/{y}'].get", "update": {"summary": "z", "tags": ["two"]}},
            {"paths": {"/x/{y}": {"get": {"tags": ["one", "two"], "summary": "z"}}}},
        ),
    ],
)
def test_action_changes_a_copy(action: dict[str, Any], expected: dict[str, Any]) -> None:
    before = repr(DOCUMENT)
    assert apply_overlay(DOCUMENT, [action]) == {**DOCUMENT, **expected}
    assert repr(DOCUMENT) == before


@pytest.mark.parametrize(
    "action",
    [
        {"target": "$.missing", "remove": True},
        {"target": "$.a.b-c[7]", "update": {}},
        {"target": "$..d", "remove": True},
        {"target": "a", "update": {}},
        {"target": "$", "remove": True},
        {"target": "$.a.b-c[0].d", "update": {"x": 1}},
    ],
)
def test_target_that_names_nothing_is_an_error(action: dict[str, Any]) -> None:
    with pytest.raises(OverlayError):
        apply_overlay(DOCUMENT, [action])
