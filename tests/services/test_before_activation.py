"""What a subscription misses, and what it is notified of, while its sink has not agreed yet."""

import dataclasses
from typing import Any

import pytest

from tests.services.subscription_requests import APP
from tests.services.world import INVITATION, REGISTRATION_ENDS, STATUS, World, ends, invitation, status
from webrtc_events.contract.documents import load_public
from webrtc_events.core.errors import NotFound
from webrtc_events.core.model import EventType, OutboxKind
from webrtc_events.core.outcomes import Agreed, Refused
from webrtc_events.core.settings import Settings
from webrtc_events.store.store import Store

WISHES = {"initialEvent": True}
AGREED = Agreed(None)


@pytest.fixture
def world(store: Store, settings: Settings) -> World:
    asking = dataclasses.replace(settings, sink_validation=True, sink_validation_origin="here.example")
    return World(store, asking)


def answered(world: World, subscription: str, answer: Agreed | Refused = AGREED) -> str:
    claim = world.claims()[subscription]
    assert [item.kind for item in claim.items] == [OutboxKind.HANDSHAKE]
    return world.settle(claim, follow_up=answer)


def shown(world: World, subscription: str) -> dict[str, Any]:
    resource = world.subscriptions.get(APP, subscription)
    assert load_public().validator("Subscription").first_fault(resource) is None
    return dict(resource)


@pytest.mark.parametrize("event_type", [INVITATION, STATUS, REGISTRATION_ENDS])
def test_a_subscription_waits_for_its_sink(world: World, event_type: EventType) -> None:
    made = world.subscribe(event_type)
    before = shown(world, made)
    assert before["status"] == "ACTIVATION_REQUESTED"
    assert answered(world, made) == "active"
    after = shown(world, made)
    assert after["status"] == "ACTIVE"
    assert after["startsAt"] >= before["startsAt"]
    same = before.keys() - {"status", "startsAt"}
    assert {name: after[name] for name in same} == {name: before[name] for name in same}


def test_only_events_after_the_agreement_are_notified(world: World) -> None:
    made = world.subscribe(STATUS)
    assert world.publish(status("InProgress")) == [0]
    answered(world, made)
    assert world.publish(status("Ringing")) == [1]
    assert world.waiting() == {made: ["Ringing"]}


def test_an_initial_invitation_is_the_one_that_is_pending_at_the_agreement(world: World) -> None:
    made = world.subscribe(config=WISHES)
    assert world.publish(invitation(session="s1"), invitation(session="s2")) == [0, 0]
    answered(world, made)
    (payload,) = world.payloads(made)
    assert payload["data"]["mediaSessionId"] == "s2"


def test_a_registration_that_ended_meanwhile_is_an_initial_event(world: World) -> None:
    wishing, other = (world.subscribe(REGISTRATION_ENDS, config=config) for config in (WISHES, {}))
    assert world.publish(ends()) == [0]
    claims = world.claims()
    for claim in claims.values():
        assert world.settle(claim, follow_up=Agreed(None)) == "active"
    assert world.waiting() == {wishing: ["NETWORK_TERMINATED"] * 2}
    assert shown(world, wishing)["status"] == "EXPIRED"
    assert shown(world, other)["status"] == "ACTIVE"


def test_the_operator_ends_it_without_a_word(world: World) -> None:
    made = world.subscribe()
    world.network.endings.end(made)
    assert shown(world, made)["status"] == "EXPIRED"
    assert world.claims() == {}


def test_a_refused_one_can_be_deleted(world: World) -> None:
    made = world.subscribe()
    assert answered(world, made, Refused("http_404")) == "ended"
    assert shown(world, made)["status"] == "EXPIRED"
    world.subscriptions.delete(APP, made)
    with pytest.raises(NotFound):
        world.subscriptions.get(APP, made)
    assert world.claims() == {}
