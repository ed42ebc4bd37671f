"""When no call is answered, that is an outage; one answer is enough. Who calls in a thread goes on."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.harness.clocks import SteppedClock
from tests.harness.valkeys import eventually
from webrtc_events.core.errors import Unavailable
from webrtc_events.delivery.store_calls import StoreAnswer, StoreCalls, StoreThread


def away() -> list[int]:
    raise Unavailable


class Rounds:
    """Calls, and what was taken of their answers. `ask` waits until the answer has been taken."""

    def __init__(self, calls: StoreCalls) -> None:
        self.calls = calls
        self.taken: list[Any] = []

    def start(self, method: Callable[[], list[int]]) -> None:
        self.calls.start(method, self._take)

    def _take(self, answer: StoreAnswer[list[int]]) -> None:
        self.taken.append(answer)

    def ask(self, method: Callable[[], list[int]]) -> list[int] | None:
        count = len(self.taken)
        self.start(method)
        eventually(lambda: self.calls.collect() or len(self.taken) > count, "the answer comes")
        found: list[int] | None = self.taken[-1].get()
        return found


@pytest.fixture(params=["at once", "in a thread"])
def rounds(request: pytest.FixtureRequest) -> Iterator[Rounds]:
    calls = StoreCalls() if request.param == "at once" else StoreThread(lambda: None, SteppedClock())
    yield Rounds(calls)
    assert calls.close(10)


def test_a_round_without_calls_or_with_answers_is_none(rounds: Rounds) -> None:
    rounds.calls.check()
    rounds.calls.begin_round()
    assert rounds.ask(lambda: [1]) == [1]
    rounds.calls.check()


@pytest.mark.parametrize("order", ["first", "last"])
def test_one_answer_is_enough(rounds: Rounds, order: str) -> None:
    methods = [away, list[int]] if order == "first" else [list[int], away]
    assert [rounds.ask(method) for method in methods] == [
        None if method is away else [] for method in methods
    ]
    rounds.calls.check()


def test_a_round_that_had_no_answer_says_so_and_the_next_begins_anew() -> None:
    rounds = Rounds(StoreCalls())
    assert rounds.ask(away) is None
    with pytest.raises(Unavailable):
        rounds.calls.check()
    rounds.ask(list[int])
    rounds.calls.begin_round()
    assert rounds.ask(away) is None
    with pytest.raises(Unavailable):
        rounds.calls.check()
    rounds.calls.begin_round()
    rounds.calls.check()


def is_outage(rounds: Rounds) -> bool:
    """As a round ends, and the next begins."""
    try:
        rounds.calls.check()
    except Unavailable:
        return True
    finally:
        rounds.calls.begin_round()
    return False


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def in_a_thread(clock: SteppedClock) -> Iterator[Rounds]:
    calls = StoreThread(lambda: None, clock)
    yield Rounds(calls)
    assert calls.close(10)


def test_a_node_that_is_out_is_no_outage_while_others_answer(
    in_a_thread: Rounds, clock: SteppedClock
) -> None:
    for _ in range(20):
        for method in (away, list[int]):
            clock.sleep(1)
            in_a_thread.ask(method)
            assert not is_outage(in_a_thread)


def test_an_outage_begins_after_seconds_without_an_answer_and_lasts_until_one_comes(
    in_a_thread: Rounds, clock: SteppedClock
) -> None:
    # Nothing is asked for long, which is no outage.
    in_a_thread.ask(list[int])
    clock.sleep(60)
    found = []
    for _ in range(4):
        in_a_thread.ask(away)
        found.append(is_outage(in_a_thread))
        # A round without any answer changes nothing.
        found.append(is_outage(in_a_thread))
        clock.sleep(1.5)
    assert found == [False] * 4 + [True] * 4
    assert in_a_thread.ask(list[int]) == []
    assert not is_outage(in_a_thread)
    in_a_thread.ask(away)
    assert not is_outage(in_a_thread)


def test_what_is_no_outage_is_raised_where_the_answer_is_taken(rounds: Rounds) -> None:
    with pytest.raises(ZeroDivisionError):
        rounds.ask(lambda: [1 // 0])
    # The next call is made all the same.
    assert rounds.ask(lambda: [2]) == [2]


def test_calls_in_a_thread_are_made_in_order_and_hold_nobody_up() -> None:
    woken: list[int] = []
    calls = StoreThread(lambda: woken.append(1), SteppedClock())
    rounds, go_on = Rounds(calls), threading.Event()

    def slow() -> list[int]:
        assert go_on.wait(30)
        return [1]

    rounds.start(slow)
    rounds.start(lambda: [2])
    calls.collect()
    assert rounds.taken == []
    go_on.set()
    eventually(lambda: len(woken) == 2, "both are answered")
    calls.collect()
    assert [answer.get() for answer in rounds.taken] == [[1], [2]]
    assert calls.close(10)


def test_a_thread_that_waits_for_the_store_is_not_waited_for_longer_than_that() -> None:
    calls, go_on = StoreThread(lambda: None, SteppedClock()), threading.Event()
    Rounds(calls).start(lambda: [1] * go_on.wait(30))
    assert not calls.close(0.01)
    go_on.set()
    assert calls.close(10)


def test_whoever_has_no_grace_left_finds_a_thread_without_work_ended() -> None:
    for _ in range(20):
        calls = StoreThread(lambda: None, SteppedClock())
        Rounds(calls).ask(list[int])
        assert calls.close(0)


class Broken(BaseException):
    """What no answer takes in."""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_is_alive_until_it_ends_by_a_bug_or_is_closed() -> None:
    def ends() -> list[int]:
        raise Broken

    for end in (ends, None):
        calls = StoreThread(lambda: None, SteppedClock())
        rounds = Rounds(calls)
        assert calls.alive()
        rounds.ask(list[int])
        assert calls.alive()
        if end is not None:
            rounds.start(end)
            eventually(lambda calls=calls: not calls.alive(), "it has ended")
        assert calls.close(10)
        assert not calls.alive()
