"""Calls between a real Janus and SIPp, through a registrar that is neither's: Janus calls, and is called."""

import shutil
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateways.harness.janus import Janus
from tests.gateways.harness.ports import free_port
from tests.gateways.harness.registrar import Registrar
from tests.gateways.harness.sipp import Party, Sipp
from tests.gateways.real.conftest import Endpoint, Way, registered


@pytest.fixture(scope="module")
def sipp(registrar: Registrar, folder: Path) -> Iterator[Sipp]:
    assert shutil.which("sipp"), "sipp: not installed; `make test-gateways` installs it, or says how"
    sipp = Sipp(registrar.port, folder)
    yield sipp
    sipp.close()


@pytest.fixture
def alice(janus: Janus, registrar: Registrar, way: Way) -> Iterator[Endpoint]:
    """Without a display name: SIPp takes that of a Contact for a part of the URI to answer to."""
    yield from registered(janus, registrar, way, "alice", display_name=None)


@pytest.fixture
def bob(janus: Janus, registrar: Registrar, way: Way) -> Iterator[Endpoint]:
    yield from registered(janus, registrar, way, "bob", display_name=None)


@pytest.fixture
def session() -> str:
    return f"call-{uuid.uuid4().hex}"


@pytest.fixture
def statuses(way: Way, bob: Endpoint, session: str) -> str:
    """Where Bob's side of the session comes."""
    return way.subscribe("session-status", bob.user, session)


@pytest.fixture
def callers(way: Way, alice: Endpoint, session: str) -> str:
    """Where Alice's side of the session comes."""
    return way.subscribe("session-status", alice.user, session)


def call_of(sipp: Sipp, scenario: str, bob: Endpoint, session: str) -> Party:
    """SIPp calls Bob, whose Janus has told him."""
    caller = sipp.begin(scenario, "-cid_str", session, service=bob.user)
    bob.handle.wait_for("incomingcall")
    return caller


def test_it_is_called_and_the_caller_hangs_up(
    way: Way, sipp: Sipp, bob: Endpoint, session: str, statuses: str
) -> None:
    invitations = way.subscribe("session-invitation", bob.user)
    caller = call_of(sipp, "caller-hangs-up", bob, session)
    bob.handle.accept()
    caller.finish()
    _, connected, terminated = way.await_statuses(statuses, "Ringing", "Connected", "Terminated")
    (invitation,) = way.await_statuses(invitations, "Initial")
    assert invitation["data"]["mediaSessionId"] == session
    assert invitation["data"]["originatorAddress"] == "sip:alice@example.com"
    assert invitation["data"]["originatorName"] == "Alice Meyer"
    assert "c=IN IP4 203.0.113.215" in invitation["data"]["offer"]["sdp"]
    assert "m=audio" in connected["data"]["answer"]["sdp"]
    assert terminated["data"]["reason"] in ("Hung up by the originator", "Hung up")


def test_it_is_called_and_hangs_up(way: Way, sipp: Sipp, bob: Endpoint, session: str, statuses: str) -> None:
    caller = call_of(sipp, "caller-waits", bob, session)
    bob.handle.accept()
    way.await_statuses(statuses, "Ringing", "Connected")
    bob.handle.hangup()
    caller.finish()
    way.await_statuses(statuses, "Ringing", "Connected", "Terminated")


@pytest.mark.parametrize(
    ("code", "scenario", "status"),
    [
        (486, "caller-gets-486", "Busy"),
        (603, "caller-gets-603", "Declined"),
        (480, "caller-gets-480", "NoAnswer"),
    ],
)
def test_it_is_called_and_refuses(
    code: int, scenario: str, status: str, way: Way, sipp: Sipp, bob: Endpoint, session: str, statuses: str
) -> None:
    caller = call_of(sipp, scenario, bob, session)
    bob.handle.decline(code)
    caller.finish()
    way.await_statuses(statuses, "Ringing", status)


@pytest.mark.parametrize("scenario", ["caller-cancels", "caller-gets-408"], ids=["cancelled", "no answer"])
def test_it_is_called_and_does_not_answer(
    scenario: str, way: Way, sipp: Sipp, bob: Endpoint, session: str, statuses: str
) -> None:
    """Cancelled by the caller, or by the registrar."""
    call_of(sipp, scenario, bob, session).finish()
    way.await_statuses(statuses, "Ringing", "SessionCancelled")


def test_it_is_held_and_resumed(way: Way, sipp: Sipp, bob: Endpoint, session: str, statuses: str) -> None:
    caller = call_of(sipp, "caller-holds", bob, session)
    bob.handle.accept()
    caller.finish()
    events = way.await_statuses(statuses, "Ringing", "Connected", "Hold", "Resume", "Terminated")
    assert "a=sendonly" in events[2]["data"]["offer"]["sdp"]
    assert events[2]["data"]["reason"] == "The originator holds the call"
    assert events[3]["data"]["reason"] == "The originator resumes the call"


@pytest.fixture
def called(sipp: Sipp) -> tuple[str, int]:
    """Somebody who has registered with SIPp, and the port."""
    user, port = f"telephone-{uuid.uuid4().hex[:8]}", free_port(socket.SOCK_DGRAM)
    sipp.register(user, port)
    return user, port


def call_to(
    sipp: Sipp, scenario: str, called: tuple[str, int], alice: Endpoint, registrar: Registrar, session: str
) -> Party:
    user, port = called
    answering = sipp.begin(scenario, port=port, service=user)
    alice.handle.call(registrar.address(user), call_id=session)
    return answering


def test_it_calls_and_is_hung_up(
    way: Way,
    sipp: Sipp,
    registrar: Registrar,
    called: tuple[str, int],
    alice: Endpoint,
    session: str,
    callers: str,
) -> None:
    call_to(sipp, "callee-hangs-up", called, alice, registrar, session).finish()
    events = way.await_statuses(callers, "Initial", "Ringing", "Connected", "Terminated")
    assert events[-1]["data"]["reason"] in ("Hung up by the receiver", "Hung up")
    assert "c=IN IP4 203.0.113.216" in events[2]["data"]["answer"]["sdp"]


def test_it_calls_and_hangs_up(
    way: Way,
    sipp: Sipp,
    registrar: Registrar,
    called: tuple[str, int],
    alice: Endpoint,
    session: str,
    callers: str,
) -> None:
    answering = call_to(sipp, "callee-answers", called, alice, registrar, session)
    alice.handle.wait_for("accepted")
    alice.handle.hangup()
    answering.finish()
    way.await_statuses(callers, "Initial", "Ringing", "Connected", "Terminated")


@pytest.mark.parametrize(
    ("scenario", "expected"),
    [
        ("callee-is-busy", ("Busy",)),
        ("callee-declines", ("Ringing", "Declined")),
        ("callee-is-away", ("Ringing", "NoAnswer")),
        ("callee-rings", ("Ringing", "NoAnswer")),
    ],
    ids=["busy", "declined", "away", "no answer"],
)
def test_it_calls_somebody_who_does_not_answer(
    scenario: str,
    expected: tuple[str, ...],
    way: Way,
    sipp: Sipp,
    registrar: Registrar,
    called: tuple[str, int],
    alice: Endpoint,
    session: str,
    callers: str,
) -> None:
    """Where nobody does anything, the registrar ends it."""
    call_to(sipp, scenario, called, alice, registrar, session).finish()
    way.await_statuses(callers, "Initial", *expected)


def test_it_calls_and_gives_up(
    way: Way,
    sipp: Sipp,
    registrar: Registrar,
    called: tuple[str, int],
    alice: Endpoint,
    session: str,
    callers: str,
) -> None:
    answering = call_to(sipp, "callee-rings", called, alice, registrar, session)
    way.await_statuses(callers, "Initial", "Ringing")
    alice.handle.hangup()
    answering.finish()
    way.await_statuses(callers, "Initial", "Ringing", "SessionCancelled")


def test_it_holds_and_resumes(
    way: Way,
    sipp: Sipp,
    registrar: Registrar,
    called: tuple[str, int],
    alice: Endpoint,
    session: str,
    callers: str,
) -> None:
    answering = call_to(sipp, "callee-is-held", called, alice, registrar, session)
    alice.handle.wait_for("accepted")
    alice.handle.hold()
    way.await_statuses(callers, "Initial", "Ringing", "Connected", "Hold")
    alice.handle.unhold()
    way.await_statuses(callers, "Initial", "Ringing", "Connected", "Hold", "Resume")
    alice.handle.hangup()
    answering.finish()
    way.await_statuses(callers, "Initial", "Ringing", "Connected", "Hold", "Resume", "Terminated")
