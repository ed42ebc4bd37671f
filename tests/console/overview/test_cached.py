"""However many ask, a value is read every so often."""

import threading

import pytest

from tests.harness.clocks import SteppedClock
from webrtc_events.console.overview.cached import Cached
from webrtc_events.core.errors import Unavailable


def test_a_value_is_read_anew_when_it_is_old() -> None:
    clock, read = SteppedClock(), iter(range(10))
    cached = Cached(lambda: next(read), clock, 2.0)
    assert [cached.get(), cached.get()] == [0, 0]
    clock.sleep(1.9)
    assert cached.get() == 0
    clock.sleep(0.1)
    assert [cached.get(), cached.get()] == [1, 1]


def test_who_asks_while_it_is_read_gets_the_same() -> None:
    begun, go_on = threading.Event(), threading.Event()
    reads: list[int] = []

    def read() -> int:
        reads.append(1)
        begun.set()
        go_on.wait(10)
        return len(reads)

    cached = Cached(read, SteppedClock(), 2.0)
    found: list[int] = []
    asking = [threading.Thread(target=lambda: found.append(cached.get())) for _ in range(5)]
    for thread in asking:
        thread.start()
    assert begun.wait(10)
    go_on.set()
    for thread in asking:
        thread.join(10)
    assert (found, len(reads)) == ([1] * 5, 1)


def test_a_failure_is_not_kept() -> None:
    answers = iter([Unavailable(), 7])

    def read() -> int:
        answer = next(answers)
        if isinstance(answer, Unavailable):
            raise answer
        return answer

    cached = Cached(read, SteppedClock(), 2.0)
    with pytest.raises(Unavailable):
        cached.get()
    assert cached.get() == 7
