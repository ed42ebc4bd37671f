"""What `make soak` makes of its samples: a leak is found, and noise is none."""

import random

import pytest

from tests.soak.growth import Growth, Trend


def trend(values: list[float], every_s: float = 60.0) -> Trend:
    growth = Growth()
    for number, value in enumerate(values):
        growth.add(number * every_s, {"memory": value})
    (found,) = growth.trends()
    return found


def test_a_leak_of_two_percent_an_hour_is_found_in_noise() -> None:
    draw = random.Random(1)
    found = trend([100 + 2 * number / 60 + draw.uniform(-0.2, 0.2) for number in range(60)])
    assert found.percent_an_hour == pytest.approx(2, abs=0.4)
    assert found.too_much


def test_noise_and_what_fills_up_at_first_is_none() -> None:
    draw = random.Random(1)
    found = trend([min(100, 40 + 6 * number) + draw.uniform(-1, 1) for number in range(60)])
    assert abs(found.percent_an_hour) < 1
    assert not found.too_much


def test_one_round_that_stands_out_is_no_trend() -> None:
    found = trend([100.0] * 50 + [300.0] + [100.0] * 9)
    assert (found.percent, found.highest) == (0, 300)


def test_a_run_that_is_brief_finds_a_fast_leak_only() -> None:
    assert not trend([100 + number / 2 for number in range(10)]).too_much
    assert trend([100.0 + 3 * number for number in range(10)]).too_much
    assert not trend([100.0 + 3 * number for number in range(10)], every_s=30).too_much


def test_a_few_more_connections_are_no_leak_and_many_are() -> None:
    growth = Growth({"descriptors": 32.0})
    for number in range(40):
        growth.add(number * 90.0, {"few, descriptors": 60 + number / 3, "many, descriptors": 60 + 2 * number})
    few, many = growth.trends()
    assert not few.too_much
    assert many.too_much


def test_what_has_hardly_been_looked_at_has_no_trend() -> None:
    growth = Growth()
    for number in range(3):
        growth.add(number, {"memory": number})
    assert growth.trends() == []
