"""RFC 3339 to milliseconds and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webrtc_events.core.clock import format_time, parse_time


@pytest.mark.parametrize(
    ("text", "same_moment"),
    [
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"),
        ("2024-11-05t05:40:23.682z", "2024-11-05T05:40:23.682Z"),
        ("2024-11-05T05:40:23.6829999+01:00", "2024-11-05T04:40:23.682Z"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.000Z"),
        ("2016-12-31T23:59:60.5Z", "2016-12-31T23:59:59.500Z"),
    ],
)
def test_a_moment_is_read(text: str, same_moment: str) -> None:
    assert format_time(parse_time(text)) == same_moment


@pytest.mark.parametrize(
    "text", ["", "now", "2024-11-05T05:40:23", "2024-13-05T05:40:23Z", "0001-01-01T00:00:00+23:59"]
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the kind is the promise
        parse_time(text)


@given(st.integers(min_value=-62_135_596_800_000, max_value=253_402_300_799_999))
def test_every_millisecond_survives_the_round_trip(ms: int) -> None:
    assert parse_time(format_time(ms)) == ms
