"""A dispatcher that calls the store in a thread claims ahead, settles behind, and promises the same."""

import contextlib
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.delivery.conftest import DispatcherDriver
from tests.delivery.deliveries import BreaksAtSettle, Make, WaitedFor, sequence
from tests.harness.builders import append, created, invitation, with_claims
from tests.harness.clocks import SteppedClock
from tests.harness.sinks import RecordingSink
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.settings import Settings
from webrtc_events.store.claims import ClaimRound, Claims
from webrtc_events.store.keys import Partition
from webrtc_events.store.script_steps import ScriptStep
from webrtc_events.store.settlements import Settlement, SettleOutcome
from webrtc_events.store.store import Store


class Holds(Claims):
    """The real claims; answers of claims, or of settles, that have something in them are held back."""

    held: str
    asked: threading.Event
    go_on: threading.Event

    def claiming(self, partitions: Sequence[Partition], **limits: Any) -> ScriptStep[ClaimRound]:
        step = super().claiming(partitions, **limits)

        def run() -> ClaimRound:
            found = step.run()
            self._hold("claim", found.claims)
            return found

        return WaitedFor(run)

    def settling(self, settlements: Sequence[Settlement]) -> ScriptStep[list[SettleOutcome]]:
        step = super().settling(settlements)

        def run() -> list[SettleOutcome]:
            found = step.run()
            self._hold("settle", found)
            return found

        return WaitedFor(run)

    def _hold(self, kind: str, found: Sequence[Any]) -> None:
        if found and kind == self.held:
            self.asked.set()
            assert self.go_on.wait(30)


@pytest.fixture
def hold(settings: Settings) -> Callable[[str], tuple[Store, Holds]]:
    def of(kind: str) -> tuple[Store, Holds]:
        store = Store.connect(settings)
        claims = with_claims(store, Holds)
        claims.held, claims.asked, claims.go_on = kind, threading.Event(), threading.Event()
        return store, claims

    return of


def step_until(driver: DispatcherDriver, reached: Callable[[], bool], *, claiming: bool = True) -> None:
    until_s = SystemClock().monotonic() + 30
    while not reached():
        assert SystemClock().monotonic() < until_s
        with contextlib.suppress(Unavailable):
            driver.dispatcher.step(claiming=claiming)


@pytest.mark.parametrize("calls", ["in a thread", "in the loop"])
def test_all_is_delivered_in_order_and_settled_once(
    store: Store, sink: RecordingSink, make_driver: Make, calls: str
) -> None:
    made = [created(store, sink=sink.url_of(f"/{number}"), max_events=40) for number in range(5)]
    append(store, *(invitation(number) for number in range(1, 41)))
    driver = make_driver(calls=calls)
    step_until(driver, lambda: driver.dispatcher.idle and not driver.raw_store.keys("*:due"))
    for number in range(len(made)):
        requests = [request for request in sink.requests if request.path == f"/{number}"]
        assert sequence(requests) == [*range(1, 41), "MAX_EVENTS_REACHED"]


@pytest.mark.parametrize("kind", ["claim", "settle"])
def test_sinks_go_on_while_the_store_holds_an_answer_back(
    store: Store,
    sink: RecordingSink,
    make_driver: Make,
    hold: Callable[[str], tuple[Store, Holds]],
    kind: str,
) -> None:
    created(store, sink=sink.url_of("/first"))
    created(store, sink=sink.url_of("/second"), registration="r2")
    append(store, *(invitation(number) for number in range(1, 17)))
    slow, claims = hold("")
    driver = make_driver(slow, calls="in a thread")
    step_until(driver, lambda: bool(sink.requests))
    claims.held = kind
    append(store, invitation(1, registration="r2"))
    # Whatever is held back, the sixteen of the first claim are delivered.
    step_until(driver, lambda: claims.asked.is_set() and len(sink.requests) >= 16)
    assert not driver.dispatcher.idle
    claims.go_on.set()
    step_until(driver, lambda: driver.dispatcher.idle and len(sink.requests) == 17)
    assert sequence([request for request in sink.requests if request.path == "/first"]) == [*range(1, 17)]
    slow.close()


def test_a_claim_that_is_under_way_when_it_stops_is_given_back_at_once(
    store: Store, sink: RecordingSink, make_driver: Make, hold: Callable[[str], tuple[Store, Holds]]
) -> None:
    created(store, sink=sink.url)
    append(store, invitation(1), invitation(2))
    slow, claims = hold("claim")
    stopping = make_driver(slow, calls="in a thread")
    step_until(stopping, claims.asked.is_set)
    stopping.dispatcher.step(claiming=False)
    assert not stopping.dispatcher.idle
    assert sink.requests == []
    claims.go_on.set()
    step_until(stopping, lambda: stopping.dispatcher.idle, claiming=False)
    assert sink.requests == []
    # Its lease is not waited for.
    make_driver().run()
    assert sequence(sink.requests) == [1, 2]
    slow.close()


@pytest.mark.parametrize("calls", ["at once", "in a thread"])
@pytest.mark.parametrize("cut", ["request", "answer", "node"])
def test_a_settle_that_failed_is_done_again_and_repeats_nothing(
    settings: Settings, store: Store, sink: RecordingSink, make_driver: Make, cut: str, calls: str
) -> None:
    created(store, sink=sink.url, max_events=2)
    append(store, invitation(1))
    broken = Store.connect(settings)
    claims = with_claims(broken, BreaksAtSettle)
    claims.cut = [cut]
    driver = make_driver(broken, calls=calls)
    step_until(driver, lambda: not claims.cut and driver.dispatcher.idle)
    append(store, invitation(2))
    step_until(driver, lambda: driver.dispatcher.idle and not driver.raw_store.keys("*:due"))
    broken.close()
    assert sequence(sink.requests) == [1, 2, "MAX_EVENTS_REACHED"]


def unanswered(*_: Any, **__: Any) -> list[Any]:
    raise Unavailable


def rounds_until_outage(driver: DispatcherDriver, clock: SteppedClock) -> int | None:
    """Of half a second each; None if there is none within 30 s."""
    for number in range(60):
        try:
            driver.dispatcher.step()
        except Unavailable:
            return number
        clock.sleep(0.5)
    return None


def test_an_outage_is_reported(store: Store, make_driver: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    for part, name in ((store.claims, "claiming"), (store.claims, "look"), (store.workers, "beat")):
        monkeypatch.setattr(part, name, unanswered)
    clock = SteppedClock()
    assert rounds_until_outage(make_driver(calls="in a thread", clock=clock), clock) is not None


def test_what_one_node_does_not_answer_holds_up_no_round(
    store: Store, make_driver: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers come in other rounds than their calls: here most rounds have that of the node that is out."""
    monkeypatch.setattr(store.workers, "beat", unanswered)
    clock = SteppedClock()
    assert rounds_until_outage(make_driver(calls="in a thread", clock=clock), clock) is None
