"""A sink is down for ten minutes, in simulated time, and comes back."""

import dataclasses
import threading
from collections.abc import Callable, Iterator, Sequence
from random import Random

import pytest
import redis

from tests.delivery.conftest import LIMITS, DispatcherDriver
from tests.delivery.simulated_time import P, SimulatedClock, simulated
from tests.harness.builders import append, created, invitation
from tests.harness.sinks import Answer, Received, RecordingSink
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.settings import Settings
from webrtc_events.delivery.dispatcher import DispatcherOptions
from webrtc_events.delivery.host_health import MAX_COOL_DOWN_S
from webrtc_events.delivery.host_limits import HostLimits

pytestmark = pytest.mark.slow

SUBSCRIPTIONS = 15
EVERY_S = 10.0
DOWN_S, BACK_S, END_S = 10.0, 610.0, 700.0
DEADLINE_S = 120.0
IN_FLIGHT = 8
STEP_S = 1.0
SEED = 7


class Arrivals:
    """An answer that notes the store's time of each request and how many are with the sink at once."""

    def __init__(self, clock: SimulatedClock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._pause = threading.Event()
        self._answered = 0
        self.at_s: dict[str, float] = {}
        self.waves: list[tuple[int, int]] = []

    def __call__(self, request: Received) -> Answer:
        with self._lock:
            self.at_s[request.json["id"]] = self._clock.elapsed_s
            self.waves.append((len(self.at_s) - self._answered, self._answered))
        self._pause.wait(0.005)
        with self._lock:
            self._answered += 1
        return Answer()


def hang_up(_: Received) -> Answer:
    raise ConnectionError


def test_a_sink_that_is_back_after_ten_minutes_is_not_overrun_and_gets_what_is_not_too_late(
    settings: Settings,
    sink: RecordingSink,
    make_driver: Callable[..., DispatcherDriver],
    raw_store: "redis.Redis",
) -> None:
    clock = SimulatedClock(SystemClock().now())
    settings = dataclasses.replace(settings, dead_letters=10_000)
    store, claims = simulated(settings, clock)
    subscriptions = [created(claims.at(), sink=sink.url).id for _ in range(SUBSCRIPTIONS)]
    options = DispatcherOptions(HostLimits(in_flight=IN_FLIGHT), poll_s=0.01, limits=LIMITS)
    running = make_driver(store, clock=clock, options=options, random=Random(SEED).random)
    sink.answer = arrivals = Arrivals(clock)
    accepted_s: list[float] = []

    def play(until_s: float) -> None:
        """An event every ten seconds; time passes only while nothing is on its way."""
        while clock.elapsed_s < until_s:
            if clock.elapsed_s >= EVERY_S * len(accepted_s) and clock.elapsed_s < BACK_S + EVERY_S:
                accepted_s.append(clock.elapsed_s)
                append(claims.at(), invitation(len(accepted_s)))
            running.dispatcher.step()
            if running.sink.in_flight == 0:
                clock.sleep(STEP_S)

    play(DOWN_S)
    assert len(arrivals.at_s) == SUBSCRIPTIONS
    sink.answer = hang_up
    claims.claimed = 0
    asked_before = len(sink.requests)
    play(BACK_S)
    asked_when_down = len(sink.requests) - asked_before
    claimed_when_down = claims.claimed
    arrivals.waves.clear()
    sink.answer = arrivals
    play(END_S)
    store.close()

    # While it was down it was asked by one at a time, and the others came by seldom: to look whether
    # it is back, and at the deadline of an event. A rest is half of the longest at least, and what goes
    # out on a connection that was closed meanwhile goes out again.
    cool_downs = (BACK_S - DOWN_S) / (MAX_COOL_DOWN_S / 2)
    assert asked_when_down <= cool_downs + 2 * IN_FLIGHT
    assert claimed_when_down <= SUBSCRIPTIONS * (cool_downs + len(accepted_s))

    check_no_rush(arrivals)
    late = {dead_letter["event"] for dead_letter in dead_letters(raw_store)}
    check_each_event(arrivals, accepted_s, subscriptions, late)


def check_no_rush(arrivals: Arrivals) -> None:
    """When it was back: one at first, then never more than twice as many as it had answered before."""
    answered_before = arrivals.waves[0][1]
    for with_the_sink, answered in arrivals.waves:
        assert with_the_sink <= min(answered - answered_before + 1, IN_FLIGHT)
    assert max(with_the_sink for with_the_sink, _ in arrivals.waves) > IN_FLIGHT // 2


def check_each_event(
    arrivals: Arrivals, accepted_s: Sequence[float], subscriptions: Sequence[str], late: set[str]
) -> None:
    """Nothing too late was sent, nothing that had time enough was given up, and nothing was lost."""
    for number, moment in enumerate(accepted_s, 1):
        for subscription_id in subscriptions:
            event = f"{subscription_id}.{number}"
            assert (event in arrivals.at_s) != (event in late)
            if event in arrivals.at_s:
                # The store's time goes on by some milliseconds while it works.
                assert arrivals.at_s[event] < moment + DEADLINE_S + STEP_S / 2
            else:
                assert moment + DEADLINE_S < BACK_S + 2 * MAX_COOL_DOWN_S
    for subscription_id in subscriptions:
        times = [arrivals.at_s.get(f"{subscription_id}.{number}") for number in range(1, len(accepted_s) + 1)]
        sent = [at for at in times if at is not None]
        assert sent == sorted(sent)


def dead_letters(raw_store: "redis.Redis") -> Iterator[dict[str, str]]:
    for _, dead_letter in raw_store.xrange(P.dead):
        number, _, _ = dead_letter["entry"].partition(" ")
        assert dead_letter["reason"] == "deadline_exceeded"
        yield dead_letter | {"event": f"{dead_letter['subscription']}.{number}"}
