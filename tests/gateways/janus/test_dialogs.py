"""Several dialogs with one Call-ID: of a session border controller, and of somebody who means harm."""

import copy
import json
from typing import Any

import pytest

from tests.gateways.janus.conftest import events_of, of_leg, post, posts
from tests.gateways.janus.test_intake import ALICE, ANSWERED, BOB, EXPECTED, VALIDATOR
from webrtc_events.gateways.janus.intake import Intake
from webrtc_events.gateways.journal import Journal
from webrtc_events.gateways.media_session import MAX_SESSION_ID
from webrtc_events.gateways.sip_message import SipMessage, parse_sip

WHOLE = EXPECTED[ANSWERED, BOB]
STRANGER = "sip:mallory@example.net"


def sip_of(event: dict[str, Any]) -> SipMessage | None:
    return parse_sip(event["event"].get("data", {}).get("sip") or "")


def invite_of(events: list[dict[str, Any]]) -> int:
    """Where Bob's handle gets the INVITE of the answered call."""
    return next(
        number
        for number, event in enumerate(events)
        if event["event"].get("data", {}).get("event") == "sip-in"
        and (message := sip_of(event)) is not None
        and (message.method, message.code, message.call_id) == ("INVITE", None, ANSWERED)
    )


def behind_a_controller(call_id: str, tag: str) -> list[dict[str, Any]]:
    """The posts, as if something between the parties kept the Call-ID and began a dialog to Bob."""
    events = posts()
    invite = invite_of(events)
    bob, caller_tag = events[invite]["handle_id"], (sip_of(events[invite]) or fail()).from_tag or fail()
    for event in events:
        data, message = event["event"].get("data", {}), sip_of(event)
        if message is None or message.call_id != ANSWERED:
            continue
        by_bob = (message.from_tag == caller_tag) is (message.code is not None)
        if (event["handle_id"] == bob) if data["event"] == "sip-in" else by_bob:
            data["sip"] = data["sip"].replace(caller_tag, tag)
    return [json.loads(json.dumps(event).replace(ANSWERED, call_id)) for event in events]


def fail() -> Any:
    raise AssertionError("the recording has another call")


@pytest.mark.parametrize(
    "call_id", [ANSWERED, "long-" * 50, "a;from-tag=b"], ids=["as it was", "long", "like another"]
)
def test_a_controller_that_keeps_the_call_id_has_two_sessions(
    call_id: str, intake: Intake, journal: Journal
) -> None:
    """As with one that changes it: each endpoint has the whole of its own leg."""
    post(intake, *behind_a_controller(call_id, "of-the-controller"))
    events = events_of(journal)
    assert [fault for event in events for fault in VALIDATOR.faults(event)] == []
    assert of_leg(events, call_id, ALICE) == EXPECTED[ANSWERED, ALICE]
    assert of_leg(events, call_id, BOB) == []
    (session,) = {
        event["data"]["mediaSessionId"]
        for event in events
        if event["data"].get("mediaSessionId", "").endswith(";from-tag=of-the-controller")
    }
    assert len(session) <= MAX_SESSION_ID
    assert of_leg(events, session, BOB) == WHOLE
    assert of_leg(events, session, ALICE) == []
    numbers = [e["data"]["sequenceNumber"] for e in events if e["data"].get("mediaSessionId") == session]
    assert numbers == list(range(1, len(numbers) + 1))


def strangers(method: str, at: dict[str, Any], number: int) -> dict[str, Any]:
    """What somebody sends to the handle whose post `at` is, with the Call-ID of its call."""
    event = copy.deepcopy(at)
    event["timestamp"] += number
    to_tag = ";tag=guessed" if method == "BYE" else ""
    event["event"]["data"]["sip"] = (
        f"{method} sip:bob@127.0.0.1 SIP/2.0\r\nFrom: <{STRANGER}>;tag=of-mallory\r\n"
        f"To: <sip:bob@127.0.0.1>{to_tag}\r\nCall-ID: {ANSWERED}\r\nCSeq: 1 {method}\r\n\r\n"
    )
    return event


@pytest.mark.parametrize("after", range(1, 12))
def test_the_call_id_of_others_reaches_nothing_of_their_call(
    after: int, intake: Intake, journal: Journal
) -> None:
    """Whenever it comes: while it rings, or later."""
    events = posts()
    invite = invite_of(events)
    methods = ("INVITE", "CANCEL", "BYE", "INVITE", "UPDATE")
    hostile = [strangers(method, events[invite], number) for number, method in enumerate(methods, start=1)]
    post(intake, *events[: invite + after], *hostile, *events[invite + after :])
    found = events_of(journal)
    assert {key: of_leg(found, *key) for key in EXPECTED} == EXPECTED
    own = [event for event in found if event["data"].get("mediaSessionId") == ANSWERED]
    assert STRANGER not in json.dumps(own)
    assert [event["data"]["sequenceNumber"] for event in own] == list(range(1, len(own) + 1))


def test_a_missed_call_ends_no_other(intake: Intake, journal: Journal) -> None:
    """Janus does not say which call it has missed: it is none that still rings."""
    events = posts()
    invite = invite_of(events)
    missed = copy.deepcopy(events[invite])
    missed["event"]["data"] = {"event": "missed_call", "caller": STRANGER, "callee": "sip:bob@127.0.0.1"}
    post(intake, *events[: invite + 2], missed, *events[invite + 2 :])
    assert of_leg(events_of(journal), ANSWERED, BOB) == WHOLE
