"""What a form asks to be simulated, and what is wrong with it, field by field."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webrtc_events.local.recordings import recording_names
from webrtc_events.local.simulation.call_plan import CallPlan, Outcome, Party
from webrtc_events.local.simulation.form_fields import FormErrors
from webrtc_events.local.simulation.request import SimulationRequest


def _faults(**form: str) -> dict[str, str]:
    with pytest.raises(FormErrors) as raised:
        SimulationRequest.from_form(form)
    return raised.value.fields


def test_an_empty_form_is_one_composed_call_in_real_time() -> None:
    assert SimulationRequest.from_form({}) == SimulationRequest(call=CallPlan(), calls=1, rate=1, speed=1)


def test_every_field_is_read() -> None:
    form = {
        "call": "composed",
        "originator_address": "sip:carol@example.com",
        "originator_name": "Carol",
        "receiver_address": " tel:+12025550100 ",
        "receiver_name": "",
        "outcome": "no-answer",
        "ringing_s": "2.5",
        "talk_s": "0",
        "hold": "on",
        "sdp": "off",
        "seed": "7",
        "calls": "20",
        "rate": "0.5",
        "speed": "max",
        "registration": "r-1",
        "session": "",
    }
    plan = CallPlan(
        originator=Party(address="sip:carol@example.com", name="Carol"),
        receiver=Party(address="tel:+12025550100"),
        outcome=Outcome.NO_ANSWER,
        ringing_s=2.5,
        talk_s=0,
        hold=True,
        sdp=False,
        seed=7,
    )
    assert SimulationRequest.from_form(form) == SimulationRequest(
        call=plan, calls=20, rate=0.5, speed=math.inf, registration="r-1"
    )


@pytest.mark.parametrize("name", recording_names())
def test_a_recorded_call_is_named(name: str) -> None:
    request = SimulationRequest.from_form({"call": name, "session": "s-1"})
    assert request == SimulationRequest(call=name, session="s-1")


def test_each_wrong_field_has_its_message() -> None:
    faults = _faults(
        call="unheard-of",
        originator_address="alice",
        originator_name="x" * 101,
        outcome="bored",
        ringing_s="301",
        talk_s="long",
        hold="perhaps",
        seed="1.5",
        calls="10001",
        rate="501",
        speed="1001",
        registration="a/b",
        session="a\x00b",
    )
    assert {name: message.split(",")[0] for name, message in faults.items()} == {
        "call": "must be one of composed",
        "originator_address": "must be a tel: number",
        "originator_name": "must have at most 100 characters",
        "outcome": "must be one of answered",
        "ringing_s": "must be a number",
        "talk_s": "must be a number",
        "hold": "must be on or off",
        "seed": "must be a whole number",
        "calls": "must be a whole number",
        "rate": "must be a number",
        "speed": "must be a number",
        "registration": "must have 1 to 256 characters",
        "session": "must have 1 to 512 characters",
    }
    assert faults["calls"] == "must be a whole number, 1 to 10,000"
    assert faults["rate"] == "must be a number, 0.01 to 500 calls/s"
    assert faults["speed"] == "must be a number, 0.1 to 1,000, or max"


@pytest.mark.parametrize("raw", ["nan", "inf", "-inf", "1e999", "0", "-1", "0.001", "1,5", "max"])
def test_a_rate_is_a_number_within_bounds(raw: str) -> None:
    assert set(_faults(rate=raw)) == {"rate"}


def test_a_session_is_one_call() -> None:
    assert set(_faults(session="s-1", calls="2")) == {"session"}


_requests = st.builds(
    SimulationRequest,
    call=st.one_of(
        st.sampled_from(recording_names()),
        st.builds(
            CallPlan,
            originator=st.builds(
                Party, address=st.just("tel:+12025550143"), name=st.sampled_from(["", "Zoë", "Alice Meyer"])
            ),
            outcome=st.sampled_from(Outcome),
            ringing_s=st.integers(0, 300).map(float),
            hold=st.booleans(),
            sdp=st.booleans(),
            seed=st.integers(0, 2**31 - 1),
        ),
    ),
    calls=st.integers(1, 10_000),
    rate=st.sampled_from([0.01, 1, 500]),
    speed=st.sampled_from([0.1, 1, 1000, math.inf]),
    registration=st.sampled_from([None, "r-1"]),
)


@given(_requests)
def test_a_form_shows_the_request_again(request: SimulationRequest) -> None:
    assert SimulationRequest.from_form(request.as_form()) == request


@pytest.mark.parametrize(
    "change",
    [
        {"call": "unheard-of"},
        {"calls": 0},
        {"calls": 10_001},
        {"rate": 0.0},
        {"rate": math.nan},
        {"rate": 501.0},
        {"speed": 0.0},
        {"speed": 1001.0},
        {"calls": 2, "session": "s-1"},
    ],
    ids=str,
)
def test_request_out_of_bounds_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be|named|one call"):
        SimulationRequest(**{"call": CallPlan()} | change)
