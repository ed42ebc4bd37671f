"""Composed calls: valid whatever is chosen, the same for the same plan, and like the recorded ones."""

import ipaddress
import json
import re
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webrtc_events.contract.documents import load_network
from webrtc_events.contract.openapi import Contract
from webrtc_events.contract.validators import Validator
from webrtc_events.core.clock import parse_time
from webrtc_events.core.model import EventType
from webrtc_events.local.recordings import Event, load_recording, recording_names
from webrtc_events.local.simulation.call_plan import CallPlan, Outcome, Party
from webrtc_events.local.simulation.compose import compose, registration_for

_SCHEMAS = {
    EventType.SESSION_INVITATION: "NetworkSessionInvitation",
    EventType.SESSION_STATUS: "NetworkSessionStatus",
}
_DOCUMENTATION = [ipaddress.ip_network(net) for net in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")]


@cache
def _contract() -> Contract:
    return load_network()


@cache
def _validator(schema: str) -> Validator:
    return _contract().validator(schema)


_addresses = st.one_of(
    st.from_regex(r"tel:\+[0-9]{5,15}", fullmatch=True),
    st.from_regex(r"sip:[A-Za-z0-9_.!%+\-]{1,20}@[a-z0-9.-]{1,20}\.[a-z]{2,5}", fullmatch=True),
)
_names = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=100)
_parties = st.builds(Party, address=_addresses, name=_names)
_plans = st.builds(
    CallPlan,
    originator=_parties,
    receiver=_parties,
    outcome=st.sampled_from(Outcome),
    ringing_s=st.floats(0, 300),
    talk_s=st.floats(0, 86_400),
    hold=st.booleans(),
    sdp=st.booleans(),
    seed=st.integers(0, 2**31 - 1),
)


def _statuses(plan: CallPlan) -> list[str]:
    return [event["data"]["status"] for event in compose(plan)]


@given(_plans)
def test_every_plan_makes_a_valid_call(plan: CallPlan) -> None:
    events = compose(plan)
    for event in events:
        assert _validator("NetworkEvent").first_fault(event) is None
        assert _validator(_SCHEMAS[event["type"]]).first_fault(event) is None
    assert [event["type"] for event in events] == [
        EventType.SESSION_INVITATION,
        *[EventType.SESSION_STATUS] * (len(events) - 1),
    ]
    assert [event["data"]["sequenceNumber"] for event in events] == list(range(1, len(events) + 1))
    assert len({event["id"] for event in events}) == len(events)
    assert len({(event["subject"], event["data"]["mediaSessionId"]) for event in events}) == 1
    times = [parse_time(event["time"]) for event in events]
    assert all(earlier < later for earlier, later in pairwise(times))


@given(_plans)
def test_the_same_plan_is_the_same_call(plan: CallPlan) -> None:
    assert json.dumps(compose(plan)) == json.dumps(compose(plan))


def test_another_seed_is_another_call_to_the_same_registration() -> None:
    first, second = (compose(CallPlan(seed=seed)) for seed in (1, 2))
    for name in ("mediaSessionId", "clientCorrelator", "offer"):
        assert first[0]["data"][name] != second[0]["data"][name]
    assert not {event["id"] for event in first} & {event["id"] for event in second}
    assert first[0]["subject"] == second[0]["subject"] == registration_for(CallPlan().receiver)


def test_each_receiver_has_a_registration() -> None:
    others = [Party(address=address) for address in ("tel:+12025550100", "sip:bob@example.com")]
    registrations = {compose(CallPlan(receiver=party))[0]["subject"] for party in others}
    assert len(registrations) == 2
    assert all(re.fullmatch("[a-z0-9]{24}", registration) for registration in registrations)


@pytest.mark.parametrize(
    ("outcome", "statuses"),
    [
        (Outcome.ANSWERED, ["Initial", "InProgress", "Ringing", "Connected", "Terminated"]),
        (Outcome.DECLINED, ["Initial", "InProgress", "Ringing", "Declined"]),
        (Outcome.CANCELLED, ["Initial", "InProgress", "Ringing", "SessionCancelled"]),
        (Outcome.NO_ANSWER, ["Initial", "InProgress", "Ringing", "NoAnswer"]),
        (Outcome.BUSY, ["Initial", "InProgress", "Busy"]),
        (Outcome.NOT_REACHABLE, ["Initial", "InProgress", "NotReachable"]),
        (Outcome.FAILED, ["Initial", "InProgress", "Failed"]),
    ],
)
def test_a_call_ends_as_its_outcome_says(outcome: Outcome, statuses: list[str]) -> None:
    assert _statuses(CallPlan(outcome=outcome)) == statuses
    # There is nothing to hold.
    with_hold = _statuses(CallPlan(outcome=outcome, hold=True))
    assert with_hold == (
        [*statuses[:-1], "Hold", "Resume", "Terminated"] if outcome is Outcome.ANSWERED else statuses
    )


def test_durations_are_those_of_the_plan() -> None:
    times = {
        event["data"]["status"]: parse_time(event["time"])
        for event in compose(CallPlan(ringing_s=7.5, talk_s=60, hold=True))
    }
    assert times["Connected"] - times["Ringing"] == 7_500
    assert times["Hold"] - times["Connected"] == times["Resume"] - times["Hold"] == 20_000
    assert times["Terminated"] - times["Connected"] == 60_000


def _descriptions(events: list[Event]) -> list[tuple[str, str, str]]:
    return [
        (event["data"]["status"], role, event["data"][role]["sdp"])
        for event in events
        for role in ("offer", "answer")
        if role in event["data"]
    ]


def test_descriptions_come_with_the_invitation_the_answer_and_the_hold() -> None:
    found = _descriptions(compose(CallPlan(hold=True)))
    assert [(status, role) for status, role, _ in found] == [
        ("Initial", "offer"),
        *[(status, role) for status in ("Connected", "Hold", "Resume") for role in ("offer", "answer")],
    ]
    direction = re.compile(r"(?m)^a=(sendrecv|sendonly|recvonly|inactive)\r$")
    assert [direction.findall(sdp) for status, _, sdp in found if status == "Hold"] == [
        ["sendonly"],
        ["recvonly"],
    ]
    assert _descriptions(compose(CallPlan(hold=True, sdp=False))) == []


@given(st.integers(0, 2**31 - 1))
def test_a_description_is_as_browsers_write_it(seed: int) -> None:
    for _, role, sdp in _descriptions(compose(CallPlan(seed=seed, hold=True))):
        assert sdp.endswith("\r\n")
        assert not re.search(r"(?<!\r)\n|\r(?!\n)", sdp)
        assert re.match(r"v=0\r\no=- \d{19} [123] IN IP4 127\.0\.0\.1\r\ns=-\r\nt=0 0\r\n", sdp)
        assert re.search(r"(?m)^a=fingerprint:sha-256 ([0-9A-F]{2}:){31}[0-9A-F]{2}\r$", sdp)
        formats = re.search(r"(?m)^m=audio \d+ UDP/TLS/RTP/SAVPF ([\d ]+)\r$", sdp)
        assert formats
        assert re.findall(r"(?m)^a=rtpmap:(\d+) ", sdp) == formats[1].split()
        assert f"a=setup:{'actpass' if role == 'offer' else 'active'}\r\n" in sdp
        for address in re.findall(r"(?m)^c=IN IP4 (\S+)\r$", sdp):
            assert any(ipaddress.ip_address(address) in network for network in _DOCUMENTATION)


def test_an_offer_stays_what_it_was_where_nothing_changed() -> None:
    offers = {
        status: sdp for status, role, sdp in _descriptions(compose(CallPlan(hold=True))) if role == "offer"
    }
    assert offers["Initial"] == offers["Connected"] != offers["Hold"]


def _members(event: Event) -> list[str]:
    return [*event, *(f"data.{name}" for name in event["data"])]


def test_events_have_the_form_of_the_recorded_ones() -> None:
    recorded = {
        event["data"]["status"]: _members(event)
        for name in recording_names()
        for event in load_recording(name)
        if event["data"].get("status") in {"Initial", "InProgress", "Ringing", "Terminated"}
    }
    for event in compose(CallPlan()):
        if (status := event["data"]["status"]) in recorded:
            assert set(_members(event)) <= set(recorded[status]) | {
                "subject",
                "data.offer",
                "data.receiverName",
            }


@pytest.mark.parametrize(
    "change",
    [{"ringing_s": -1.0}, {"ringing_s": 300.1}, {"talk_s": float("nan")}, {"seed": -1}, {"seed": 2**31}],
    ids=str,
)
def test_plan_out_of_bounds_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        CallPlan(**change)


@pytest.mark.parametrize(
    "address", ["", "bob", "tel:12345", "tel:+1234", "sip:bob@localhost", "sip:b b@x.de"]
)
def test_address_that_the_contract_refuses_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="address must be"):
        Party(address=address)


@given(st.one_of(_addresses, st.text(max_size=30)))
def test_an_address_is_what_the_contract_says(address: str) -> None:
    valid = _validator("NetworkAddress").is_valid(address)
    try:
        Party(address=address)
    except ValueError:
        assert not valid
    else:
        assert valid
