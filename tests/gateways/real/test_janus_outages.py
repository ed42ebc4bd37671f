"""Whatever is away for a while, between a real Janus and a sink: nothing is lost, nothing comes twice."""

import os
import signal
import uuid

import pytest

from tests.gateways.harness.janus import SipHandle
from tests.gateways.harness.registrar import Registrar
from tests.gateways.real.conftest import PASSWORD, Endpoint, Way
from tests.harness.commands import eventually, run
from webrtc_events.core.clock import SystemClock
from webrtc_events.gateways.journal_view import view

WHOLE = ("Ringing", "Connected", "Terminated")


@pytest.fixture
def session() -> str:
    return f"call-{uuid.uuid4().hex}"


@pytest.fixture
def statuses(way: Way, bob: Endpoint, session: str) -> str:
    return way.subscribe("session-status", bob.user, session)


def test_the_adapter_is_killed_at_each_step_of_a_call(
    way: Way, registrar: Registrar, telephone: SipHandle, bob: Endpoint, session: str, statuses: str
) -> None:
    telephone.call(registrar.address(bob.user), call_id=session)
    way.kill_adapter()
    bob.handle.wait_for("incomingcall")
    way.start_adapter()
    bob.handle.accept()
    telephone.wait_for("accepted")
    way.kill_adapter()
    telephone.hangup()
    bob.handle.wait_for("hangup")
    way.start_adapter()
    way.await_statuses(statuses, *WHOLE)


def test_the_service_is_away(
    way: Way,
    serve_pid: int,
    registrar: Registrar,
    telephone: SipHandle,
    bob: Endpoint,
    session: str,
    statuses: str,
) -> None:
    """Frozen, so that requests are neither answered nor refused: the adapter's queue has the whole call."""
    os.kill(serve_pid, signal.SIGSTOP)
    try:
        telephone.call(registrar.address(bob.user), call_id=session)
        bob.handle.wait_for("incomingcall")
        bob.handle.accept()
        telephone.wait_for("accepted")
        telephone.hangup()
        bob.handle.wait_for("hangup")
        # Of the call; a registration may be put again beside it.
        eventually(lambda: view(way.queue).entries >= 4)
        SystemClock().sleep(3.0)
    finally:
        os.kill(serve_pid, signal.SIGCONT)
    way.await_statuses(statuses, *WHOLE)
    eventually(lambda: b"waiting   0 requests" in status(way))
    assert b"rejected  0" in status(way)


def status(way: Way) -> bytes:
    return run("gateway", "status", "--queue", str(way.queue)).stdout


def test_janus_has_another_password(
    way: Way, registrar: Registrar, telephone: SipHandle, bob: Endpoint, session: str, statuses: str
) -> None:
    """Janus takes any answer for a success: what it may not post is answered so that it tries again."""
    way.stop_adapter()
    way.password("another")
    way.start_adapter()
    telephone.call(registrar.address(bob.user), call_id=session)
    bob.handle.wait_for("incomingcall")
    bob.handle.accept()
    telephone.wait_for("accepted")
    telephone.hangup()
    eventually(lambda: "a POST has other credentials" in way.adapter.output)
    way.stop_adapter()
    way.password(PASSWORD)
    way.start_adapter()
    way.await_statuses(statuses, *WHOLE)
