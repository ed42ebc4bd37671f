"""Whose registrations and sessions are: which client may hear of them."""

from typing import Any

import pytest

from tests.services.subscription_requests import APP, SCOPES
from tests.services.world import (
    INVITATION,
    REGISTRATION_ENDS,
    STATUS,
    World,
    ends,
    invitation,
    register,
    status,
)
from webrtc_events.core.errors import SubscriptionMismatch, Unprocessable
from webrtc_events.core.model import Caller, EventType, Subscription
from webrtc_events.core.settings import Settings
from webrtc_events.store.initial_events import InitialEvents
from webrtc_events.store.store import Store


@pytest.mark.parametrize("event_type", [INVITATION, STATUS, REGISTRATION_ENDS])
def test_a_registration_of_another_client_is_a_mismatch(world: World, event_type: EventType) -> None:
    register(world, "other")
    with pytest.raises(SubscriptionMismatch):
        world.subscribe(event_type)
    register(world, "app")
    assert world.subscribe(event_type)


def test_a_registration_of_another_subject_is_a_mismatch(world: World) -> None:
    register(world, "app", "alice")
    with pytest.raises(SubscriptionMismatch):
        world.subscribe(caller=Caller("app", "bob", SCOPES))
    assert world.subscribe(caller=Caller("app", "alice", SCOPES))
    assert world.subscribe(caller=APP)


def test_a_session_of_others_is_refused(world: World) -> None:
    world.publish(invitation("theirs", "s1"))
    with pytest.raises(SubscriptionMismatch):
        world.subscribe(STATUS)
    world.publish(status("Ringing", subject="r1"))
    assert world.subscribe(STATUS)


def test_who_subscribed_before_a_session_was_known_hears_nothing_of_others(world: World) -> None:
    mine = world.subscribe(STATUS)
    assert world.publish(status("InProgress")) == [1]
    assert world.publish(invitation("theirs", "s1"), status("Ringing")) == [0, 0]
    assert world.publish(status("Ringing", subject="theirs")) == [0]
    assert world.waiting() == {mine: ["InProgress"]}


@pytest.mark.parametrize("event_type", [INVITATION, STATUS, REGISTRATION_ENDS])
def test_who_owns_a_registration_may_become_known_later_and_may_change(
    world: World, event_type: EventType
) -> None:
    happens = {
        INVITATION: lambda: invitation(),
        STATUS: lambda: status("Ringing", subject="r1"),
        REGISTRATION_ENDS: ends,
    }[event_type]
    world.subscribe(event_type)
    register(world, "other")
    assert world.publish(happens()) == [0]
    if event_type is REGISTRATION_ENDS:
        return
    register(world, "app")
    assert world.publish(happens()) == [1]
    register(world, "app", "alice")
    alice = Caller("app", "alice", SCOPES)
    assert world.subscribe(event_type, caller=alice)
    register(world, "app", "bob")
    # The client itself may still listen; alice may not.
    assert world.publish(happens()) == [1]


def test_a_session_that_became_others_is_no_initial_event(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = InitialEvents.append

    def meanwhile(self: InitialEvents, made: Subscription) -> None:
        world.publish(invitation("theirs", "s1"), status("Ringing", subject="theirs"))
        append(self, made)

    monkeypatch.setattr(InitialEvents, "append", meanwhile)
    world.subscribe(STATUS, config={"initialEvent": True})
    assert world.waiting() == {}


def test_what_must_be_known_is_refused_while_it_is_not(store: Store, environ: dict[str, str]) -> None:
    strict = Settings.from_environ(environ | {"WEBRTC_EVENTS_REQUIRE_KNOWN_REGISTRATION": "true"})
    world = World(Store.connect(strict), strict)
    for event_type in (INVITATION, STATUS):
        with pytest.raises(Unprocessable) as caught:
            world.subscribe(event_type)
        assert caught.value.code == "SERVICE_NOT_APPLICABLE"
    register(world, "app")
    assert world.subscribe(INVITATION)
    with pytest.raises(Unprocessable):
        world.subscribe(STATUS)
    world.publish(invitation())
    assert world.subscribe(STATUS)
    world.store.close()


# Odd names


ODD = ["a b", "}{", "{7}", "r:", "a:b", "%2F", "ü\U0001f600", "*", "x" * 256, '"\\', "é" * 100]


@pytest.mark.parametrize("name", ODD)
def test_odd_registrations_and_sessions_are_names_like_any_other(world: World, name: str) -> None:
    register_body: Any = {"deviceId": "7d444840-9dc0-11d1-b245-5ffdce74fad2", "owner": "app"}
    world.network.registrations.put(name, register_body)
    invited = world.subscribe(detail={"registrationId": name})
    called = world.subscribe(STATUS, detail={"registrationId": name, "sessionId": name})
    ended = world.subscribe(REGISTRATION_ENDS, detail={"registrationId": name})
    assert world.publish(
        invitation(name, name) | {"id": name},
        status("Ringing", name) | {"id": name, "source": "/another"},
        status("Connected", name, name),
        ends(name),
    ) == [1, 1, 1, 1]
    assert world.waiting() == {
        invited: ["Initial", "NETWORK_TERMINATED"],
        called: ["Ringing", "Connected"],
        ended: ["NETWORK_TERMINATED", "NETWORK_TERMINATED"],
    }
