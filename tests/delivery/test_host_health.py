"""How a host's health follows from the ends of its requests."""

import pytest

from webrtc_events.delivery.host_health import FAILURES_TO_OPEN, MAX_COOL_DOWN_S, HostHealth, StartedRequest
from webrtc_events.delivery.host_signals import Error, Healthy, HostSignal, Throttled, Unreachable

IN_FLIGHT = 8


class Talk:
    """One host, its clock moved by hand. `random` is 1 (nearly): cool_downs are as long as they get."""

    def __init__(self, connections: int = IN_FLIGHT, random: float = 1.0) -> None:
        self.health = HostHealth(in_flight=IN_FLIGHT, connections=connections)
        self.now_s = 100.0
        self._random = random

    def start(self) -> StartedRequest:
        return self.health.start(self.now_s)

    def hear(self, signal: HostSignal | None, started: StartedRequest | None = None) -> None:
        self.health.record(started or self.start(), signal, self.now_s, lambda: self._random)

    def later(self, seconds: float) -> None:
        self.now_s += seconds

    @property
    def cool_down_s(self) -> float:
        return self.health.cool_down_s(self.now_s)

    def answer(self, times: int = IN_FLIGHT) -> "Talk":
        for _ in range(times):
            self.hear(Healthy())
        return self


def test_a_new_host_is_asked_once_and_each_answer_widens() -> None:
    talk = Talk()
    assert (talk.health.limit, talk.health.answered) == (1, False)
    widths = []
    for _ in range(10):
        talk.hear(Healthy())
        widths.append(talk.health.limit)
    assert widths == [2, 3, 4, 5, 6, 7, 8, 8, 8, 8]


def test_a_host_that_was_never_heard_is_left_alone_after_one_failure() -> None:
    talk = Talk()
    talk.hear(Unreachable())
    assert talk.cool_down_s == 1
    assert talk.health.unreachable


def test_a_host_that_answered_is_left_alone_after_several_failures_in_a_row() -> None:
    talk = Talk().answer()
    for _ in range(FAILURES_TO_OPEN - 1):
        talk.hear(Unreachable())
    assert (talk.cool_down_s, talk.health.limit) == (0, IN_FLIGHT)
    talk.hear(Unreachable())
    assert (talk.cool_down_s, talk.health.limit, talk.health.answered) == (1, 1, False)


@pytest.mark.parametrize("answer", [Healthy(), Error(), Throttled(0)])
def test_any_answer_in_between_shows_that_the_host_is_there(answer: HostSignal) -> None:
    """One path that hangs does not shut out the others of its host."""
    talk = Talk().answer()
    for _ in range(10):
        for _ in range(FAILURES_TO_OPEN - 1):
            talk.hear(Unreachable())
        talk.hear(answer)
    assert talk.cool_down_s == 0


def test_cool_downs_double_up_to_the_longest_and_an_answer_makes_them_short_again() -> None:
    talk = Talk()
    cool_downs = []
    for _ in range(2000):
        talk.hear(Unreachable())
        cool_downs.append(talk.cool_down_s)
        talk.later(talk.cool_down_s)
    assert cool_downs[:6] == [1, 2, 4, 8, MAX_COOL_DOWN_S, MAX_COOL_DOWN_S]
    assert set(cool_downs[4:]) == {MAX_COOL_DOWN_S}
    talk.answer(1)
    for _ in range(FAILURES_TO_OPEN):
        talk.hear(Unreachable())
    assert talk.cool_down_s == 1


def test_cool_downs_are_spread() -> None:
    talk = Talk(random=0.0)
    talk.hear(Unreachable())
    assert talk.cool_down_s == 0.5


def test_what_was_started_before_the_circuit_opened_and_fails_later_says_nothing_new() -> None:
    talk = Talk().answer()
    old = [talk.start() for _ in range(IN_FLIGHT)]
    for started in old[:FAILURES_TO_OPEN]:
        talk.hear(Unreachable(), started)
    talk.later(talk.cool_down_s)
    probe = talk.start()
    for started in old[FAILURES_TO_OPEN:]:
        talk.hear(Unreachable(), started)
    assert talk.cool_down_s == 0
    talk.hear(Unreachable(), probe)
    assert talk.cool_down_s == 2


def test_an_answer_to_what_was_started_before_ends_the_cool_down() -> None:
    talk = Talk().answer()
    old = talk.start()
    for _ in range(FAILURES_TO_OPEN):
        talk.hear(Unreachable())
    talk.hear(Healthy(), old)
    assert (talk.cool_down_s, talk.health.answered, talk.health.unreachable, talk.health.limit) == (
        0,
        True,
        False,
        2,
    )


def test_after_a_cool_down_the_limit_grows_from_one_again() -> None:
    talk = Talk().answer()
    for _ in range(FAILURES_TO_OPEN):
        talk.hear(Unreachable())
    talk.later(talk.cool_down_s)
    assert talk.health.limit == 1
    talk.hear(Healthy())
    assert talk.health.limit == 2


def test_an_error_neither_widens_nor_narrows() -> None:
    talk = Talk().answer(2)
    talk.hear(Error())
    assert talk.health.limit == 3


def test_who_asks_for_less_gets_half_once_for_all_that_were_on_their_way_together() -> None:
    talk = Talk().answer()
    together = [talk.start() for _ in range(IN_FLIGHT)]
    for started in together:
        talk.hear(Throttled(0), started)
    assert (talk.health.limit, talk.cool_down_s) == (IN_FLIGHT // 2, 0)
    talk.hear(Throttled(0))
    talk.hear(Throttled(0))
    talk.hear(Throttled(0))
    assert talk.health.limit == 1


def test_a_retry_after_is_kept_within_bounds() -> None:
    talk = Talk().answer()
    talk.hear(Throttled(7))
    assert talk.cool_down_s == 7
    assert not talk.health.unreachable
    talk.hear(Throttled(3600))
    assert talk.cool_down_s == MAX_COOL_DOWN_S
    talk.hear(Throttled(1))
    assert talk.cool_down_s == MAX_COOL_DOWN_S


def test_a_later_request_answered_well_takes_a_pause_back_and_an_earlier_one_does_not() -> None:
    talk = Talk().answer()
    earlier, refused, later = talk.start(), talk.start(), talk.start()
    talk.hear(Throttled(7), refused)
    talk.hear(Healthy(), earlier)
    assert talk.cool_down_s == 7
    talk.hear(Error(), later)
    assert talk.cool_down_s == 7
    talk.hear(Healthy(), later)
    assert talk.cool_down_s == 0


def test_what_tells_nothing_changes_nothing() -> None:
    talk = Talk()
    talk.hear(None)
    assert (talk.health.limit, talk.health.answered, talk.cool_down_s) == (1, False, 0)


def test_connections_bound_a_host_that_does_not_multiplex() -> None:
    talk = Talk(connections=3).answer(IN_FLIGHT)
    assert (talk.health.limit, talk.health.max_limit) == (3, 3)
    for _ in range(IN_FLIGHT):
        talk.hear(Healthy(multiplexed=True))
    assert (talk.health.limit, talk.health.max_limit) == (IN_FLIGHT, IN_FLIGHT)
    talk.hear(Healthy())
    assert (talk.health.limit, talk.health.max_limit) == (3, 3)


def test_answers_are_timed_and_failures_to_reach_it_are_not() -> None:
    talk = Talk()
    for _ in range(3):
        probe = talk.start()
        talk.later(10)
        talk.hear(Unreachable(), probe)
        talk.later(talk.cool_down_s)
    started = talk.start()
    talk.later(0.25)
    talk.hear(Healthy(), started)
    assert talk.health.response_s == pytest.approx(0.25)
    started = talk.start()
    talk.later(1.05)
    talk.hear(Healthy(), started)
    assert talk.health.response_s == pytest.approx(0.35)


def test_the_time_of_an_unanswered_request_counts_as_answer_time() -> None:
    talk = Talk().answer()
    started = talk.start()
    talk.later(2)
    talk.hear(Unreachable(), started)
    assert 0 < talk.health.response_s < 2


def test_any_answer_ends_the_cool_down() -> None:
    talk = Talk()
    talk.hear(Unreachable())
    assert talk.cool_down_s == 1
    talk.hear(Error())
    assert talk.cool_down_s == 0


def test_half_of_an_odd_limit_is_a_whole_number() -> None:
    talk = Talk().answer(4)
    assert talk.health.limit == 5
    talk.hear(Throttled(0.5))
    assert (talk.health.limit, type(talk.health.limit)) == (2, int)
    assert talk.cool_down_s == 0.5


def test_what_was_started_before_any_later_silence_is_of_the_past() -> None:
    talk = Talk()
    started = []
    for _ in range(3):
        started.append(talk.start())
        talk.hear(Unreachable())
    assert not any(talk.health.is_current(request) for request in started)
    assert talk.health.is_current(talk.start())


def test_a_throttling_without_a_pause_does_not_keep_an_earlier_pause() -> None:
    talk = Talk().answer()
    refused, well, narrowed = talk.start(), talk.start(), talk.start()
    talk.hear(Throttled(7), refused)
    talk.hear(Throttled(0), narrowed)
    talk.hear(Healthy(), well)
    assert talk.cool_down_s == 0


def test_a_request_that_a_later_one_overtook_says_nothing_by_its_failure() -> None:
    talk = Talk().answer()
    overtaken, answered, in_turn = talk.start(), talk.start(), talk.start()
    talk.hear(Healthy(), answered)
    usual_s = talk.health.response_s
    assert [talk.health.is_overtaken(started) for started in (overtaken, in_turn)] == [True, False]
    talk.later(10)
    for _ in range(FAILURES_TO_OPEN):
        talk.hear(Unreachable(), overtaken)
    assert (talk.cool_down_s, talk.health.response_s) == (0, usual_s)
    talk.hear(Unreachable(), in_turn)
    assert talk.health.response_s > usual_s
    for _ in range(FAILURES_TO_OPEN - 1):
        talk.hear(Unreachable(), in_turn)
    assert talk.health.unreachable


@pytest.mark.parametrize(("usual_s", "hanging_s"), [(0.0, 1.0), (0.125, 1.0), (0.25, 1.0), (0.5, 2.0)])
def test_how_late_an_answer_is_that_of_a_path_alone(usual_s: float, hanging_s: float) -> None:
    """One second, or four times the usual. It does not count for how long the host's answers take."""
    for spent_s, counts in ((hanging_s - 0.0625, True), (hanging_s, False)):
        talk = Talk()
        for _ in range(50):
            started = talk.start()
            talk.later(usual_s)
            talk.hear(Healthy(), started)
        assert talk.health.hanging_s == hanging_s
        overtaken, answered = talk.start(), talk.start()
        talk.later(usual_s)
        talk.hear(Healthy(), answered)
        talk.later(spent_s - usual_s)
        talk.hear(Healthy(), overtaken)
        assert (talk.health.response_s > usual_s) is counts


def test_an_answer_that_none_overtook_counts_however_late() -> None:
    talk = Talk().answer()
    started = talk.start()
    talk.later(8)
    talk.hear(Healthy(), started)
    assert talk.health.response_s == 1
