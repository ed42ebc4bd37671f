"""Which partitions are swept when."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from webrtc_events.store.sweep_schedule import WHOLE_ROUND_S, Look, SweepSchedule

PARTITIONS = 64
NOTHING = Look(None, has_more=False)


def looks(found: Mapping[int, Look]) -> dict[int, Look]:
    """Of all partitions; the others have nothing."""
    return dict.fromkeys(range(PARTITIONS), NOTHING) | found


class Clocks:
    """The time of all partitions is the monotonic clock's and `ahead_s`."""

    def __init__(self) -> None:
        self.schedule = SweepSchedule(PARTITIONS, round_s=1.0)
        self.ahead_s = 1_000_000.0

    def round(self, now_s: float, found: Mapping[int, Look] | None = None) -> list[int]:
        numbers = self.schedule.due(looks(found or {}), now_s)
        self.clock_was_set = self.schedule.swept(dict.fromkeys(numbers, self.ahead_s * 1000))
        return numbers

    def ms(self, now_s: float) -> float:
        return (now_s + self.ahead_s) * 1000


def test_all_are_swept_at_first_then_a_few_in_turns() -> None:
    clocks = Clocks()
    assert clocks.round(0.0) == list(range(PARTITIONS))
    rounds = [clocks.round(float(now)) for now in range(1, 1 + int(WHOLE_ROUND_S))]
    assert {len(numbers) for numbers in rounds} == {1}
    assert sorted(number for numbers in rounds for number in numbers) == list(range(PARTITIONS))


@given(st.integers(20, PARTITIONS - 1), st.floats(0.5, 60.0))
def test_an_end_is_due_once_its_moment_has_come(number: int, delay_s: float) -> None:
    clocks = Clocks()
    clocks.round(0.0)
    found = {number: Look(clocks.ms(delay_s), has_more=False)}
    assert number not in clocks.schedule.due(looks(found), delay_s - 0.01)
    assert number in clocks.schedule.due(looks(found), delay_s + 0.01)


def test_an_end_that_comes_earlier_than_what_was_known_is_due_at_its_own_moment() -> None:
    clocks = Clocks()
    clocks.round(0.0)
    assert 40 not in clocks.round(1.0, {40: Look(clocks.ms(3600), has_more=False)})
    assert 40 in clocks.round(2.0, {40: Look(clocks.ms(1.5), has_more=False)})


def test_what_has_work_without_a_moment_is_due_at_once() -> None:
    clocks = Clocks()
    clocks.round(0.0)
    assert 40 in clocks.round(1.0, {40: Look(None, has_more=True)})


def test_what_cannot_be_looked_at_is_swept_for_its_sweep_to_say_why() -> None:
    clocks = Clocks()
    clocks.round(0.0)
    assert 40 in clocks.schedule.due({n: NOTHING for n in range(PARTITIONS) if n != 40}, 1.0)


def test_what_could_not_be_reached_is_swept_in_the_next_round_again() -> None:
    clocks = Clocks()
    clocks.round(0.0)
    assert not clocks.schedule.swept({40: None})
    assert 40 in clocks.round(1.0)


def test_after_a_store_clock_was_set_all_are_swept_once() -> None:
    clocks = Clocks()
    clocks.round(0.0)
    for jump_s in (3600.0, -7200.0):
        clocks.ahead_s += jump_s
        assert len(clocks.round(1.0)) == 1
        assert clocks.clock_was_set
        assert len(clocks.round(1.1)) == PARTITIONS
        assert not clocks.clock_was_set
        assert len(clocks.round(2.0)) == 1
