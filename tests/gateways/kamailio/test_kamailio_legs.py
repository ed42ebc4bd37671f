"""Calls of several legs, calls that are tried again, and calls that others would like to be in."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.gateways.kamailio.builders import contact, gone, invite, message
from tests.gateways.recorded import new_intake
from webrtc_events.contract.documents import load_network
from webrtc_events.core.clock import SystemClock
from webrtc_events.gateways.journal import Journal
from webrtc_events.gateways.kamailio.calls import Calls
from webrtc_events.gateways.media_session import media_session_id
from webrtc_events.gateways.ownership import Ownership

VALIDATOR = load_network().validator("NetworkEvent")
Play = Callable[..., list[dict[str, Any]]]


def statuses(events: Sequence[dict[str, Any]]) -> list[str]:
    assert [fault for event in events for fault in VALIDATOR.faults(event)] == []
    return [event["data"]["status"] for event in events]


def reply(code: int, number: int = 1, **values: Any) -> bytes:
    return message("reply", code=code, ruid=f"uloc-{number}", to_tag="b", **values)


def test_two_contacts_of_a_registration_are_one_leg(play: Play) -> None:
    """One is busy and the other rings on; the one that answers counts."""
    events = play(
        invite(contact(1), contact(2)), reply(180, 2), reply(486, 1), reply(200, 2), message("request", "BYE")
    )
    assert statuses(events) == ["Initial", "Ringing", "Connected", "Terminated"]


def test_the_only_contact_is_busy(play: Play) -> None:
    events = play(invite(contact(1)), reply(486), message("failure", code=486))
    assert statuses(events) == ["Initial", "Busy"]


def test_the_next_contact_is_tried_after_one_that_is_away(play: Play) -> None:
    """Of two contacts of one leg, what the caller gets counts."""
    events = play(invite(contact(1), contact(2)), reply(480, 1), reply(180, 2), message("failure", code=408))
    assert statuses(events) == ["Initial", "Ringing", "NoAnswer"]


def test_an_invite_with_credentials_is_the_same_call(play: Play) -> None:
    """It has the Call-ID of the one that was refused, and the next CSeq."""
    events = play(
        invite(contact(1)),
        reply(407),
        message("failure", code=407),
        invite(contact(1), cseq=2),
        reply(180, cseq=2),
        reply(200, cseq=2),
    )
    assert statuses(events) == ["Initial", "Ringing", "Connected"]


def test_a_call_that_failed_may_be_tried_again(play: Play) -> None:
    """With the same Call-ID: the session goes on."""
    failed = message("failure", code=503)
    events = play(
        invite(contact(1)), failed, invite(contact(1), cseq=2), reply(180, cseq=2), reply(200, cseq=2)
    )
    assert statuses(events) == ["Initial", "Failed", "Initial", "Ringing", "Connected"]
    assert [event["data"]["sequenceNumber"] for event in events] == [1, 2, 3, 4, 5]


def test_the_same_invite_again_is_nothing_new(play: Play) -> None:
    assert statuses(play(invite(contact(1)), invite(contact(1)))) == ["Initial"]


def test_a_stranger_cannot_speak_in_a_call_by_its_call_id(play: Play) -> None:
    events = play(invite(contact(1)), reply(180), invite(contact(1), from_tag="stranger"))
    assert statuses(events) == ["Initial", "Ringing"]


def test_a_call_of_nobody_who_is_ours_is_not_kept(play: Play, journal: Journal) -> None:
    assert play(invite(), reply(180), message("request", "BYE")) == []
    assert new_intake(journal, SystemClock()).open_calls() == []


def test_the_receiver_holds(play: Play) -> None:
    held = b"v=0\r\nm=audio 9 RTP/AVP 0\r\na=sendonly\r\n"
    events = play(
        invite(contact(1)),
        reply(200),
        message("request", "INVITE", from_tag="b", to_tag="a", cseq=1, body=held),
        message("reply", "INVITE", from_tag="b", to_tag="a", cseq=1, code=200, body=b"v=0\r\n"),
        message("request", "BYE", from_tag="b", to_tag="a", cseq=2),
    )
    assert statuses(events) == ["Initial", "Connected", "Hold", "Terminated"]
    assert events[2]["data"]["reason"] == "The receiver holds the call"
    assert events[3]["data"]["reason"] == "Hung up by the receiver"


@pytest.mark.parametrize(("answered", "status"), [(True, "Terminated"), (False, "Failed")])
def test_a_call_that_kamailio_no_longer_knows_ends_once(answered: bool, status: str, play: Play) -> None:
    begin = [invite(contact(1)), *([reply(200)] if answered else [])]
    events = play(*begin, gone("call-1"), gone("call-1"), message("request", "BYE"))
    assert statuses(events)[-1] == status
    assert len(events) == len(begin) + 1


def test_calls_end_when_kamailio_does_not_come_back(play: Play, journal: Journal) -> None:
    play(invite(contact(1)), reply(200))
    intake = new_intake(journal, SystemClock())
    assert intake.end_calls("Kamailio has not answered for 300 s") == 1
    assert intake.end_calls("Kamailio has not answered for 300 s") == 0
    assert statuses(play())[-1] == "Terminated"


def test_a_caller_who_is_registered_has_a_leg(play: Play) -> None:
    events = play(invite(contact(1), callers=contact(9)), reply(200), message("request", "BYE"))
    assert [(event["subject"], event["data"]["status"]) for event in events] == [
        ("alice", "Initial"),
        ("bob", "Initial"),
        ("alice", "Connected"),
        ("bob", "Connected"),
        ("alice", "Terminated"),
        ("bob", "Terminated"),
    ]
    assert [event["data"]["sequenceNumber"] for event in events] == [1, 2, 3, 4, 5, 6]
    assert len({event["id"] for event in events}) == 6


def test_a_call_to_elsewhere_says_whose_it_is(play: Play) -> None:
    """The party called is nobody's: each event names the registration that calls."""
    events = play(
        invite(b"", callers=contact(9)), reply(183), reply(200), message("request", "INVITE", cseq=2),
        reply(200, cseq=2), message("request", "BYE"),
    )  # fmt: skip
    assert len(events) >= 4
    assert {event["subject"] for event in events} == {"alice"}
    assert {event["type"].rpartition(".")[2] for event in events} == {"session-status"}


@pytest.mark.parametrize("call_id", ["", "x" * 513])
def test_a_call_id_that_is_no_session_id_becomes_its_hash(call_id: str) -> None:
    assert len(media_session_id(call_id)) == 64


@pytest.mark.parametrize(
    "data", [b"", b"garbage", b"1:x,", b"3:1.0,7:unknown,", b"3:1.0,4:gone,", b"1:x,4:gone,1:c,"]
)
def test_what_is_no_record_is_left_out(data: bytes, play: Play) -> None:
    assert statuses(play(data, invite(contact(1)), data, reply(180))) == ["Initial", "Ringing"]


def test_a_call_that_has_ended_is_forgotten_and_one_that_goes_on_is_not(play: Play, journal: Journal) -> None:
    play(invite(contact(1)), message("request", "BYE"), invite(contact(1), call_id="call-2"))
    intake = new_intake(journal, SystemClock())
    assert [call.call_id for call in intake.open_calls()] == ["call-2"]
    with journal.transaction() as transaction:
        Calls(Ownership.of_one("softphone"), "example.com").forget(transaction, 0)
        assert transaction.items("ended-call") == []
    assert [call.call_id for call in intake.open_calls()] == ["call-2"]
