"""Signals of a leg in, network events out: what each kind of call looks like to who subscribes."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from webrtc_events.contract.documents import load_network
from webrtc_events.gateways.call_signals import (
    Acknowledged,
    Answered,
    Cancelled,
    Failed,
    HungUp,
    Invited,
    LegFacts,
    Lost,
    Mark,
    Provisional,
    Reanswered,
    Reoffered,
    Rerefused,
    Side,
    Signal,
)
from webrtc_events.gateways.media_session import MediaSession, advance
from webrtc_events.gateways.sip_addresses import Party
from webrtc_events.gateways.sip_status import SessionStatus

VALIDATOR = load_network().validator("NetworkEvent")
OFFER = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\na=sendrecv\r\n"
ANSWER = OFFER.replace("o=- 1", "o=- 2")
HOLD = OFFER.replace("sendrecv", "sendonly")
CALLED = LegFacts(
    "callee", "bob-1", Side.RECEIVER, Party("sip:alice@example.com", "Alice"), Party("sip:bob@example.com")
)
CALLING = LegFacts(
    "caller", "alice-1", Side.ORIGINATOR, Party("sip:alice@example.com"), Party("sip:bob@example.com")
)


def play(signals: Sequence[Signal], facts: LegFacts = CALLED) -> list[dict[str, Any]]:
    """The events of a session, each held to the contract; the state is written and read each time."""
    session, events = MediaSession(id="call-1@192.0.2.1"), []
    for number, signal in enumerate(signals):
        made = advance(session, facts, signal, Mark("/gateways/test", f"signal-{number}", 1_700_000_000_000))
        session = msgspec.json.decode(msgspec.json.encode(made.session), type=MediaSession)
        events += made.events
    assert [fault for event in events for fault in VALIDATOR.faults(event)] == []
    return events


def statuses(events: Sequence[dict[str, Any]]) -> list[str]:
    return [event["data"]["status"] for event in events]


@pytest.mark.parametrize(
    ("signals", "expected"),
    [
        ([Answered(ANSWER), HungUp(Side.RECEIVER)], ["Connected", "Terminated"]),
        ([Failed(486, "Busy Here")], ["Busy"]),
        ([Failed(600)], ["Busy"]),
        ([Failed(603, "Decline")], ["Declined"]),
        ([Failed(480)], ["NotReachable"]),
        ([Provisional(180), Failed(480)], ["Ringing", "NoAnswer"]),
        ([Failed(408)], ["NotReachable"]),
        ([Provisional(180), Failed(408)], ["Ringing", "NoAnswer"]),
        ([Failed(487)], ["SessionCancelled"]),
        ([Cancelled(), Failed(487)], ["SessionCancelled"]),
        ([Failed(500)], ["Failed"]),
        ([Provisional(100), Provisional(183, ANSWER)], ["InProgress", "Proceeding"]),
        ([Provisional(180), Provisional(183)], ["Ringing"]),
        ([Provisional(180), Provisional(183, ANSWER)], ["Ringing", "Ringing"]),
        ([Provisional(182)], ["Waiting"]),
        ([Provisional(199)], []),
        ([HungUp()], ["SessionCancelled"]),
        ([Lost("the gateway ended")], ["Failed"]),
        ([Answered(ANSWER), Lost("the gateway ended")], ["Connected", "Terminated"]),
        ([Answered(ANSWER), Cancelled()], ["Connected"]),
        ([Answered(ANSWER), Answered(ANSWER)], ["Connected"]),
    ],
)
def test_a_call_that_came_in(signals: list[Signal], expected: list[str]) -> None:
    assert statuses(play([Invited(OFFER), *signals])) == ["Initial", *expected]


def test_a_call_that_comes_in_is_an_invitation_with_its_offer() -> None:
    (event,) = play([Invited(OFFER)])
    assert event["type"].endswith(".session-invitation")
    assert event["subject"] == "bob-1"
    assert event["data"]["offer"]["sdp"] == OFFER
    assert event["data"]["originatorName"] == "Alice"
    assert "offerRequired" not in event["data"]


def test_a_call_that_is_placed_is_a_status() -> None:
    (event,) = play([Invited(OFFER)], CALLING)
    assert event["type"].endswith(".session-status")
    assert event["subject"] == "alice-1"


def test_an_invitation_without_an_offer_asks_for_one() -> None:
    events = play([Invited(), Answered(OFFER), Acknowledged(ANSWER)])
    assert events[0]["data"]["offerRequired"] is True
    assert [sorted(event["data"].keys() & {"offer", "answer"}) for event in events] == [
        [],
        ["offer"],
        ["answer", "offer"],
    ]


@pytest.mark.parametrize("side", list(Side))
def test_hold_and_resume(side: Side) -> None:
    held = [Reoffered(side, HOLD), Reanswered(ANSWER.replace("sendrecv", "recvonly"))]
    resumed = [Reoffered(side, OFFER), Reanswered(ANSWER)]
    events = play([Invited(OFFER), Answered(ANSWER), *held, *resumed, HungUp()])
    assert statuses(events) == ["Initial", "Connected", "Hold", "Resume", "Terminated"]
    assert events[2]["data"]["reason"] == f"The {side} holds the call"
    assert events[2]["data"].keys() >= {"offer", "answer"}


def test_a_call_that_both_hold_resumes_with_the_last() -> None:
    def change(side: Side, offer: str) -> list[Signal]:
        return [Reoffered(side, offer), Reanswered(ANSWER)]

    events = play(
        [
            *[Invited(OFFER), Answered(ANSWER)],
            *change(Side.ORIGINATOR, HOLD),
            *change(Side.RECEIVER, HOLD),
            *change(Side.ORIGINATOR, OFFER),
            *change(Side.RECEIVER, OFFER),
        ]
    )
    assert statuses(events) == ["Initial", "Connected", "Hold", "Hold", "Hold", "Resume"]


def test_a_change_of_media_that_is_refused_changes_nothing() -> None:
    events = play([Invited(OFFER), Answered(ANSWER), Reoffered(Side.RECEIVER, HOLD), Rerefused()])
    assert statuses(events) == ["Initial", "Connected"]


def test_a_session_of_two_legs_counts_once_and_names_each() -> None:
    session, events = MediaSession(id="1"), []
    steps = [(CALLING, Invited(OFFER)), (CALLED, Invited(OFFER)), (CALLED, Provisional(180))]
    for number, (facts, signal) in enumerate(steps):
        made = advance(session, facts, signal, Mark("/g", str(number), 0))
        session, events = made.session, [*events, *made.events]
    assert [event["subject"] for event in events] == ["alice-1", "bob-1", "bob-1"]
    assert [event["data"]["sequenceNumber"] for event in events] == [1, 2, 3]
    assert not session.is_over


SIGNALS = st.one_of(
    *[st.just(signal) for signal in (Invited(OFFER), Invited(), Answered(ANSWER), Answered())],
    *[st.just(signal) for signal in (Acknowledged(ANSWER), Reanswered(ANSWER), Rerefused(), Cancelled())],
    st.builds(Provisional, st.integers(100, 199), st.sampled_from([None, ANSWER])),
    st.builds(Failed, st.integers(300, 699)),
    st.builds(Reoffered, st.sampled_from([None, *Side]), st.sampled_from([None, OFFER, HOLD])),
    st.builds(HungUp, st.sampled_from([None, *Side])),
    st.builds(Lost, st.just("gone")),
)
LAST = {"Terminated", "SessionCancelled", "Declined", "Failed", "NoAnswer", "NotReachable", "Busy"}


@given(st.lists(SIGNALS, max_size=12), st.sampled_from([CALLED, CALLING, LegFacts("unknown")]))
def test_whatever_comes_in_whichever_order_the_events_are_those_of_a_call(
    signals: list[Signal], facts: LegFacts
) -> None:
    events = play(signals, facts)
    found = statuses(events)
    assert [event["data"]["sequenceNumber"] for event in events] == list(range(1, len(events) + 1))
    assert len({event["id"] for event in events}) == len(events)
    assert not LAST & set(found[:-1])
    assert sum(event["type"].endswith("invitation") for event in events) <= 1
    connected = next((place for place, status in enumerate(found) if status == "Connected"), len(found))
    before = {"Initial", "InProgress", "Proceeding", "Ringing", "Waiting"}
    assert not before & set(found[connected:])
    assert {SessionStatus(status) for status in found} <= set(SessionStatus)
