"""A sink answers again, or for the first time: what was postponed until then comes at once, and in order."""

from collections.abc import Callable, Iterator

import pytest
import redis

from tests.delivery.conftest import LIMITS, DispatcherDriver
from tests.delivery.simulated_time import P, SimulatedClaims, SimulatedClock, SimulatedRetries, simulated
from tests.harness.builders import append, created, invitation
from tests.harness.sinks import Answer, Received, RecordingSink
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.settings import Settings
from webrtc_events.delivery.dispatcher import DispatcherOptions
from webrtc_events.delivery.host_health import MAX_COOL_DOWN_S
from webrtc_events.delivery.host_limits import HostLimits
from webrtc_events.store.store import Store

SUBSCRIPTIONS, EVENTS = 30, 3
DOWN_S = 30.0


def hang_up(_: Received) -> Answer:
    raise ConnectionError


class Outage:
    """Subscriptions to a sink that hangs up, and a dispatcher whose time passes while nothing is sent."""

    def __init__(
        self,
        settings: Settings,
        sink: RecordingSink,
        make_driver: Callable[..., DispatcherDriver],
        hosts: HostLimits,
    ) -> None:
        self.clock = SimulatedClock(SystemClock().now())
        self.store: Store
        self.claims: SimulatedClaims
        self.store, self.claims = simulated(settings, self.clock)
        self.sink = sink
        sink.answer = hang_up
        options = DispatcherOptions(hosts, poll_s=0.01, limits=LIMITS)
        self.driver = make_driver(self.store, clock=self.clock, options=options, random=lambda: 0.9)

    def subscribe(self, count: int, path: str) -> list[str]:
        return [created(self.claims.at(), sink=self.sink.url_of(path)).id for _ in range(count)]

    def play(self, done: Callable[[], bool], step_s: float, max_s: float) -> None:
        until_s = self.clock.elapsed_s + max_s
        while not done():
            assert self.clock.elapsed_s < until_s
            self.driver.dispatcher.step()
            if self.driver.sink.in_flight == 0:
                self.clock.sleep(step_s)

    def pass_time(self, seconds: float) -> None:
        until_s = self.clock.elapsed_s + seconds
        self.play(lambda: self.clock.elapsed_s >= until_s, 0.5, seconds + 1)

    def wait_s(self) -> dict[str, float]:
        """In how long each subscription is due."""
        scores: list[tuple[str, float]] = self.driver.raw_store.zrange(P.due, 0, -1, withscores=True)
        return {name: score / 1000 - self.clock.now() for name, score in scores}


@pytest.fixture
def outage(
    settings: Settings, sink: RecordingSink, make_driver: Callable[..., DispatcherDriver]
) -> Iterator[Outage]:
    found = Outage(settings, sink, make_driver, HostLimits(in_flight=8))
    yield found
    found.store.close()


def test_what_was_postponed_comes_at_once_and_in_order(outage: Outage, raw_store: "redis.Redis") -> None:
    made = outage.subscribe(SUBSCRIPTIONS, "/")
    append(outage.claims.at(), *(invitation(number) for number in range(1, EVENTS + 1)))
    outage.pass_time(DOWN_S)
    tried = len(outage.sink.requests)
    answered: list[str] = []

    def answer(request: Received) -> Answer:
        answered.append(request.json["id"])
        return Answer()

    outage.sink.answer = answer
    outage.play(lambda: len(answered) > 0, 0.05, 3 * MAX_COOL_DOWN_S)
    back_s = outage.clock.elapsed_s
    waits_s = outage.wait_s().values()
    # By themselves most would come seconds later.
    assert sum(wait_s > 1 for wait_s in waits_s) > SUBSCRIPTIONS // 2
    assert sum(wait_s > 5 for wait_s in waits_s) > 0
    # On a busy machine the simulated time jumps between two scripts, and some are asked for 0.2 s later.
    outage.play(lambda: len(answered) >= SUBSCRIPTIONS * EVENTS, 0.01, 3.0)
    assert outage.clock.elapsed_s - back_s < 3
    assert len(answered) == len(set(answered)) == SUBSCRIPTIONS * EVENTS
    for subscription_id in made:
        of_one = [name for name in answered if name.startswith(subscription_id)]
        assert of_one == [f"{subscription_id}.{number}" for number in range(1, EVENTS + 1)]
    # Nobody was asked in vain for it.
    assert len(outage.sink.requests) == tried + len(answered)
    outage.play(lambda: outage.driver.dispatcher.idle and not raw_store.exists(P.due), 0.01, 1.0)


def test_the_pause_that_a_sink_asked_for_is_not_cut_short(outage: Outage) -> None:
    """One path asks for a pause; then the host is unreachable for a while."""
    (asks,) = outage.subscribe(1, "/asks")
    outage.sink.answer = lambda _: Answer(503, (("Retry-After", "100"),))
    append(outage.claims.at(), invitation(1))
    outage.play(lambda: bool(outage.sink.requests) and outage.driver.dispatcher.idle, 0.1, 5)
    outage.sink.answer = hang_up
    outage.subscribe(SUBSCRIPTIONS, "/")
    append(outage.claims.at(), invitation(2))
    outage.pass_time(DOWN_S)
    outage.sink.answer = lambda _: Answer()

    def delivered() -> int:
        return SUBSCRIPTIONS + 1 - len(outage.wait_s())

    outage.play(lambda: delivered() == SUBSCRIPTIONS, 0.05, 3 * MAX_COOL_DOWN_S)
    assert outage.wait_s().keys() == {asks}
    retries = outage.store.retries
    assert isinstance(retries, SimulatedRetries)
    assert retries.hastened > 0
    assert outage.wait_s()[asks] > 100 - outage.clock.elapsed_s - 2


def test_a_backlog_that_a_worker_finds_when_it_starts_goes_out_as_soon_as_its_host_answers(
    settings: Settings, sink: RecordingSink, make_driver: Callable[..., DispatcherDriver]
) -> None:
    """All is for a host that the worker has never asked. Most has no place to wait for its first answer."""
    start = Outage(settings, sink, make_driver, HostLimits())
    sink.answer = lambda _: Answer()
    made = start.subscribe(100, "/")
    append(start.claims.at(), invitation(1), invitation(2))
    start.play(lambda: len(sink.requests) == 200, 0.005, 60)
    # Not by its own moment, up to 0.3 s later. The simulated time says less: it jumps by some ms between two
    # scripts, and what is due in a moment is asked for 0.2 s later.
    retries = start.store.retries
    assert isinstance(retries, SimulatedRetries)
    assert retries.hastened > 20
    answered = [request.json["id"] for request in sink.requests]
    assert sorted(answered) == sorted(f"{name}.{number}" for name in made for number in (1, 2))
    assert [name for name in answered if name.startswith(made[0])] == [f"{made[0]}.1", f"{made[0]}.2"]
    start.store.close()
