"""What a subscriber gets while Kamailio, the adapter or the service is killed, stopped or away."""

import uuid

import pytest

from tests.gateways.real.kamailio.conftest import Way
from tests.harness.commands import eventually

KILLS = 5


@pytest.fixture
def session() -> str:
    return f"call-{uuid.uuid4().hex}"


def test_the_adapter_is_killed_in_mid_call_again_and_again(way: Way) -> None:
    """Calls go on while it is away: nothing is lost, nothing comes twice."""
    way.register("bob")
    invitations = way.subscribe("session-invitation", "bob")
    sessions = [f"call-{number}-{uuid.uuid4().hex}" for number in range(KILLS)]
    paths = [way.subscribe("session-status", "bob", session) for session in sessions]
    for session, path in zip(sessions, paths, strict=True):
        answering = way.callee("callee-is-held")
        calling = way.sipp.begin("caller-holds", "-cid_str", session)
        way.await_some(path, "Ringing")
        way.adapter.process.kill()
        way.adapter.process.wait()
        calling.finish()
        answering.finish()
        way.start_adapter()
    for path in paths:
        way.await_statuses(path, "Ringing", "Connected", "Hold", "Resume", "Terminated")
    events = eventually(lambda: len(way.received(invitations)) >= KILLS and way.received(invitations))
    assert [event["data"]["mediaSessionId"] for event in events] == sessions
    assert len({event["id"] for event in events}) == KILLS
    assert errors_of(way) == []


def test_kamailio_is_killed_in_mid_call(way: Way, session: str) -> None:
    """It knows nothing of the call when it is back: the session ends, and does not stay for ever."""
    way.register("bob")
    statuses = way.subscribe("session-status", "bob", session)
    way.callee("callee-answers")
    way.sipp.begin("caller-waits", "-cid_str", session)
    way.await_statuses(statuses, "Ringing", "Connected")
    way.kamailio.kill()
    way.kamailio.start()
    *_, terminated = way.await_statuses(statuses, "Ringing", "Connected", "Terminated")
    assert terminated["data"]["reason"] == "Kamailio no longer knows the call"


def test_kamailio_does_not_come_back(way: Way, session: str) -> None:
    way.register("bob")
    statuses = way.subscribe("session-status", "bob", session)
    way.callee("callee-answers")
    way.sipp.begin("caller-waits", "-cid_str", session)
    way.await_statuses(statuses, "Ringing", "Connected")
    way.kamailio.kill()
    eventually(lambda: "Terminated" in way.statuses(statuses), 60)
    *_, terminated = way.await_statuses(statuses, "Ringing", "Connected", "Terminated")
    assert terminated["data"]["reason"] == "Kamailio has not answered for 5 s"


def test_calls_while_the_service_is_away(way: Way, session: str) -> None:
    """The adapter's queue waits; then all comes, in order. The adapter is killed in between."""
    way.register("bob")
    statuses = way.subscribe("session-status", "bob", session)
    invitations = way.subscribe("session-invitation", "bob")
    way.service.stop()
    answering = way.callee("callee-is-held")
    way.sipp.run("caller-holds", "-cid_str", session)
    answering.finish()
    way.adapter.process.kill()
    way.adapter.process.wait()
    way.start_adapter()
    way.service.start()
    way.await_statuses(statuses, "Ringing", "Connected", "Hold", "Resume", "Terminated")
    way.await_statuses(invitations, "Initial")


def test_the_adapter_is_killed_while_it_rings(way: Way, session: str) -> None:
    """It asks Kamailio for the call when it is back: a call that only rings is known too."""
    way.register("bob")
    statuses = way.subscribe("session-status", "bob", session)
    way.callee("callee-rings")
    calling = way.sipp.begin("caller-gets-408", "-cid_str", session)
    way.await_some(statuses, "Ringing")
    way.adapter.process.kill()
    way.adapter.process.wait()
    way.start_adapter()
    calling.finish()
    way.await_statuses(statuses, "Ringing", "NoAnswer")
    assert errors_of(way) == []


def errors_of(way: Way) -> list[str]:
    """But for evapi's line of an adapter that was killed before it had read all: TCP resets it."""
    reset = "evapi_recv_client(): cannot read the client message"
    return [line for line in way.kamailio.errors if reset not in line]
