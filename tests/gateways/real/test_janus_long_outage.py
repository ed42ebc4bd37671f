"""The service is away for a whole minute of calls of a real Janus: all of it comes, once, in order."""

import os
import signal
import uuid

from tests.gateways.harness.janus import Janus, SipHandle
from tests.gateways.harness.registrar import Registrar
from tests.gateways.real.conftest import Endpoint, Way
from tests.harness.commands import eventually, run
from webrtc_events.core.clock import SystemClock
from webrtc_events.gateways.journal_view import view

AWAY_S = 60.0
CALLS = 10
WHOLE = ("Ringing", "Connected", "Hold", "Resume", "Terminated")


def test_the_service_is_away_for_a_minute_of_calls(
    way: Way, serve_pid: int, janus: Janus, registrar: Registrar, alice: Endpoint, bob: Endpoint
) -> None:
    """Frozen: requests are neither answered nor refused. One call lasts from before until after it."""
    clock = SystemClock()
    names = [f"call-{uuid.uuid4().hex}" for _ in range(CALLS + 1)]
    long, *short = names
    statuses = {name: f"/{name}" for name in short}
    for name, path in statuses.items():
        assert way.is_subscribed("session-status", bob.user, path, name)
    invitations = way.subscribe("session-invitation", bob.user)
    whole = way.subscribe("session-status", alice.user, long)
    telephones = [janus.attach() for _ in range(2)]
    for telephone in telephones:
        telephone.register(f"telephone-{uuid.uuid4().hex[:8]}", registrar.uri)
    telephones[0].call(registrar.address(alice.user), call_id=long)
    alice.handle.wait_for("incomingcall")
    alice.handle.accept()
    way.await_statuses(whole, "Ringing", "Connected")

    os.kill(serve_pid, signal.SIGSTOP)
    away_s = clock.monotonic()
    try:
        for number, name in enumerate(short):
            # Over the whole minute. Janus needs a moment, too, before an endpoint is free again.
            clock.sleep(max(0.0, away_s + number * AWAY_S / CALLS - clock.monotonic()))
            whole_call(way, telephones[1], bob, registrar.address(bob.user), name)
        clock.sleep(max(0.0, away_s + AWAY_S - clock.monotonic()))
        # The invitation of each call is one more.
        assert view(way.queue).entries >= CALLS * (1 + len(WHOLE))
    finally:
        os.kill(serve_pid, signal.SIGCONT)
    alice.handle.hangup()

    for path in statuses.values():
        way.await_statuses(path, *WHOLE)
    way.await_statuses(whole, "Ringing", "Connected", "Terminated")
    rung = [event["data"]["mediaSessionId"] for event in way.received(invitations) if "data" in event]
    assert rung[:CALLS] == short
    assert len(rung) == CALLS
    eventually(lambda: not view(way.queue).entries)
    assert (view(way.queue).rejected, view(way.queue).set_aside) == (0, 0)
    assert b"waiting   0 requests" in run("gateway", "status", "--queue", str(way.queue)).stdout
    for telephone in telephones:
        telephone.destroy()


def whole_call(way: Way, telephone: SipHandle, bob: Endpoint, address: str, name: str) -> None:
    """Each step is in the queue before the next one begins."""
    before = view(way.queue).entries

    def await_queued(count: int) -> None:
        eventually(lambda: view(way.queue).entries >= before + count)

    telephone.call(address, call_id=name)
    bob.handle.wait_for("incomingcall")
    bob.handle.accept()
    telephone.wait_for("accepted")
    # Its invitation, and two statuses.
    await_queued(3)
    telephone.hold()
    await_queued(4)
    telephone.unhold()
    await_queued(5)
    telephone.hangup()
    bob.handle.wait_for("hangup")
    telephone.wait_for("hangup")
