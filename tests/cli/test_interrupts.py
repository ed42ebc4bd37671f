"""Ctrl-C in long work, wherever it comes."""

import signal
from collections.abc import Callable, Iterator

import pytest

from webrtc_events.cli.interrupts import interruptible


class Interrupting:
    """Ctrl-C while an object is removed: Python ignores what a destructor raises."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


def work(done: list[int], step: Callable[[int], object]) -> None:
    with interruptible(range(100)) as numbers:
        for number in numbers:
            step(number)
            done.append(number)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_that_python_ignores_ends_the_work() -> None:
    done: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        work(done, lambda number: number == 2 and Interrupting())
    assert done == [0, 1, 2]


def test_any_other_interrupt_comes_at_once() -> None:
    done: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        work(done, lambda number: number == 2 and signal.raise_signal(signal.SIGINT))
    assert done == [0, 1]


def test_it_is_python_s_own_again_behind_the_block() -> None:
    with interruptible(range(3)) as numbers:
        assert list(numbers) == [0, 1, 2]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.fixture
def ignored() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ignored")
def test_where_it_is_ignored_it_stays_so() -> None:
    with interruptible(range(3)) as numbers:
        next(numbers)
        signal.raise_signal(signal.SIGINT)
        assert list(numbers) == [1, 2]
