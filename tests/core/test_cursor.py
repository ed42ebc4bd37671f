"""Cursors: what is written is read, and nothing else is one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webrtc_events.core.cursor import format_cursor, parse_cursor

NUMBERS = st.dictionaries(st.integers(0, 9999), st.integers(0, 2**53), min_size=1, max_size=64)


@given(NUMBERS)
def test_a_cursor_is_read_as_it_was_written(numbers: dict[int, int]) -> None:
    assert parse_cursor(format_cursor(numbers)) == numbers


def test_its_text_is_short_and_in_order() -> None:
    assert format_cursor({40: 3, 12: 57}) == "12-57.40-3"


def test_of_a_partition_that_is_there_twice_the_smaller_counts() -> None:
    assert parse_cursor("1-7.1-5.1-9") == {1: 5}


@pytest.mark.parametrize(
    "text", ["", "1", "1-", "-1", "1-2.", ".1-2", "1-2,3-4", "1-2-3", "1-+2", "\u0661-1"]
)
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="id of an event"):
        parse_cursor(text)


def test_a_cursor_of_very_many_is_refused() -> None:
    with pytest.raises(ValueError, match="id of an event"):
        parse_cursor(".".join("1-1" for _ in range(1026)))
