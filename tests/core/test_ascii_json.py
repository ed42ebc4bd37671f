"""JSON as the store keeps it."""

import json

import pytest

from webrtc_events.core.ascii_json import ascii_json


@pytest.mark.parametrize(
    "value",
    [
        {"type": "a", "data": {"sdp": 'v=0\r\n\t"\\/\x00\x1f\x7f', "number": 1, "none": None, "yes": True}},
        [],
        {},
        ["registration-1", "tel:+12025550100"],
        10**99,
        -(10**30),
        [[{"a": [[]]}]],
        "é \u2028 😀",
        {"é": 1},
        ["of a damaged record: \udcff"],
    ],
)
def test_text_is_that_of_the_standard_library(value: object) -> None:
    assert ascii_json(value) == json.dumps(value, separators=(",", ":"))


@pytest.mark.parametrize(
    "number", [0.1, -0.0, 1e16, 1e-5, 5e-324, 1.7976931348623157e308, 123456789012345680.0]
)
def test_number_is_the_same_however_it_is_written(number: float) -> None:
    assert json.loads(ascii_json([number])) == [number]
