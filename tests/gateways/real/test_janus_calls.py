"""Calls of a real Janus, as they come to a sink, and as they stand in the console."""

import uuid

import pytest

from tests.gateways.harness.janus import Janus, SipHandle
from tests.gateways.harness.registrar import Registrar
from tests.gateways.real.conftest import Endpoint, Way
from tests.harness.commands import eventually


@pytest.fixture
def session() -> str:
    return f"call-{uuid.uuid4().hex}"


@pytest.fixture
def invitations(way: Way, bob: Endpoint) -> str:
    """Where the invitations of Bob come."""
    return way.subscribe("session-invitation", bob.user)


@pytest.fixture
def statuses(way: Way, bob: Endpoint, session: str) -> str:
    """Where Bob's side of the session comes."""
    return way.subscribe("session-status", bob.user, session)


def call(telephone: SipHandle, registrar: Registrar, bob: Endpoint, session: str) -> None:
    telephone.call(registrar.address(bob.user), call_id=session)
    bob.handle.wait_for("incomingcall")


def test_a_call_that_is_answered_and_hung_up_by_the_caller(
    way: Way,
    registrar: Registrar,
    telephone: SipHandle,
    bob: Endpoint,
    session: str,
    invitations: str,
    statuses: str,
) -> None:
    call(telephone, registrar, bob, session)
    bob.handle.accept()
    telephone.wait_for("accepted")
    telephone.hangup()
    _, connected, terminated = way.await_statuses(statuses, "Ringing", "Connected", "Terminated")
    (invitation,) = way.await_statuses(invitations, "Initial")
    assert invitation["data"]["mediaSessionId"] == session
    assert "m=audio" in invitation["data"]["offer"]["sdp"]
    assert "m=audio" in connected["data"]["answer"]["sdp"]
    assert terminated["data"]["reason"] in ("Hung up by the originator", "Hung up")
    eventually(
        lambda: all(word in way.ladder(session) for word in ("session-invitation", "Ringing", "Terminated"))
    )


def test_a_call_that_is_hung_up_by_the_receiver(
    way: Way, registrar: Registrar, telephone: SipHandle, bob: Endpoint, session: str, statuses: str
) -> None:
    call(telephone, registrar, bob, session)
    bob.handle.accept()
    telephone.wait_for("accepted")
    bob.handle.hangup()
    events = way.await_statuses(statuses, "Ringing", "Connected", "Terminated")
    # Janus posts its own `hangup` and the BYE in either order, and only the BYE says by whom.
    assert events[-1]["data"]["reason"] in ("Hung up by the receiver", "Hung up")


@pytest.mark.parametrize(("code", "status"), [(486, "Busy"), (603, "Declined"), (480, "NoAnswer")])
def test_a_call_that_is_refused(
    code: int,
    status: str,
    way: Way,
    registrar: Registrar,
    telephone: SipHandle,
    bob: Endpoint,
    session: str,
    statuses: str,
) -> None:
    call(telephone, registrar, bob, session)
    bob.handle.decline(code)
    way.await_statuses(statuses, "Ringing", status)


def test_a_call_that_is_cancelled(
    way: Way, registrar: Registrar, telephone: SipHandle, bob: Endpoint, session: str, statuses: str
) -> None:
    call(telephone, registrar, bob, session)
    telephone.hangup()
    way.await_statuses(statuses, "Ringing", "SessionCancelled")


def test_a_call_that_nobody_answers(
    way: Way, registrar: Registrar, alice: Endpoint, bob: Endpoint, session: str, statuses: str
) -> None:
    """The registrar gives up: the caller gets 408, the party called a CANCEL."""
    callers = way.subscribe("session-status", alice.user, session)
    call(alice.handle, registrar, bob, session)
    way.await_statuses(statuses, "Ringing", "SessionCancelled")
    way.await_statuses(callers, "Initial", "Ringing", "NoAnswer")


def test_hold_and_resume(
    way: Way, registrar: Registrar, telephone: SipHandle, bob: Endpoint, session: str, statuses: str
) -> None:
    call(telephone, registrar, bob, session)
    bob.handle.accept()
    telephone.wait_for("accepted")
    way.await_statuses(statuses, "Ringing", "Connected")
    telephone.hold()
    way.await_statuses(statuses, "Ringing", "Connected", "Hold")
    telephone.unhold()
    way.await_statuses(statuses, "Ringing", "Connected", "Hold", "Resume")
    bob.handle.hold()
    way.await_statuses(statuses, "Ringing", "Connected", "Hold", "Resume", "Hold")
    bob.handle.unhold()
    way.await_statuses(statuses, "Ringing", "Connected", "Hold", "Resume", "Hold", "Resume")
    bob.handle.hangup()
    events = way.await_statuses(
        statuses, "Ringing", "Connected", "Hold", "Resume", "Hold", "Resume", "Terminated"
    )
    assert [event["data"]["reason"].split()[1] for event in events[2:6]] == [
        *["originator", "originator"],
        *["receiver", "receiver"],
    ]


def test_a_call_to_nobody(way: Way, registrar: Registrar, alice: Endpoint, session: str) -> None:
    callers = way.subscribe("session-status", alice.user, session)
    alice.handle.call(registrar.address("nobody"), call_id=session)
    way.await_statuses(callers, "Initial", "NotReachable")


def test_both_parties_are_on_this_janus(
    way: Way, registrar: Registrar, alice: Endpoint, bob: Endpoint, session: str, statuses: str
) -> None:
    """Janus notes what it sends of such a call at one handle: the tags tell whose it is."""
    callers = way.subscribe("session-status", alice.user, session)
    call(alice.handle, registrar, bob, session)
    bob.handle.accept()
    alice.handle.wait_for("accepted")
    alice.handle.hold()
    way.await_statuses(callers, "Initial", "Ringing", "Connected", "Hold")
    alice.handle.unhold()
    way.await_statuses(callers, "Initial", "Ringing", "Connected", "Hold", "Resume")
    bob.handle.hangup()
    expected = ["Ringing", "Connected", "Hold", "Resume", "Terminated"]
    way.await_statuses(statuses, *expected)
    way.await_statuses(callers, "Initial", *expected)


def test_an_endpoint_that_is_engaged(
    way: Way, janus: Janus, registrar: Registrar, telephone: SipHandle, bob: Endpoint, session: str
) -> None:
    """Janus refuses the second call by itself."""
    invitations = way.subscribe("session-invitation", bob.user)
    statuses = way.subscribe("session-status", bob.user, f"{session}-2")
    call(telephone, registrar, bob, session)
    bob.handle.accept()
    telephone.wait_for("accepted")
    second = janus.attach()
    second.register(f"telephone-{session[-8:]}", registrar.uri)
    second.call(registrar.address(bob.user), call_id=f"{session}-2")
    second.wait_for("hangup")
    way.await_statuses(statuses, "Busy")
    assert way.statuses(invitations) == ["Initial", "Initial"]
    second.destroy()
