"""Simulations from their start to their end, on a clock that is moved by those who wait."""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.harness.clocks import NOW, SteppedClock
from tests.harness.commands import eventually
from tests.local.simulation.gateway_side import GatewaySide, SteppedStop, gateway_side
from webrtc_events.core.clock import SystemClock, parse_time
from webrtc_events.core.model import EventType
from webrtc_events.local.demo.http_client import HttpClient
from webrtc_events.local.local_error import LocalError
from webrtc_events.local.recordings import load_recording
from webrtc_events.local.simulation.call_plan import CallPlan, Outcome
from webrtc_events.local.simulation.compose import compose
from webrtc_events.local.simulation.progress import Progress, State
from webrtc_events.local.simulation.request import SimulationRequest
from webrtc_events.local.simulation.simulations import Simulations

_DECLINED = CallPlan(outcome=Outcome.DECLINED)
_LONG = CallPlan(ringing_s=300)

Simulate = Callable[..., Progress]


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def side(clock: SteppedClock) -> Iterator[GatewaySide]:
    with gateway_side(clock) as side:
        yield side


@pytest.fixture
def simulate(side: GatewaySide, clock: SteppedClock) -> Simulate:
    """Simulates to the end. `stop_at_s`: when somebody asks to stop."""

    def run(call: CallPlan | str, *, stop_at_s: float | None = None, **changes: Any) -> Progress:
        simulations = Simulations(side.url, HttpClient, clock, lambda: SteppedStop(clock, stop_at_s))
        name = simulations.start(SimulationRequest(call=call, **changes))
        assert simulations.wait(name, 30)
        found = simulations.progress(name)
        assert found is not None
        return found

    return run


def _sessions(side: GatewaySide) -> Counter[str]:
    return Counter(event["data"]["mediaSessionId"] for _, event in side.events)


def test_a_call_is_played_with_its_distances(side: GatewaySide, simulate: Simulate) -> None:
    done = simulate(CallPlan(ringing_s=3, talk_s=20))
    events = compose(CallPlan(ringing_s=3, talk_s=20))
    first = parse_time(events[0]["time"])
    distances = [(parse_time(event["time"]) - first) / 1000 for event in events]
    assert [at_s for at_s, _ in side.events] == pytest.approx(distances)
    assert [event["data"]["status"] for _, event in side.events] == [
        event["data"]["status"] for event in events
    ]
    assert (done.state, done.calls_started, done.events, done.accepted) == (State.FINISHED, 1, 5, 5)
    assert (done.failed, done.notifications, done.message) == (0, 5, "")
    assert done.elapsed_s == pytest.approx(distances[-1])


def test_speed_divides_the_distances(side: GatewaySide, simulate: Simulate) -> None:
    real_time = simulate(_DECLINED).elapsed_s
    assert simulate(_DECLINED, speed=10).elapsed_s == pytest.approx(real_time / 10)
    assert simulate(_DECLINED, speed=math.inf).elapsed_s == 0


def test_calls_start_at_the_rate(side: GatewaySide, simulate: Simulate) -> None:
    done = simulate(_DECLINED, calls=5, rate=2, speed=math.inf)
    begun = [at_s for at_s, event in side.events if event["type"] == EventType.SESSION_INVITATION]
    assert begun == pytest.approx([0, 0.5, 1, 1.5, 2])
    assert (done.calls_started, done.events, done.accepted) == (5, 20, 20)


def test_many_calls_are_in_progress_at_once_each_in_order(side: GatewaySide, simulate: Simulate) -> None:
    done = simulate(CallPlan(ringing_s=2, talk_s=5), calls=200, rate=100)
    assert done.accepted == 1000
    by_session: dict[str, list[int]] = {}
    for _, event in side.events:
        data = event["data"]
        by_session.setdefault(data["mediaSessionId"], []).append(data["sequenceNumber"])
    assert len(by_session) == 200
    assert all(numbers == [1, 2, 3, 4, 5] for numbers in by_session.values())
    assert len({event["id"] for _, event in side.events}) == 1000
    assert max(len(batch) for _, batch in side.batches) <= 50


def test_events_have_the_time_at_which_they_are_sent(side: GatewaySide, simulate: Simulate) -> None:
    simulate("hold-resume")
    for at_s, event in side.events:
        assert abs(parse_time(event["time"]) - (NOW + at_s) * 1000) <= 1


@pytest.mark.parametrize("name", ["answered", "registration-expired", "no-answer"])
def test_a_recorded_call_is_played_whole_under_new_names(
    side: GatewaySide, simulate: Simulate, name: str
) -> None:
    recorded = load_recording(name)
    done = simulate(name)
    sent = [event for _, event in side.events]
    assert [event["type"] for event in sent] == [event["type"] for event in recorded]
    assert [event.get("subject") for event in sent] == [event.get("subject") for event in recorded]
    assert done.registration == recorded[0]["subject"]
    assert not {event["id"] for event in sent} & {event["id"] for event in recorded}
    assert len({event["data"].get("mediaSessionId") for event in sent} - {None}) == 1
    assert sent[0]["data"]["mediaSessionId"] != recorded[0]["data"]["mediaSessionId"]
    assert sent[0]["data"].get("offer") == recorded[0]["data"].get("offer")


def test_a_registration_and_a_session_can_be_chosen(side: GatewaySide, simulate: Simulate) -> None:
    done = simulate("answered", registration="r-1", session="m-1", speed=math.inf)
    assert (done.registration, done.sessions) == ("r-1", ("m-1",))
    assert {event["subject"] for _, event in side.events} == {"r-1"}
    *statuses, end = [event["data"] for _, event in side.events]
    assert {data["mediaSessionId"] for data in statuses} == {"m-1"}
    assert end["registrationId"] == "r-1"


def test_several_calls_do_not_end_their_registration(side: GatewaySide, simulate: Simulate) -> None:
    simulate("answered", calls=2, speed=math.inf)
    assert EventType.REGISTRATION_ENDS not in {event["type"] for _, event in side.events}


def test_each_simulation_has_other_names(side: GatewaySide, simulate: Simulate) -> None:
    for _ in range(2):
        simulate(_DECLINED, calls=2, speed=math.inf)
    assert sorted(_sessions(side).values()) == [4, 4, 4, 4]
    correlators = {event["data"]["serverCorrelator"] for _, event in side.events}
    assert len(correlators) == 4


def test_latest_sessions_are_shown(side: GatewaySide, simulate: Simulate) -> None:
    done = simulate(_DECLINED, calls=30, rate=100, speed=math.inf)
    begun = [
        event["data"]["mediaSessionId"]
        for _, event in side.events
        if event["type"] == EventType.SESSION_INVITATION
    ]
    assert list(done.sessions) == begun[:-21:-1]


def test_a_refused_event_is_counted_and_the_rest_goes_on(side: GatewaySide, simulate: Simulate) -> None:
    side.rejected = {1}
    done = simulate(_DECLINED)
    assert (done.state, done.accepted, done.failed) == (State.FINISHED, 3, 1)
    assert done.message == "an event was rejected: data: is not right"


@pytest.mark.parametrize("status", [401, 403, 500])
def test_a_bad_answer_is_counted_and_the_rest_goes_on(
    side: GatewaySide, simulate: Simulate, status: int
) -> None:
    side.answers.extend([202, status])
    done = simulate(_DECLINED)
    assert (done.state, done.accepted, done.failed) == (State.FINISHED, 3, 1)
    assert f"{status}, A_CODE: refused with {status}" in done.message
    assert "line" not in done.message


def test_a_service_that_is_away_for_a_moment_costs_nothing(side: GatewaySide, simulate: Simulate) -> None:
    side.answers.extend([202, 503, 429, 503])
    done = simulate(_DECLINED)
    assert (done.state, done.accepted, done.failed) == (State.FINISHED, 4, 0)
    assert _sessions(side).total() == 4 + 3


def test_a_service_that_stays_away_ends_it_with_a_word(side: GatewaySide, simulate: Simulate) -> None:
    side.answers.extend([503] * 1000)
    done = simulate(_DECLINED, calls=1000, rate=500, speed=math.inf)
    assert done.state is State.FAILED
    assert done.message.startswith("gave up: POST")
    assert "503" in done.message
    assert (done.accepted, done.failed > 0, done.failed < done.events) == (0, True, True)
    # Five batches, each tried again for ten seconds.
    assert 25 < done.elapsed_s < 60


def test_nobody_who_answers_ends_it_with_a_word(clock: SteppedClock) -> None:
    simulations = Simulations("http://127.0.0.1:9/network/v0", HttpClient, clock, lambda: SteppedStop(clock))
    name = simulations.start(SimulationRequest(call="answered"))
    assert simulations.wait(name, 30)
    done = simulations.progress(name)
    assert done is not None
    assert done.state is State.FAILED
    assert "is `webrtc-events serve` running?" in done.message


def test_a_batch_that_is_too_large_is_divided(side: GatewaySide, simulate: Simulate) -> None:
    side.answers.extend([413])
    done = simulate(_DECLINED, speed=math.inf)
    assert [len(batch) for _, batch in side.batches] == [4, 2, 2]
    assert (done.accepted, done.failed) == (4, 0)


def test_it_stops_while_it_waits_for_the_next_event(side: GatewaySide, simulate: Simulate) -> None:
    done = simulate(_LONG, stop_at_s=100)
    assert (done.state, done.accepted, done.events) == (State.STOPPED, 3, 5)
    assert done.elapsed_s == 100


def test_it_stops_while_the_service_is_away(side: GatewaySide, simulate: Simulate) -> None:
    side.answers.extend([503] * 1000)
    done = simulate(_LONG, stop_at_s=3)
    assert (done.state, done.accepted, done.elapsed_s) == (State.STOPPED, 0, 3)


def test_it_says_that_it_stops_until_its_answer_is_there(side: GatewaySide, clock: SteppedClock) -> None:
    side.open.clear()
    simulations = Simulations(side.url, HttpClient, clock, lambda: SteppedStop(clock))
    name = simulations.start(SimulationRequest(call=_LONG))
    eventually(lambda: side.batches)
    assert simulations.stop(name)
    assert simulations.recent()[0].state is State.STOPPING
    side.open.set()
    assert simulations.wait(name, 30)
    assert [(done.state, done.accepted) for done in simulations.recent()] == [(State.STOPPED, 1)]


def test_a_stop_does_not_wait_for_real_time(side: GatewaySide) -> None:
    simulations = Simulations(side.url, HttpClient, SystemClock())
    name = simulations.start(SimulationRequest(call=_LONG))
    eventually(lambda: simulations.recent()[0].accepted)
    simulations.stop(name)
    assert simulations.wait(name, 30)
    assert simulations.recent()[0].state is State.STOPPED


def test_lag_is_shown(side: GatewaySide, clock: SteppedClock) -> None:
    """The clock goes on while the service thinks about the first event."""
    side.open.clear()
    simulations = Simulations(side.url, HttpClient, clock, lambda: SteppedStop(clock))
    name = simulations.start(SimulationRequest(call=_DECLINED))
    eventually(lambda: side.batches)
    clock.sleep(1000)
    side.open.set()
    assert simulations.wait(name, 30)
    assert simulations.recent()[0].behind_s > 900


def test_at_most_four_run(side: GatewaySide, clock: SteppedClock) -> None:
    side.open.clear()
    simulations = Simulations(side.url, HttpClient, clock, lambda: SteppedStop(clock))
    names = [simulations.start(SimulationRequest(call=_LONG)) for _ in range(4)]
    with pytest.raises(LocalError, match="4 simulations are running"):
        simulations.start(SimulationRequest(call=_LONG))
    simulations.close()
    side.open.set()
    assert all(simulations.wait(name, 30) for name in names)
    assert {found.state for found in simulations.recent()} == {State.STOPPED}
    assert simulations.wait(simulations.start(SimulationRequest(call=_DECLINED)), 30)


def test_the_latest_fifty_are_remembered(side: GatewaySide, clock: SteppedClock) -> None:
    simulations = Simulations(side.url, HttpClient, clock, lambda: SteppedStop(clock))
    names = []
    for _ in range(52):
        names.append(simulations.start(SimulationRequest(call=_DECLINED, speed=math.inf)))
        assert simulations.wait(names[-1], 30)
    assert [found.id for found in simulations.recent()] == names[:1:-1]
    assert simulations.progress(names[0]) is None
    assert not simulations.stop(names[0])
    assert simulations.wait(names[0], 0)


def test_progress_is_json(side: GatewaySide, simulate: Simulate) -> None:
    shown = simulate(_DECLINED, calls=2, rate=4).as_json()
    assert {name: shown[name] for name in ("state", "calls", "callsStarted", "events", "accepted")} == {
        "state": "finished",
        "calls": 2,
        "callsStarted": 2,
        "events": 8,
        "accepted": 8,
    }
    assert SimulationRequest.from_form(shown["request"]) == SimulationRequest(call=_DECLINED, calls=2, rate=4)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_client_that_cannot_be_made_ends_it_with_a_word(clock: SteppedClock) -> None:
    def fail() -> HttpClient:
        raise RuntimeError("no key")

    simulations = Simulations("http://127.0.0.1:9", fail, clock, lambda: SteppedStop(clock))
    name = simulations.start(SimulationRequest(call=_DECLINED))
    assert simulations.wait(name, 30)
    (done,) = simulations.recent()
    assert done.state is State.FAILED
    assert "no key" in done.message
