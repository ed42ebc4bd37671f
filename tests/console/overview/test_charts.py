"""A chart shows each minute, and says in words what it shows."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webrtc_events.console.overview.charts import bar_chart, scale_of

# 10:00 UTC of some day.
LAST = 1_800_007_200_000 // 60_000


@given(st.lists(st.one_of(st.none(), st.integers(0, 10**9)), min_size=2, max_size=61))
def test_no_bar_is_higher_than_the_scale_and_every_count_is_seen(values: list[int | None]) -> None:
    chart = bar_chart("Accepted", "per minute", LAST, values, kind="accepted")
    assert chart.top >= max(4, *(value or 0 for value in values))
    heights = [int(height) for height in re.findall(r"v-(\d+)", chart.svg)]
    assert len(heights) == sum(bool(value) for value in values)
    assert all(2 <= height <= 100 for height in heights)


@pytest.mark.parametrize(
    ("most", "top"),
    [(0, 4), (4, 4), (5, 5), (9, 10), (10, 10), (11, 20), (95, 100), (301, 400), (1001, 2000)],
)
def test_the_scale_is_a_round_number(most: int, top: int) -> None:
    assert scale_of([None, most]) == top


def test_the_text_says_what_the_picture_shows() -> None:
    chart = bar_chart("Accepted", "per minute", LAST, [1, 1204, 0, 7, 3], kind="accepted")
    text = (
        "Accepted, per minute, the last 4 minutes: 7 in the last whole minute, at most 1,204, at 09:57 UTC."
    )
    assert f'role="img" aria-label="{text}"' in chart.svg


def test_the_minute_that_goes_on_is_drawn_apart() -> None:
    chart = bar_chart("Accepted", "per minute", LAST, [0, 2, 4], kind="accepted")
    whole, now = re.findall(r'class="bars[^"]*" d="([^"]*)"', chart.svg)
    assert (whole, now) == ("M11 100v-50h8v50z", "M21 100v-100h8v100z")


def test_where_nothing_happened_it_says_so() -> None:
    chart = bar_chart("Given up", "per minute", LAST, [0, None, 0], kind="given-up")
    assert "0 in the last whole minute, none before." in chart.svg


def test_what_is_written_into_it_is_text() -> None:
    chart = bar_chart('<x y="z">', "per minute", LAST, [0, 1], kind="accepted")
    assert "&lt;x y=&#34;z&#34;&gt;" in chart.svg
