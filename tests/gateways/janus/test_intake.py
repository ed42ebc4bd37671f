"""What the posts of a real Janus become, whole, repeated, torn, out of order, damaged."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.gateways.janus.conftest import ENGAGED, events_of, of_leg, post, posts, queued
from tests.harness.clocks import NOW, SteppedClock
from webrtc_events.contract.documents import load_network
from webrtc_events.core.clock import format_time
from webrtc_events.core.log_limit import LineLimit
from webrtc_events.gateways.janus.calls import Calls
from webrtc_events.gateways.janus.intake import Intake
from webrtc_events.gateways.janus.registrations import Registrations
from webrtc_events.gateways.journal import Journal, JournalLimits, QueueFull
from webrtc_events.gateways.network_requests import PutRegistration
from webrtc_events.gateways.ownership import Ownership, OwnershipRule

VALIDATOR = load_network().validator("NetworkEvent")
ALICE, BOB = "alice@127.0.0.1", "bob@127.0.0.1"
ANSWERED, DECLINED, CANCELLED, NOBODY, UNANSWERED = dict.fromkeys(
    event["event"]["data"]["call-id"]
    for event in posts()
    if event["event"].get("data", {}).get("event") == "calling"
)
# Of each call, what Alice's leg and Bob's must have said.
EXPECTED = {
    (ANSWERED, ALICE): ["Initial", "Ringing", "Connected", "Hold", "Resume", "Terminated"],
    (ANSWERED, BOB): ["Initial", "Ringing", "Connected", "Hold", "Resume", "Terminated"],
    (DECLINED, ALICE): ["Initial", "Ringing", "Declined"],
    (DECLINED, BOB): ["Initial", "Ringing", "Declined"],
    (CANCELLED, ALICE): ["Initial", "Ringing", "SessionCancelled"],
    (CANCELLED, BOB): ["Initial", "Ringing", "SessionCancelled"],
    (NOBODY, ALICE): ["Initial", "NotReachable"],
    (UNANSWERED, ALICE): ["Initial", "Ringing", "NoAnswer"],
    (UNANSWERED, BOB): ["Initial", "Ringing", "SessionCancelled"],
}


def check(journal: Journal) -> list[dict[str, Any]]:
    events = events_of(journal)
    assert [fault for event in events for fault in VALIDATOR.faults(event)] == []
    assert len({(event["source"], event["id"]) for event in events}) == len(events)
    found = {key: of_leg(events, *key) for key in EXPECTED}
    assert found == EXPECTED
    ends = [
        event["data"]["registrationId"] for event in events if event["type"].endswith("registration-ends")
    ]
    assert ends == [BOB, ALICE]
    return events


def test_the_calls_of_a_real_janus(intake: Intake, journal: Journal) -> None:
    post(intake, *posts())
    events = check(journal)
    invitations = [event for event in events if event["type"].endswith("session-invitation")]
    assert {event["subject"] for event in invitations} == {BOB}
    assert all("m=audio" in event["data"]["offer"]["sdp"] for event in invitations)
    connected = [event for event in events if event["data"].get("status") == "Connected"]
    assert all("m=audio" in event["data"]["answer"]["sdp"] for event in connected)
    assert {event["source"] for event in events} == {"/janus/janus-of-a-test"}
    for session in (ANSWERED, DECLINED):
        numbers = [
            event["data"]["sequenceNumber"]
            for event in events
            if event["data"].get("mediaSessionId") == session
        ]
        assert numbers == list(range(1, len(numbers) + 1))


def test_each_event_of_an_outgoing_call_says_whose_it_is(intake: Intake, journal: Journal) -> None:
    """Also where the party called is nobody's."""
    post(intake, *posts())
    for session, subjects in ((ANSWERED, {ALICE, BOB}), (NOBODY, {ALICE})):
        events = [event for event in events_of(journal) if event["data"].get("mediaSessionId") == session]
        assert {event["subject"] for event in events} == subjects
        assert {event["type"].rpartition(".")[2] for event in events if event["subject"] == ALICE} == {
            "session-status"
        }


def test_registrations_are_put_until_the_registrars_time(intake: Intake, journal: Journal) -> None:
    post(intake, *posts()[:8])
    (request,) = queued(journal)
    assert isinstance(request, PutRegistration)
    assert request.registration_id == ALICE
    assert request.body["owner"] == "softphone"
    assert request.body["expiresAt"] == format_time(round((NOW + 3600 + 60) * 1000))


def test_one_event_a_post_is_the_same_as_a_batch(intake: Intake, journal: Journal) -> None:
    for event in posts():
        intake.take(json.dumps(event, indent=3).encode())
    check(journal)


def test_the_same_batch_five_times_changes_nothing(intake: Intake, journal: Journal) -> None:
    for _ in range(5):
        post(intake, *posts())
    check(journal)
    assert intake.figures.repeated == 4 * len(posts())


def test_batches_that_overlap_change_nothing(intake: Intake, journal: Journal) -> None:
    found = posts()
    for start in range(0, len(found), 7):
        post(intake, *found[max(0, start - 5) : start + 7])
    check(journal)


def test_the_state_is_that_of_the_file(
    tmp_path: Path, clock: SteppedClock, make_intake: Callable[[Journal], Intake]
) -> None:
    """Another process for each post, and the last post again each time, as after a kill."""
    found = posts()
    for number in range(len(found)):
        journal = Journal(tmp_path / "file", clock)
        post(make_intake(journal), *found[max(0, number - 1) : number + 1])
        journal.close()
    journal = Journal(tmp_path / "file", clock)
    check(journal)
    journal.close()


def test_what_a_failing_batch_did_is_undone(
    tmp_path: Path, clock: SteppedClock, make_intake: Callable[[Journal], Intake]
) -> None:
    """The queue is full in the middle of a batch: all of it comes again, and nothing is doubled."""
    small = Journal(tmp_path / "file", clock, JournalLimits(max_entries=10))
    with pytest.raises(QueueFull):
        post(make_intake(small), *posts())
    assert small.head(100) == []
    small.close()
    journal = Journal(tmp_path / "file", clock)
    post(make_intake(journal), *posts())
    check(journal)
    journal.close()


DAMAGED: list[Any] = [
    None,
    1,
    "text",
    [],
    {},
    {"type": "64", "timestamp": 1, "event": {}},
    {"type": 64, "timestamp": 1.5, "event": {"plugin": "janus.plugin.sip", "data": {}}},
    {"type": 64, "timestamp": 1, "event": {"plugin": "janus.plugin.sip", "data": {}}},
    {"type": 64, "timestamp": 1, "session_id": 1, "handle_id": 2, "event": {"plugin": "janus.plugin.sip"}},
    {
        "type": 64,
        "timestamp": 1,
        "session_id": 1,
        "handle_id": 2,
        "event": {"plugin": "janus.plugin.sip", "data": {"event": "hangup", "code": "busy"}},
    },
]


def test_damaged_events_among_good_ones_are_left_out(
    intake: Intake, journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    mixed = posts()
    for number, damaged in enumerate(DAMAGED):
        mixed.insert(number * 9, damaged)
    post(intake, *mixed)
    check(journal)
    assert intake.figures.damaged == len(DAMAGED)
    assert "cannot be read and is left out" in caplog.text


ODD = [
    {"event": "sip-in", "sip": ""},
    {"event": "sip-in", "sip": "INVITE sip:x SIP/2.0\r\nCall-ID: 1\r\nCSeq: x\r\n\r\n"},
    {"event": "sip-out", "sip": "SIP/2.0 200 OK\r\nCall-ID: 1\r\nCSeq: 99999999999999 INVITE\r\n\r\n"},
    {"event": "sip-in", "sip": "REGISTER sip:x SIP/2.0\r\nCall-ID: 1\r\nContact: <\r\nExpires: x\r\n\r\n"},
    {"event": "registered"},
    {"event": "registered", "identity": "nobody"},
    {"event": "registered", "identity": "sip:\x00@\x01"},
    {"event": "hangup"},
    {"event": "hangup", "call-id": "", "code": -1},
    {"event": "declined", "code": 10**9},
    {"event": "proceeding", "call-id": "x" * 5000, "code": 0},
    {"event": "incomingcall", "call-id": "y\x00", "username": "<<>>", "displayname": '"'},
    {"event": "unregistered"},
    {"event": "something-new"},
]


def test_odd_events_are_taken_and_break_nothing(intake: Intake, journal: Journal) -> None:
    known = posts()[:8]
    post(intake, *known)
    of_alice = known[-1]
    for number, data in enumerate(ODD):
        event = {"plugin": "janus.plugin.sip", "data": data}
        post(intake, of_alice | {"timestamp": of_alice["timestamp"] + number, "event": event})
    events = events_of(journal)
    assert [fault for event in events for fault in VALIDATOR.faults(event)] == []
    assert intake.figures.damaged == 0


def test_events_out_of_order_never_make_what_is_no_call(intake: Intake, journal: Journal) -> None:
    shuffled = posts()
    random.Random(7).shuffle(shuffled)
    # Registered first, or nothing is published at all.
    post(intake, *[event for event in posts() if event["event"].get("data", {}).get("event") == "registered"])
    post(intake, *shuffled)
    events = events_of(journal)
    assert [fault for event in events for fault in VALIDATOR.faults(event)] == []
    last = {"Terminated", "SessionCancelled", "Declined", "Failed", "NoAnswer", "NotReachable", "Busy"}
    for key in EXPECTED:
        assert not last & set(of_leg(events, *key)[:-1])


@pytest.mark.parametrize("skew_us", [-(10**18), -86_400 * 10**6, 3600 * 10**6, 10**18])
def test_a_clock_that_is_wrong_shifts_times_alone(skew_us: int, intake: Intake, journal: Journal) -> None:
    post(intake, *[event | {"timestamp": event["timestamp"] + skew_us} for event in posts()])
    check(journal)


def test_calls_of_nobodys_endpoint_are_not_published(
    journal: Journal, clock: SteppedClock, make_intake: Callable[[Journal], Intake]
) -> None:
    """Not known is whose it is: the adapter has come after the registration."""
    post(make_intake(journal), *posts()[12:-5])
    assert events_of(journal) == []


@pytest.mark.slow
def test_two_thousand_calls_in_one_batch(intake: Intake, journal: Journal) -> None:
    """As after a long pause; each leg and each end is there."""
    found = posts()
    call = [event for event in found if DECLINED in json.dumps(event["event"].get("data", {}))]
    batch = found[:11]
    for number in range(2_000):
        text = json.dumps(call).replace(DECLINED, f"call-{number}")
        batch += json.loads(text)
    post(intake, *batch)
    ends = [event for event in events_of(journal) if event["data"].get("status") == "Declined"]
    assert len(ends) == 4_000


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"1", b'"x"', b"null", b"[" * 100_000, b"[NaN]"])
def test_garbage_is_refused(body: bytes, intake: Intake, journal: Journal) -> None:
    with pytest.raises(ValueError, match=r"."):
        intake.take(body)
    assert queued(journal) == []


def test_a_call_that_nothing_is_heard_of_ends(intake: Intake, journal: Journal, clock: SteppedClock) -> None:
    until_connected = posts()[:24]
    post(intake, *until_connected)
    clock.elapsed = 23 * 3600.0
    intake.tidy()
    assert of_leg(events_of(journal), ANSWERED, BOB)[-1] == "Connected"
    clock.elapsed = 24 * 3600.0
    intake.tidy()
    intake.tidy()
    assert of_leg(events_of(journal), ANSWERED, BOB)[-2:] == ["Connected", "Terminated"]
    assert of_leg(events_of(journal), ANSWERED, ALICE)[-2:] == ["Connected", "Terminated"]
    clock.elapsed = 26 * 3600.0
    intake.tidy()
    with journal.transaction() as transaction:
        assert transaction.items("call") == transaction.items("call-that-is-over") == []


def test_a_second_call_of_an_endpoint_that_is_engaged(intake: Intake, journal: Journal) -> None:
    """Janus notes its 486 at the caller's handle; and one that is missed is known by `missed_call`."""
    engaged = posts(ENGAGED)
    post(intake, *engaged)
    assert of_leg(events_of(journal), "second", BOB) == ["Initial", "Busy"]
    assert of_leg(events_of(journal), "second", "t2@127.0.0.1") == ["Initial", "Busy"]
    assert of_leg(events_of(journal), "first", BOB) == ["Initial", "Ringing", "Connected", "Terminated"]


def test_of_two_parties_on_one_janus_one_may_be_nobodys(journal: Journal, clock: SteppedClock) -> None:
    rule = OwnershipRule(identity="sip:bob@*", owner="softphone")
    intake = Intake(
        journal, Registrations(Ownership((rule,)), 60, LineLimit(clock)), Calls("sip.invalid"), clock, None
    )
    post(intake, *posts(ENGAGED))
    assert {event["subject"] for event in events_of(journal)} == {BOB}
    assert of_leg(events_of(journal), "second", BOB) == ["Initial", "Busy"]
    assert of_leg(events_of(journal), "first", BOB) == ["Initial", "Ringing", "Connected", "Terminated"]


@pytest.mark.parametrize(("calls", "registrations"), [(True, False), (False, True)])
def test_another_adapter_may_publish_calls_or_registrations(
    calls: bool, registrations: bool, journal: Journal, clock: SteppedClock
) -> None:
    all_of_one = Registrations(
        Ownership.of_one("softphone"), 60, LineLimit(clock), are_published=registrations
    )
    intake = Intake(journal, all_of_one, Calls("sip.invalid", are_published=calls), clock, None)
    post(intake, *posts())
    types = {event["type"].rpartition(".")[2] for event in events_of(journal)}
    assert types == ({"session-invitation", "session-status"} if calls else {"registration-ends"})
    assert any(isinstance(request, PutRegistration) for request in queued(journal)) is registrations
    if calls:
        assert {key: of_leg(events_of(journal), *key) for key in EXPECTED} == EXPECTED


def test_endpoints_of_nobody_do_not_fill_the_log(
    journal: Journal, clock: SteppedClock, caplog: pytest.LogCaptureFixture
) -> None:
    nobodys = Registrations(Ownership(), 60, LineLimit(clock))
    intake = Intake(journal, nobodys, Calls("sip.invalid"), clock, None)
    registered = next(
        event for event in posts() if event["event"].get("data", {}).get("event") == "registered"
    )
    for number in range(1000):
        post(intake, registered | {"handle_id": number})
    assert sum("belongs to nobody" in record.getMessage() for record in caplog.records) == 30
    clock.sleep(60)
    post(intake, registered | {"handle_id": 1000})
    assert caplog.records[-1].getMessage().endswith("(970 more such lines left out)")
