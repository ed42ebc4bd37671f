"""The demo: it passes on a working service, and it can fail."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.harness.commands import clean_environ, run
from webrtc_events.core.model import EventType, TerminationReason
from webrtc_events.local.demo.expectation import Expected, faults
from webrtc_events.local.recordings import load_recording, played_anew
from webrtc_events.local.sink.received import Received


def test_demo_passes_on_a_fresh_serve_and_prints_what_came() -> None:
    done = run("demo", "--fresh")
    output = done.stdout.decode()
    assert done.returncode == 0, output + done.stderr.decode()
    expected = len(load_recording("answered")) + 3
    assert expected >= 10
    assert output.count("  ok\n") == expected
    assert f"All {expected} notifications came" in output
    assert output.count("subscription-ended") == 3
    assert "\x1b" not in output


@pytest.mark.slow
def test_demo_passes_where_sinks_have_to_agree() -> None:
    done = run("demo", "--fresh", env=clean_environ() | {"WEBRTC_EVENTS_SINK_VALIDATION": "on"})
    output = done.stdout.decode()
    assert done.returncode == 0, output + done.stderr.decode()
    assert f"All {len(load_recording('answered')) + 3} notifications came" in output


def test_demo_without_serve_says_what_is_missing(data: Path) -> None:
    done = run("demo", "--data-dir", str(data))
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr


def test_call_is_played_anew_each_time() -> None:
    recorded = load_recording("answered")
    first, second = (played_anew(recorded, 1_800_000_000_000) for _ in range(2))
    assert not {event["id"] for event in first} & {event["id"] for event in second}
    assert len({event["subject"] for event in first}) == 1
    assert first[0]["subject"] not in {second[0]["subject"], recorded[0]["subject"]}
    sessions = {event["data"].get("mediaSessionId") for event in first}
    assert len(sessions - {None}) == 1
    assert {
        **first[1],
        **{name: recorded[1][name] for name in ("id", "time", "subject", "data")},
    } == recorded[1]
    assert first[-1]["data"]["registrationId"] == first[0]["subject"]
    assert [event["time"] for event in first] == sorted(event["time"] for event in first)
    assert first[-1]["time"] == "2027-01-15T08:00:00.000Z"


_EVENTS = tuple(
    event
    for event in played_anew(load_recording("answered"), 1_800_000_000_000)
    if event["type"] == EventType.SESSION_STATUS
)[:3]
_EXPECTED = Expected(
    type=EventType.SESSION_STATUS,
    subscription="s-1",
    path="/p",
    events=_EVENTS,
    reason=TerminationReason.MAX_EVENTS_REACHED,
)


def _received(number: int, event: dict[str, Any], **data: Any) -> Received:
    event = event | {"id": f"s-1.{number}", "data": event["data"] | {"subscriptionId": "s-1"} | data}
    return Received(
        number=number,
        at_ms=0,
        path="/p",
        correlator=None,
        event=event,
        fault=None,
        repeated=False,
        answered=204,
    )


def _end(number: int, reason: str = "MAX_EVENTS_REACHED", subscription: str = "s-1") -> Received:
    event = {"type": EventType.SUBSCRIPTION_ENDED, "time": "2026-01-01T00:00:00Z", "data": {}}
    return _received(number, event, terminationReason=reason, subscriptionId=subscription)


_ALL = [*(_received(number, event) for number, event in enumerate(_EVENTS, start=1)), _end(4)]


def test_all_that_was_expected_has_no_fault() -> None:
    assert faults(_EXPECTED, _ALL) == []


@pytest.mark.parametrize(
    "received",
    [
        [],
        _ALL[:-1],
        _ALL[1:],
        [_ALL[1], _ALL[0], *_ALL[2:]],
        [*_ALL, _end(5)],
        [*_ALL, _received(5, _EVENTS[0])],
        [*_ALL[:2], _end(3), _ALL[2]],
        [*_ALL[:3], _end(4, reason="SUBSCRIPTION_EXPIRED")],
        [*_ALL[:3], _end(4, subscription="s-2")],
        [replace(_ALL[0], fault="not right"), *_ALL[1:]],
        [replace(_ALL[0], repeated=True), *_ALL[1:]],
        [_received(1, _EVENTS[0], sequenceNumber=99), *_ALL[1:]],
        [_received(1, _EVENTS[0], extra=True), *_ALL[1:]],
        [_received(1, _EVENTS[0] | {"time": "2020-01-01T00:00:00Z"}), *_ALL[1:]],
        [_received(1, _EVENTS[0] | {"type": EventType.SESSION_INVITATION}), *_ALL[1:]],
        [replace(_ALL[0], event=None), *_ALL[1:]],
    ],
    ids=[
        "nothing came",
        "no end",
        "one missing",
        "out of order",
        "ended twice",
        "an event after the end",
        "the end is not last",
        "another reason",
        "another subscription's end",
        "invalid",
        "repeated",
        "another value",
        "one value more",
        "another time",
        "another type",
        "no JSON",
    ],
)
def test_every_difference_is_a_fault(received: list[Received]) -> None:
    assert faults(_EXPECTED, received)
