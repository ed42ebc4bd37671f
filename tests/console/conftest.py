"""A console over the real store, and what it shows."""

import re
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from tests.harness.builders import append, created, invitation
from tests.harness.commands import chromium, start
from webrtc_events.console.access import MachineAccess
from webrtc_events.console.console_app import ConsoleOptions, console_app
from webrtc_events.console.console_parts import ConsoleParts
from webrtc_events.console.sections import sections
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.model import Subscription
from webrtc_events.core.settings import Settings
from webrtc_events.store.keys import partition_of
from webrtc_events.store.settlements import DroppedEvent, Settlement
from webrtc_events.store.store import Store

__all__ = ["chromium", "start"]

P = partition_of("r1", 64)


@pytest.fixture
def parts(store: Store, settings: Settings) -> ConsoleParts:
    return ConsoleParts(store, settings, SystemClock())


@pytest.fixture
def console(parts: ConsoleParts) -> FlaskClient:
    options = ConsoleOptions(session_key=b"k" * 32, access=MachineAccess())
    return console_app(options, sections(parts)).test_client()


@pytest.fixture
def token(console: FlaskClient) -> Callable[[], str]:
    """The token that each form of the console has."""

    def of_page() -> str:
        match = re.search(r'<meta name="csrf-token" content="([^"]+)">', console.get("/subscriptions/").text)
        assert match is not None
        return match[1]

    return of_page


@pytest.fixture
def lost(store: Store) -> Subscription:
    """A subscription with two dead letters: one refused, after an attempt, and one late."""
    made = created(store)
    append(store, invitation(1), invitation(2))
    (claim,) = store.claims.claim([P], subscriptions=1, events=8)
    attempt = {
        "event": f"{made.id}.1",
        "type": "session-invitation",
        "attempt": 1,
        "outcome": "drop",
        "reason": "refused",
        "detail": "status 400 for sip:alice@ims.example",
        "status": 400,
        "ms": 12,
        "at": claim.now_ms,
        "correlator": "c1",
    }
    dead = (DroppedEvent(1, "refused", "status 400"), DroppedEvent(2, "deadline_exceeded", ""))
    store.claims.settle([Settlement(claim, 2, dead=dead, attempts=(attempt,))])
    return made
