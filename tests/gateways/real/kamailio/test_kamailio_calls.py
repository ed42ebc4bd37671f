"""Calls of SIPp through a real Kamailio, as they come to a sink, and as they stand in the console."""

import uuid

import pytest

from tests.gateways.real.kamailio.conftest import Way
from tests.harness.commands import eventually


@pytest.fixture
def way(shared_way: Way) -> Way:
    return shared_way


@pytest.fixture
def session() -> str:
    return f"call-{uuid.uuid4().hex}"


@pytest.fixture
def bob(way: Way) -> str:
    """Somebody new who has registered."""
    user = f"bob-{uuid.uuid4().hex[:8]}"
    way.register(user)
    return user


@pytest.fixture
def invitations(way: Way, bob: str) -> str:
    """Where the invitations of Bob come."""
    return way.subscribe("session-invitation", bob)


def call(way: Way, bob: str, session: str, callee: str, caller: str) -> str:
    """A call to its end; where Bob's side of the session comes."""
    statuses = way.subscribe("session-status", bob, session)
    answering = way.callee(callee, bob)
    way.sipp.run(caller, "-cid_str", session, service=bob)
    answering.finish()
    return statuses


def test_a_call_that_is_answered_and_hung_up_by_the_caller(
    way: Way, bob: str, invitations: str, session: str
) -> None:
    statuses = call(way, bob, session, "callee-answers", "caller-hangs-up")
    ringing, connected, terminated = way.await_statuses(statuses, "Ringing", "Connected", "Terminated")
    (invitation,) = way.await_statuses(invitations, "Initial")
    assert invitation["data"]["mediaSessionId"] == session
    assert invitation["data"]["originatorAddress"] == "sip:alice@example.com"
    assert invitation["data"]["originatorName"] == "Alice Meyer"
    assert invitation["data"]["receiverAddress"] == f"sip:{bob}@example.com"
    assert "c=IN IP4 203.0.113.215" in invitation["data"]["offer"]["sdp"]
    assert "c=IN IP4 203.0.113.216" in connected["data"]["answer"]["sdp"]
    assert terminated["data"]["reason"] == "Hung up by the originator"
    assert ringing["time"] < terminated["time"]
    # The trace of a call is written beside its deliveries.
    eventually(lambda: all(word in way.ladder(session) for word in ("Ringing", "Terminated")))


def test_a_call_that_is_hung_up_by_the_receiver(way: Way, bob: str, session: str) -> None:
    statuses = call(way, bob, session, "callee-hangs-up", "caller-waits")
    *_, terminated = way.await_statuses(statuses, "Ringing", "Connected", "Terminated")
    assert terminated["data"]["reason"] == "Hung up by the receiver"


@pytest.mark.parametrize(
    ("callee", "caller", "expected"),
    [
        ("callee-is-busy", "caller-gets-486", ("Busy",)),
        ("callee-declines", "caller-gets-603", ("Ringing", "Declined")),
        ("callee-is-away", "caller-gets-480", ("Ringing", "NoAnswer")),
        ("callee-rings", "caller-gets-408", ("Ringing", "NoAnswer")),
        ("callee-rings", "caller-cancels", ("Ringing", "SessionCancelled")),
        ("callee-progress", "caller-hangs-up", ("Proceeding", "Connected", "Terminated")),
    ],
    ids=["busy", "declined", "away", "no answer", "cancelled", "early media"],
)
def test_a_call_of_each_kind(
    callee: str, caller: str, expected: tuple[str, ...], way: Way, bob: str, invitations: str, session: str
) -> None:
    statuses = call(way, bob, session, callee, caller)
    way.await_statuses(statuses, *expected)
    way.await_statuses(invitations, "Initial")


def test_hold_and_resume(way: Way, bob: str, session: str) -> None:
    statuses = call(way, bob, session, "callee-is-held", "caller-holds")
    expected = ("Ringing", "Connected", "Hold", "Resume", "Terminated")
    events = way.await_statuses(statuses, *expected)
    assert "a=sendonly" in events[2]["data"]["offer"]["sdp"]
    assert "a=sendrecv" in events[3]["data"]["offer"]["sdp"]


def test_both_parties_are_registered_here(way: Way, bob: str, session: str) -> None:
    """Each leg is named, and gets its own events."""
    way.register("alice")
    calls = way.subscribe("session-status", "alice", session)
    statuses = call(way, bob, session, "callee-answers", "caller-hangs-up")
    way.await_statuses(statuses, "Ringing", "Connected", "Terminated")
    way.await_statuses(calls, "Initial", "Ringing", "Connected", "Terminated")


def test_a_call_to_nobody(way: Way, session: str) -> None:
    way.register("alice")
    calls = way.subscribe("session-status", "alice", session)
    way.sipp.run("caller-gets-480", "-cid_str", session, service="nobody")
    way.await_statuses(calls, "Initial", "NotReachable")


def test_a_registration_that_is_not_renewed(way: Way) -> None:
    """The end comes when Kamailio's registrar says so, with its time."""
    user = f"carol-{uuid.uuid4().hex[:8]}"
    way.register(user, expires_s=600)
    ends = way.subscribe("registration-ends", user)
    way.register(user, expires_s=5, sequence=2)
    end = way.await_end(ends)
    assert end["terminationReason"] == "REGISTRATION_EXPIRED"
    assert end["registrationId"] == user


def test_a_registration_that_the_endpoint_ends(way: Way) -> None:
    user = f"dave-{uuid.uuid4().hex[:8]}"
    way.register(user)
    ends = way.subscribe("registration-ends", user)
    way.register(user, expires_s=0, sequence=2)
    assert way.await_end(ends)["terminationReason"] == "NETWORK_TERMINATED"


def test_a_registration_that_is_renewed_goes_on(way: Way) -> None:
    """For longer than it would have lasted."""
    user, other = f"erin-{uuid.uuid4().hex[:8]}", f"frank-{uuid.uuid4().hex[:8]}"
    way.register(user, expires_s=6)
    ends = way.subscribe("registration-ends", user)
    way.register(user, expires_s=600, sequence=2)
    way.register(other, expires_s=600)
    others = way.subscribe("registration-ends", other)
    # It registers later and ends sooner: by its end the first one would have ended too.
    way.register(other, expires_s=7, sequence=2)
    assert way.await_end(others)["terminationReason"] == "REGISTRATION_EXPIRED"
    assert way.received(ends) == []
