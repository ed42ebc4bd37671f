"""When each event is due."""

import math

from hypothesis import given
from hypothesis import strategies as st

from webrtc_events.local.simulation.timetable import Due, Timetable


def _all(timetable: Timetable, step: int = 50) -> list[Due]:
    taken: list[Due] = []
    while (next_s := timetable.next_s) is not None:
        taken += timetable.take(next_s, step)
    return taken


def test_events_keep_their_distance_divided_by_the_speed() -> None:
    timetable = Timetable([0.0, 1.0, 10.0], calls=2, rate=0.5, speed=2)
    assert _all(timetable) == [
        Due(0.0, 0, 0),
        Due(0.5, 0, 1),
        Due(2.0, 1, 0),
        Due(2.5, 1, 1),
        Due(5.0, 0, 2),
        Due(7.0, 1, 2),
    ]


def test_at_the_greatest_speed_a_call_is_sent_at_once() -> None:
    timetable = Timetable([0.0, 1.0, 10.0], calls=2, rate=4, speed=math.inf)
    assert timetable.take(0.0, 50) == [Due(0.0, 0, event) for event in range(3)]
    assert timetable.take(0.2, 50) == []
    assert timetable.next_s == 0.25
    assert timetable.take(0.25, 2) == [Due(0.25, 1, 0), Due(0.25, 1, 1)]
    assert timetable.take(9.0, 50) == [Due(0.25, 1, 2)]
    assert timetable.next_s is None


@given(
    st.lists(st.floats(0, 100), min_size=1, max_size=6).map(sorted),
    st.integers(1, 40),
    st.floats(0.01, 500),
    st.sampled_from([0.1, 1, 7.3, 1000, math.inf]),
    st.integers(1, 5),
)
def test_each_event_is_given_once_by_time_and_a_call_in_order(
    offsets: list[float], calls: int, rate: float, speed: float, step: int
) -> None:
    offsets_s = [offset - offsets[0] for offset in offsets]
    given_events = _all(Timetable(offsets_s, calls=calls, rate=rate, speed=speed), step)
    assert len(given_events) == calls * len(offsets)
    for call in range(calls):
        assert [due.event for due in given_events if due.call == call] == list(range(len(offsets)))
    times = [due.at_s for due in given_events]
    assert times == sorted(times)
