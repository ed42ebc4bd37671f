"""What strangers bring a Janus to post, and a Janus that is broken: bounded, forgotten, no harm to others."""

import json
from typing import Any

import pytest

from tests.gateways.janus.conftest import events_of, post, posts, queued
from tests.gateways.janus.test_intake import check
from tests.harness.clocks import SteppedClock
from webrtc_events.contract.documents import load_network
from webrtc_events.gateways.janus.intake import Intake
from webrtc_events.gateways.journal import Journal

VALIDATOR = load_network().validator("NetworkEvent")
DAY_S = 86_400.0
_OF_ALICE = posts()[:8][-1]


def of_alice(number: int, data: dict[str, Any]) -> dict[str, Any]:
    """An event of the handle of Alice, who has registered."""
    event = {"plugin": "janus.plugin.sip", "data": data}
    return _OF_ALICE | {"timestamp": _OF_ALICE["timestamp"] + number, "event": event}


def invite(call_id: str, sender: str, body: str = "", contact: str = "<sip:m@example.com>") -> dict[str, Any]:
    """What the plugin posts of an INVITE that Alice gets."""
    lines = [
        "INVITE sip:alice@example.com SIP/2.0",
        f"From: {sender};tag=1",
        "To: <sip:alice@example.com>",
        f"Call-ID: {call_id}",
        "CSeq: 1 INVITE",
        f"Contact: {contact}",
        "Content-Type: application/sdp",
        f"Content-Length: {len(body)}",
    ]
    return {"event": "sip-in", "sip": "\r\n".join([*lines, "", body])}


def test_bytes_that_are_no_utf_8_cost_one_name_and_no_batch(intake: Intake, journal: Journal) -> None:
    found = posts()
    found.insert(8, of_alice(1, invite("of-mallory", '"MALLORY" <sip:m@example.com>')))
    intake.take(json.dumps(found).encode().replace(b"MALLORY", b"\xff\xfe"))
    (invitation, *_) = [e for e in check(journal) if e["data"].get("mediaSessionId") == "of-mallory"]
    assert invitation["data"]["originatorName"] == "\ufffd\ufffd"
    assert intake.figures.damaged == 0


@pytest.mark.parametrize(
    "sender",
    [
        f'"{"x" * 60_000}" <sip:m@example.com>',
        f"a{' ' * 60_000}b <sip:m@example.com>",
        f"{' ' * 60_000}<sip:m@example.com>",
        "<" * 60_000,
        '"' * 60_001,
        f'"{chr(92) * 60_001}',
        f"<sip:{'m' * 60_000}@example.com>",
        f"<sip:m@{'a.' * 30_000}!>",
    ],
    ids=["long", "spaces within", "spaces", "brackets", "quotes", "backslashes", "user", "host"],
)
def test_a_name_of_any_size_takes_little_time_and_room(
    sender: str, intake: Intake, journal: Journal, path_of_alice: None
) -> None:
    """A thousand such INVITEs would keep Janus's own events waiting."""
    before = len(queued(journal))
    for number in range(20):
        post(intake, of_alice(number, invite(f"call-{number}", sender, contact=sender)))
    events = events_of(journal)[-20:]
    assert len(queued(journal)) == before + 20
    assert [fault for event in events for fault in VALIDATOR.faults(event)] == []
    assert max(len(json.dumps(event)) for event in events) < 4000


@pytest.fixture
def path_of_alice(intake: Intake) -> None:
    """Alice has registered."""
    post(intake, *posts()[:8])


def test_an_offer_that_nobody_means_is_left_out(
    intake: Intake, journal: Journal, path_of_alice: None
) -> None:
    huge = "v=0\r\nm=audio 9 RTP/AVP 0\r\na=x:" + "y" * 1_000_000 + "\r\n"
    post(intake, of_alice(1, invite("huge", "<sip:m@example.com>", huge)))
    post(
        intake, of_alice(2, {"event": "calling", "callee": "sip:b@example.com", "call-id": "2", "sdp": huge})
    )
    assert [event for event in events_of(journal) if "offer" in event["data"]] == []
    assert {event["data"]["mediaSessionId"] for event in events_of(journal)} == {"huge", "2"}
    with journal.transaction() as transaction:
        assert max(len(value) for _, value in transaction.items("call")) < 4000


def test_a_reason_of_any_size_is_cut(intake: Intake, journal: Journal, path_of_alice: None) -> None:
    post(intake, of_alice(1, {"event": "calling", "callee": "sip:b@example.com", "call-id": "1"}))
    post(intake, of_alice(2, {"event": "hangup", "call-id": "1", "code": 500, "reason": "x" * 100_000}))
    assert len(events_of(journal)[-1]["data"]["reason"]) == 512


@pytest.mark.slow
def test_ten_thousand_calls_that_never_end_are_ended_after_a_day_and_forgotten(
    intake: Intake, journal: Journal, clock: SteppedClock, path_of_alice: None
) -> None:
    calls = 10_000
    post(
        intake,
        *[
            of_alice(number, {"event": "calling", "callee": "sip:b@example.com", "call-id": f"c-{number}"})
            for number in range(calls)
        ],
    )
    clock.elapsed = 1.1 * DAY_S
    for _ in range(15):
        clock.elapsed += 60
        intake.tidy()
    ends = [event for event in events_of(journal) if event["data"].get("status") == "Failed"]
    assert len({event["data"]["mediaSessionId"] for event in ends}) == len(ends) == calls
    clock.elapsed += 2 * 3600
    intake.tidy()
    assert kept(journal, "call", "call-that-is-over") == 0


def test_many_short_calls_are_forgotten_as_fast_as_they_come(
    intake: Intake, journal: Journal, clock: SteppedClock, path_of_alice: None
) -> None:
    """Thirty a second; the adapter tidies once a minute."""
    for minute in range(2):
        first = minute * 1800
        post(
            intake,
            *[
                of_alice(10 * number + step, data)
                for number in range(first, first + 1800)
                for step, data in enumerate(
                    [
                        {"event": "calling", "callee": "sip:b@example.com", "call-id": f"c-{number}"},
                        {"event": "hangup", "call-id": f"c-{number}", "code": 486},
                    ]
                )
            ],
        )
        clock.elapsed += 60
        intake.tidy()
    clock.elapsed += 3600
    intake.tidy()
    assert kept(journal, "call-that-is-over") == 0


def test_endpoints_whose_end_was_missed_are_forgotten(
    intake: Intake, journal: Journal, clock: SteppedClock
) -> None:
    """The adapter was away for longer than Janus tries. Those that renew stay."""
    post(
        intake,
        *[
            of_alice(number, {"event": "registered", "identity": f"sip:u{number}@example.com"})
            | {"handle_id": number}
            for number in range(100)
        ],
    )
    assert kept(journal, "handle", "registration", "identity") == 300
    clock.elapsed = 7 * DAY_S
    post(
        intake,
        of_alice(1000, {"event": "registered", "identity": "sip:u1@example.com"}) | {"handle_id": 1},
    )
    clock.elapsed = 8.5 * DAY_S
    intake.tidy()
    assert kept(journal, "handle", "registration", "identity") == 3


def test_a_line_that_was_quiet_for_weeks_is_known_while_its_endpoint_renews(
    intake: Intake, journal: Journal, clock: SteppedClock
) -> None:
    """Janus names a helper when it attaches, and renews the registration of its master alone."""
    registered = {"event": "registered", "identity": "sip:u1@example.com"}
    post(intake, of_alice(1, registered) | {"handle_id": 1})
    post(intake, of_alice(2, registered | {"helper": True}) | {"handle_id": 2})
    for week in range(1, 4):
        clock.elapsed = 7 * DAY_S * week
        post(intake, of_alice(2 + week, registered) | {"handle_id": 1})
        intake.tidy()
    call = {"event": "calling", "callee": "sip:b@example.com", "call-id": "late"}
    post(intake, of_alice(10, call) | {"handle_id": 2})
    assert events_of(journal)[-1]["data"]["mediaSessionId"] == "late"
    clock.elapsed += 10 * DAY_S
    intake.tidy()
    clock.elapsed += 10 * DAY_S
    intake.tidy()
    assert kept(journal, "handle", "registration", "identity") == 0


@pytest.mark.parametrize("jump_s", [40 * DAY_S, -40 * DAY_S])
def test_a_clock_that_is_set_ends_no_call_and_forgets_nothing(
    jump_s: float, intake: Intake, journal: Journal, clock: SteppedClock, path_of_alice: None,
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """As by NTP, half a minute after the machine has started."""
    post(intake, of_alice(1, {"event": "calling", "callee": "sip:b@example.com", "call-id": "1"}))
    before = events_of(journal)
    now = clock.now
    monkeypatch.setattr(clock, "now", lambda: now() + jump_s)
    intake.tidy()
    post(intake, of_alice(1, {"event": "calling", "callee": "sip:b@example.com", "call-id": "1"}))
    assert events_of(journal) == before
    assert intake.figures.repeated == 1
    assert kept(journal, "call") == 1
    assert "the clock was set by" in caplog.text


def kept(journal: Journal, *kinds: str) -> int:
    with journal.transaction() as transaction:
        return sum(len(transaction.items(kind)) for kind in kinds)
