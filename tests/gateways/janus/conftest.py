"""An intake on a journal of its own, and the posts of a real Janus."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.clocks import SteppedClock
from webrtc_events.core.log_limit import LineLimit
from webrtc_events.gateways.janus.calls import Calls
from webrtc_events.gateways.janus.intake import Intake
from webrtc_events.gateways.janus.registrations import Registrations
from webrtc_events.gateways.journal import Journal
from webrtc_events.gateways.network_requests import NetworkRequest, PublishEvent
from webrtc_events.gateways.ownership import Ownership

POSTS = Path(__file__).parent.parent / "data" / "janus-1.1.2.ndjson"
ENGAGED = POSTS.with_name("janus-1.1.2-engaged.ndjson")
GRACE_S = 60


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def journal(tmp_path: Path, clock: SteppedClock) -> Iterator[Journal]:
    journal = Journal(tmp_path / "queue", clock)
    yield journal
    journal.close()


@pytest.fixture
def make_intake(clock: SteppedClock) -> Callable[[Journal], Intake]:
    def make(journal: Journal) -> Intake:
        registrations = Registrations(Ownership.of_one("softphone"), GRACE_S, LineLimit(clock))
        return Intake(journal, registrations, Calls("sip.invalid"), clock, None)

    return make


@pytest.fixture
def intake(journal: Journal, make_intake: Callable[[Journal], Intake]) -> Intake:
    return make_intake(journal)


def posts(file: Path = POSTS) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def post(intake: Intake, *events: Any) -> None:
    intake.take(json.dumps(events).encode())


def queued(journal: Journal) -> list[NetworkRequest]:
    return [entry.request for entry in journal.head(1_000_000)]


def events_of(journal: Journal) -> list[dict[str, Any]]:
    return [dict(request.event) for request in queued(journal) if isinstance(request, PublishEvent)]


def of_leg(events: list[dict[str, Any]], session: str, registration: str) -> list[str]:
    """The statuses of a leg, in order."""
    return [
        event["data"]["status"]
        for event in events
        if event["data"].get("mediaSessionId") == session and event["subject"] == registration
    ]
