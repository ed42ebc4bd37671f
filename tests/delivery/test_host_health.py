"""How a host's pace follows from what came of its requests."""

import pytest

from webrtc_events.delivery.host_health import LONGEST_REST_S, SILENT_AFTER, Pace, Started
from webrtc_events.delivery.host_signals import Erred, Sign, Silent, Slower, Took

MOST = 8


class Talk:
    """One host, its clock moved by hand. `random` is 1 (nearly): rests are as long as they get."""

    def __init__(self, connections: int = MOST, random: float = 1.0) -> None:
        self.pace = Pace(in_flight=MOST, connections=connections)
        self.now_s = 100.0
        self._random = random

    def start(self) -> Started:
        return self.pace.start(self.now_s)

    def hear(self, sign: Sign | None, started: Started | None = None) -> None:
        self.pace.learn(started or self.start(), sign, self.now_s, lambda: self._random)

    def later(self, seconds: float) -> None:
        self.now_s += seconds

    @property
    def rest_s(self) -> float:
        return self.pace.rest_s(self.now_s)

    def answer(self, times: int = MOST) -> "Talk":
        for _ in range(times):
            self.hear(Took())
        return self


def test_a_new_host_is_asked_once_and_each_answer_widens() -> None:
    talk = Talk()
    assert (talk.pace.window, talk.pace.proven) == (1, False)
    widths = []
    for _ in range(10):
        talk.hear(Took())
        widths.append(talk.pace.window)
    assert widths == [2, 3, 4, 5, 6, 7, 8, 8, 8, 8]


def test_a_host_that_was_never_heard_is_left_alone_after_one_failure() -> None:
    talk = Talk()
    talk.hear(Silent())
    assert talk.rest_s == 1
    assert talk.pace.silent


def test_a_host_that_answered_is_left_alone_after_several_failures_in_a_row() -> None:
    talk = Talk().answer()
    for _ in range(SILENT_AFTER - 1):
        talk.hear(Silent())
    assert (talk.rest_s, talk.pace.window) == (0, MOST)
    talk.hear(Silent())
    assert (talk.rest_s, talk.pace.window, talk.pace.proven) == (1, 1, False)


@pytest.mark.parametrize("answer", [Took(), Erred(), Slower(0)])
def test_any_answer_in_between_shows_that_the_host_is_there(answer: Sign) -> None:
    """One path that hangs does not shut out the others of its host."""
    talk = Talk().answer()
    for _ in range(10):
        for _ in range(SILENT_AFTER - 1):
            talk.hear(Silent())
        talk.hear(answer)
    assert talk.rest_s == 0


def test_rests_double_up_to_the_longest_and_an_answer_makes_them_short_again() -> None:
    talk = Talk()
    rests = []
    for _ in range(2000):
        talk.hear(Silent())
        rests.append(talk.rest_s)
        talk.later(talk.rest_s)
    assert rests[:6] == [1, 2, 4, 8, LONGEST_REST_S, LONGEST_REST_S]
    assert set(rests[4:]) == {LONGEST_REST_S}
    talk.answer(1)
    for _ in range(SILENT_AFTER):
        talk.hear(Silent())
    assert talk.rest_s == 1


def test_rests_are_spread() -> None:
    talk = Talk(random=0.0)
    talk.hear(Silent())
    assert talk.rest_s == 0.5


def test_what_was_started_before_the_host_fell_silent_and_fails_later_says_nothing_new() -> None:
    talk = Talk().answer()
    old = [talk.start() for _ in range(MOST)]
    for each in old[:SILENT_AFTER]:
        talk.hear(Silent(), each)
    talk.later(talk.rest_s)
    probe = talk.start()
    for each in old[SILENT_AFTER:]:
        talk.hear(Silent(), each)
    assert talk.rest_s == 0
    talk.hear(Silent(), probe)
    assert talk.rest_s == 2


def test_an_answer_to_what_was_started_before_ends_the_rest() -> None:
    talk = Talk().answer()
    old = talk.start()
    for _ in range(SILENT_AFTER):
        talk.hear(Silent())
    talk.hear(Took(), old)
    assert (talk.rest_s, talk.pace.proven, talk.pace.silent, talk.pace.window) == (0, True, False, 2)


def test_after_a_rest_the_window_grows_from_one_again() -> None:
    talk = Talk().answer()
    for _ in range(SILENT_AFTER):
        talk.hear(Silent())
    talk.later(talk.rest_s)
    assert talk.pace.window == 1
    talk.hear(Took())
    assert talk.pace.window == 2


def test_an_error_neither_widens_nor_narrows() -> None:
    talk = Talk().answer(2)
    talk.hear(Erred())
    assert talk.pace.window == 3


def test_who_asks_for_less_gets_half_once_for_all_that_were_on_their_way_together() -> None:
    talk = Talk().answer()
    together = [talk.start() for _ in range(MOST)]
    for each in together:
        talk.hear(Slower(0), each)
    assert (talk.pace.window, talk.rest_s) == (MOST // 2, 0)
    talk.hear(Slower(0))
    talk.hear(Slower(0))
    talk.hear(Slower(0))
    assert talk.pace.window == 1


def test_a_retry_after_is_kept_within_bounds() -> None:
    talk = Talk().answer()
    talk.hear(Slower(7))
    assert talk.rest_s == 7
    assert not talk.pace.silent
    talk.hear(Slower(3600))
    assert talk.rest_s == LONGEST_REST_S
    talk.hear(Slower(1))
    assert talk.rest_s == LONGEST_REST_S


def test_a_later_request_answered_well_takes_a_pause_back_and_an_earlier_one_does_not() -> None:
    talk = Talk().answer()
    earlier, refused, later = talk.start(), talk.start(), talk.start()
    talk.hear(Slower(7), refused)
    talk.hear(Took(), earlier)
    assert talk.rest_s == 7
    talk.hear(Erred(), later)
    assert talk.rest_s == 7
    talk.hear(Took(), later)
    assert talk.rest_s == 0


def test_what_tells_nothing_changes_nothing() -> None:
    talk = Talk()
    talk.hear(None)
    assert (talk.pace.window, talk.pace.proven, talk.rest_s) == (1, False, 0)


def test_connections_bound_a_host_that_does_not_multiplex() -> None:
    talk = Talk(connections=3).answer(MOST)
    assert (talk.pace.window, talk.pace.most) == (3, 3)
    for _ in range(MOST):
        talk.hear(Took(multiplexed=True))
    assert (talk.pace.window, talk.pace.most) == (MOST, MOST)
    talk.hear(Took())
    assert (talk.pace.window, talk.pace.most) == (3, 3)


def test_answers_are_timed_and_what_it_took_to_find_it_silent_is_not() -> None:
    talk = Talk()
    for _ in range(3):
        probe = talk.start()
        talk.later(10)
        talk.hear(Silent(), probe)
        talk.later(talk.rest_s)
    started = talk.start()
    talk.later(0.25)
    talk.hear(Took(), started)
    assert talk.pace.answers_in_s == pytest.approx(0.25)
    started = talk.start()
    talk.later(1.05)
    talk.hear(Took(), started)
    assert talk.pace.answers_in_s == pytest.approx(0.35)


def test_how_long_silence_took_is_part_of_how_long_answers_take() -> None:
    talk = Talk().answer()
    started = talk.start()
    talk.later(2)
    talk.hear(Silent(), started)
    assert 0 < talk.pace.answers_in_s < 2


def test_any_answer_ends_the_rest() -> None:
    talk = Talk()
    talk.hear(Silent())
    assert talk.rest_s == 1
    talk.hear(Erred())
    assert talk.rest_s == 0


def test_half_of_an_odd_window_is_a_whole_number() -> None:
    talk = Talk().answer(4)
    assert talk.pace.window == 5
    talk.hear(Slower(0.5))
    assert (talk.pace.window, type(talk.pace.window)) == (2, int)
    assert talk.rest_s == 0.5


def test_what_was_started_before_any_later_silence_is_of_the_past() -> None:
    talk = Talk()
    started = []
    for _ in range(3):
        started.append(talk.start())
        talk.hear(Silent())
    assert not any(talk.pace.is_current(request) for request in started)
    assert talk.pace.is_current(talk.start())
