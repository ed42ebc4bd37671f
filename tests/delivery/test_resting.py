"""A dispatcher with nothing to do: how seldom it comes round, and that it misses nothing meanwhile."""

from typing import Any

import pytest

from tests.delivery.conftest import DispatcherDriver
from tests.delivery.deliveries import Make, P, sequence
from tests.harness.builders import append, created, invitation
from tests.harness.clocks import SteppedClock
from tests.harness.sinks import RecordingSink
from webrtc_events.delivery.dispatcher import DispatcherOptions
from webrtc_events.store.store import Store

POLL_S = DispatcherOptions().poll_s
HOUR_S = 3600.0


class Resting:
    """A dispatcher as in production, whose clock is the test's.

    `waits_s`: for how long each round would have waited.
    """

    def __init__(self, make_driver: Make, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = SteppedClock()
        self.waits_s: list[float] = []
        self.claims = 0
        self.driver: DispatcherDriver = make_driver(clock=self.clock, options=DispatcherOptions())
        poll, claiming = self.driver.sink.poll, store.claims.claiming

        def polled(timeout_s: float) -> Any:
            self.waits_s.append(timeout_s)
            # Until what is on its way is there; for nothing else.
            return poll(0.0 if self.driver.dispatcher.idle else 1.0)

        def claimed(*args: Any, **options: Any) -> Any:
            self.claims += 1
            return claiming(*args, **options)

        monkeypatch.setattr(self.driver.sink, "poll", polled)
        monkeypatch.setattr(store.claims, "claiming", claimed)

    def rest(self, seconds: float) -> None:
        """Nobody wakes it: each round comes when the one before would have waited enough."""
        until_s = self.clock.elapsed + seconds
        while self.clock.elapsed < until_s:
            self.driver.dispatcher.step()
            self.clock.sleep(self.waits_s[-1])

    def rounds(self) -> int:
        """How many it takes until nothing is in hand, beginning now."""
        for number in range(1, 50):
            self.driver.dispatcher.step()
            if self.driver.dispatcher.idle and not self.driver.raw_store.exists(P.due):
                return number
        raise AssertionError("still busy")


@pytest.fixture
def resting(make_driver: Make, store: Store, monkeypatch: pytest.MonkeyPatch) -> Resting:
    return Resting(make_driver, store, monkeypatch)


def test_with_nothing_in_hand_it_waits_until_the_next_look(store: Store, resting: Resting) -> None:
    created(store)
    resting.rest(60)
    assert len(resting.waits_s) <= 60 / POLL_S + 2
    assert resting.claims == 0


def test_what_nobody_announced_is_found_by_the_next_look(
    store: Store, sink: RecordingSink, resting: Resting
) -> None:
    created(store, sink=sink.url)
    resting.rest(10)
    append(store, invitation(1))
    resting.rest(POLL_S)
    resting.rounds()
    assert sequence(sink.requests) == [1]


def test_the_first_event_after_an_hour_takes_as_many_rounds_as_any(
    store: Store, sink: RecordingSink, resting: Resting
) -> None:
    created(store, sink=sink.url)
    taken = []
    for number, silence_s in enumerate((0.0, 0.0, 1.0, HOUR_S, 0.0), 1):
        resting.rest(silence_s)
        append(store, invitation(number))
        resting.driver.dispatcher.notice(P.number)
        taken.append(resting.rounds())
    assert sequence(sink.requests) == [1, 2, 3, 4, 5]
    # The first made the connection to the sink.
    assert taken[3] <= taken[0]
    assert max(taken[1:]) <= taken[0]
