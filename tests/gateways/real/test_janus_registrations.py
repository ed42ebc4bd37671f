"""Registrations that a real Janus keeps at a real registrar, as the service knows them."""

from pathlib import Path

import pytest

from tests.gateways.harness.janus import Janus, SipHandle
from tests.gateways.harness.registrar import Registrar
from tests.gateways.real.conftest import PASSWORD, Endpoint, Way
from tests.harness.commands import eventually


@pytest.fixture
def ends(way: Way, bob: Endpoint) -> str:
    return way.subscribe("registration-ends", bob.user)


def await_end(way: Way, path: str, user: str, description: str) -> None:
    event, *more = eventually(lambda: way.received(path))
    assert event["data"]["registrationId"] == user
    assert event["data"]["terminationReason"] == "NETWORK_TERMINATED"
    assert event["data"]["terminationDescription"] == description
    assert all(event["type"].endswith("subscription-ended") for event in more)


def test_an_endpoint_that_unregisters(way: Way, bob: Endpoint, ends: str) -> None:
    bob.handle.unregister()
    await_end(way, ends, bob.user, "unregistered")


def test_an_endpoint_that_goes_away(way: Way, bob: Endpoint, ends: str) -> None:
    bob.handle.detach()
    await_end(way, ends, bob.user, "The endpoint has gone away")


def test_an_endpoint_that_goes_away_in_a_call(
    way: Way, registrar: Registrar, telephone: SipHandle, bob: Endpoint
) -> None:
    statuses = way.subscribe("session-status", bob.user, "away-in-a-call")
    telephone.call(registrar.address(bob.user), call_id="away-in-a-call")
    bob.handle.wait_for("incomingcall")
    bob.handle.accept()
    way.await_statuses(statuses, "Ringing", "Connected")
    bob.handle.destroy()
    way.await_statuses(statuses, "Ringing", "Connected", "Terminated")


def test_a_registration_that_the_registrar_refuses_is_not_known(
    way: Way, janus: Janus, registrar: Registrar
) -> None:
    handle = janus.attach()
    # There is no registrar there.
    answer = handle.register("bob-nowhere", "sip:127.0.0.1:9")
    assert answer["event"] == "registration_failed"
    assert not way.is_known("bob-nowhere")
    handle.destroy()


def test_a_guest_whom_nobody_has_checked_is_not_known(way: Way, janus: Janus, registrar: Registrar) -> None:
    handle = janus.attach()
    handle.register("bob-guest", registrar.uri, type="guest")
    eventually(lambda: "a guest is not published" in way.adapter.output)
    assert not way.is_known("bob-guest")
    handle.destroy()


def test_janus_is_killed_in_mid_call(way: Way, registrar: Registrar, folder: Path) -> None:
    """Once it is back, its calls and registrations of before are over."""
    with Janus(folder / "killed", way.backend, password=PASSWORD, name="janus-that-is-killed") as killed:
        alice, bob = killed.attach(), killed.attach()
        alice.register("alice-killed", registrar.uri)
        bob.register("bob-killed", registrar.uri)
        way.await_registration("bob-killed")
        statuses = way.subscribe("session-status", "bob-killed", "call-killed")
        ends = way.subscribe("registration-ends", "bob-killed")
        alice.call(registrar.address("bob-killed"), call_id="call-killed")
        bob.wait_for("incomingcall")
        bob.accept()
        way.await_statuses(statuses, "Ringing", "Connected")
        killed.kill()
        killed.start()
        way.await_statuses(statuses, "Ringing", "Connected", "Terminated")
        await_end(way, ends, "bob-killed", "The gateway has been started anew")


def test_janus_is_stopped_in_mid_call(way: Way, registrar: Registrar, folder: Path) -> None:
    with Janus(folder / "stopped", way.backend, password=PASSWORD, name="janus-that-is-stopped") as stopped:
        alice, bob = stopped.attach(), stopped.attach()
        alice.register("alice-stopped", registrar.uri)
        bob.register("bob-stopped", registrar.uri)
        way.await_registration("bob-stopped")
        statuses = way.subscribe("session-status", "bob-stopped", "call-stopped")
        alice.call(registrar.address("bob-stopped"), call_id="call-stopped")
        bob.wait_for("incomingcall")
        way.await_statuses(statuses, "Ringing")
    way.await_statuses(statuses, "Ringing", "Failed")
