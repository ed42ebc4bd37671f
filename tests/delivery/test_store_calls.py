"""A round in which no call was answered is an outage; one answer is enough."""

import pytest

from webrtc_events.core.errors import Unavailable
from webrtc_events.delivery.store_calls import StoreCalls


def away() -> list[int]:
    raise Unavailable


def test_a_round_without_calls_or_with_answers_is_none() -> None:
    calls = StoreCalls()
    calls.check()
    calls.begin_round()
    assert calls.call(lambda: [1]) == [1]
    calls.check()


@pytest.mark.parametrize("order", ["first", "last"])
def test_one_answer_is_enough(order: str) -> None:
    calls = StoreCalls()
    methods = [away, list[int]] if order == "first" else [list[int], away]
    assert [calls.call(method) for method in methods] == [
        None if method is away else [] for method in methods
    ]
    calls.check()


def test_a_round_that_had_no_answer_says_so_and_the_next_begins_anew() -> None:
    calls = StoreCalls()
    assert calls.call(away) is None
    with pytest.raises(Unavailable):
        calls.check()
    calls.call(list[int])
    calls.begin_round()
    assert calls.call(away) is None
    with pytest.raises(Unavailable):
        calls.check()
    calls.begin_round()
    calls.check()


def test_what_is_no_outage_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        StoreCalls().call(lambda: [1 // 0])
