"""What a subscriber gets while Kamailio, the adapter or the service is killed, stopped or away."""

import socket
import uuid
from pathlib import Path

import pytest

from tests.gateways.harness.kamailio import Kamailio
from tests.gateways.real.kamailio.conftest import Way
from tests.harness.commands import eventually
from webrtc_events.gateways.kamailio.netstrings import netstring

KILLS = 5
# More than evapi has places: `max_clients` of webrtc-events.cfg.
RESETS = 8


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
    assert errors_of(way.kamailio) == []


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
    assert errors_of(way.kamailio) == []


def test_adapters_that_are_killed_before_they_have_read_all(kamailio_programs: None, tmp_path: Path) -> None:
    """TCP resets their connections. Each is a line of evapi's log, and takes none of its four places."""
    with Kamailio(tmp_path) as kamailio:
        for _ in range(RESETS):
            with _asking(kamailio) as adapter:
                # The answer is there, and stays unread.
                assert adapter.recv(1, socket.MSG_PEEK)
        with _asking(kamailio) as adapter:
            assert b":end " in adapter.recv(1024)
        gone = "client closing connection"
        eventually(lambda: kamailio.log.read_text(errors="replace").count(gone) >= RESETS)
        assert len(kamailio.errors) == RESETS
        assert errors_of(kamailio) == []


def _asking(kamailio: Kamailio) -> socket.socket:
    adapter = socket.create_connection(("127.0.0.1", kamailio.evapi), timeout=30)
    adapter.sendall(netstring(b"want - 0"))
    return adapter


def errors_of(kamailio: Kamailio) -> list[str]:
    """But for the line of evapi that the test above explains.

    A process that is killed with something unread resets its connection. evapi's recv then fails once, with
    ECONNRESET, which it logs as an error; the next says that the client is gone, and its place is free.
    """
    reset = "evapi_recv_client(): cannot read the client message"
    return [line for line in kamailio.errors if reset not in line]
