"""Initial events, and the numbers of a subscription's events."""

from collections.abc import Callable
from typing import Any

import pytest
import redis

from tests.services.world import (
    INVITATION,
    REGISTRATION_ENDS,
    STATUS,
    P,
    World,
    ends,
    invitation,
    status,
)
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.model import NetworkEvent
from webrtc_events.store.initial_events import InitialEvents


def test_an_initial_session_status_is_the_sessions_latest(world: World) -> None:
    world.publish(status("InProgress"), status("Ringing"))
    without = world.subscribe(STATUS)
    wished = world.subscribe(STATUS, config={"initialEvent": True})
    assert world.publish(status("Connected")) == [2]
    assert world.waiting() == {wished: ["Ringing", "Connected"], without: ["Connected"]}


def test_an_initial_event_counts_towards_the_maximum(world: World) -> None:
    world.publish(status("Ringing"))
    made = world.subscribe(STATUS, config={"initialEvent": True, "subscriptionMaxEvents": 1})
    assert world.waiting() == {made: ["Ringing", "MAX_EVENTS_REACHED"]}


def test_nothing_is_known_so_nothing_comes_first(world: World) -> None:
    for event_type in (INVITATION, STATUS, REGISTRATION_ENDS):
        world.subscribe(event_type, config={"initialEvent": True})
    assert world.waiting() == {}


def test_an_initial_invitation_is_a_pending_one(world: World, world_at: Callable[[float], World]) -> None:
    world.publish(invitation())
    wished = world.subscribe(config={"initialEvent": True})
    assert world.waiting() == {wished: ["Initial"]}
    # Too late for anybody to answer.
    world_at(121).subscribe(config={"initialEvent": True})
    assert world.waiting() == {}


@pytest.mark.parametrize("seen", ["Connected", "Terminated", "Declined", "SessionCancelled"])
def test_an_answered_or_ended_call_is_no_pending_invitation(world: World, seen: str) -> None:
    world.publish(invitation(), status("Ringing", subject="r1"), status(seen, subject="r1"))
    world.subscribe(config={"initialEvent": True})
    assert world.waiting() == {}


def test_a_ringing_call_is_a_pending_invitation(world: World) -> None:
    world.publish(invitation(), status("Ringing", subject="r1"))
    wished = world.subscribe(config={"initialEvent": True})
    assert world.waiting() == {wished: ["Initial"]}


def test_a_session_that_was_over_and_rings_again_is_a_pending_invitation(world: World) -> None:
    """As when a call is passed on, or a recorded one is played again."""
    former = [invitation(), status("Ringing"), status("Declined")]
    world.publish(*(event | {"time": f"2026-01-01T00:00:0{at}Z"} for at, event in enumerate(former)))
    world.subscribe(config={"initialEvent": True})
    assert world.waiting() == {}
    world.publish(invitation())
    wished = world.subscribe(config={"initialEvent": True})
    assert [name for name in world.waiting() if name == wished] == [wished]
    world.publish(status("Connected"))
    world.subscribe(config={"initialEvent": True})
    assert world.waiting() == {}


def test_a_registration_that_ended_already_is_notified_first_and_ends_the_subscription(world: World) -> None:
    world.publish(ends())
    wished = world.subscribe(REGISTRATION_ENDS, config={"initialEvent": True})
    assert world.waiting() == {wished: ["NETWORK_TERMINATED", "NETWORK_TERMINATED"]}


def test_an_initial_event_that_a_repeat_brings_again_comes_once(world: World) -> None:
    late = status("Ringing")
    world.network.events.accept([late])
    wished = world.subscribe(STATUS, config={"initialEvent": True})
    # Its partition has not seen it yet: the gateway's repeat reaches the new subscription.
    assert world.network.events.accept([late])[0]["subscriptions"] == 0
    assert world.waiting() == {wished: ["Ringing"]}


def test_a_pending_initial_event_is_completed_by_the_sweeper(
    world: World, world_at: Callable[[float], World], raw_store: "redis.Redis"
) -> None:
    world.publish(status("Ringing"))
    made = world.subscribe(STATUS)
    # As a create leaves it that is killed before its last step.
    raw_store.hset(P.subscription(made), "initial_pending", "1")
    raw_store.zadd(P.initial, {made: SystemClock().now() * 1000})
    world.store.expiry.sweep()
    assert world.waiting() == {}
    later = world_at(6)
    later.store.expiry.sweep()
    assert later.waiting() == {made: ["Ringing"]}
    assert raw_store.zcard(P.initial) == 0


def test_an_old_status_that_comes_late_does_not_become_the_latest(world: World) -> None:
    old = status("Ringing") | {"time": "2020-01-01T00:00:00Z"}
    world.publish(status("Connected"), old)
    wished = world.subscribe(STATUS, config={"initialEvent": True})
    assert world.waiting() == {wished: ["Connected"]}


def test_what_happened_before_the_initial_state_is_no_news(world: World) -> None:
    """A create amid a batch: the state is written for all of it before any of it is appended."""
    older, newer = status("Ringing") | {"time": "2026-01-01T00:00:00Z"}, status("Connected")
    read = [world.network.events._read(raw, conforms=False) for raw in (older, newer)]
    world.store.session_states.record([event for event in read if isinstance(event, NetworkEvent)])
    wished = world.subscribe(STATUS, config={"initialEvent": True})
    assert world.publish(older, newer, status("Hold")) == [0, 0, 1]
    assert world.waiting() == {wished: ["Connected", "Hold"]}


def test_a_subscription_whose_initial_event_fails_is_made_all_the_same(
    world: World, world_at: Callable[[float], World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.publish(status("Ringing"))

    def cut_off(*_: Any) -> None:
        raise Unavailable

    with monkeypatch.context() as patch:
        patch.setattr(InitialEvents, "_latest", cut_off)
        made = world.subscribe(STATUS, config={"initialEvent": True})
    later = world_at(6)
    later.store.expiry.sweep()
    assert later.waiting() == {made: ["Ringing"]}


# Sequence numbers


def test_missing_sequence_numbers_are_counted_per_subscription_and_session(world: World) -> None:
    first = world.subscribe()
    world.publish(invitation(session="a"), invitation(session="b"), invitation(session="a"))
    second = world.subscribe()
    world.publish(invitation(session="a"), invitation(session="a", sequenceNumber=7))
    claims = world.claims()
    assert [item.sequence for item in claims[first].items] == [1, 1, 2, 3, 0]
    assert [item.sequence for item in claims[second].items] == [1, 0]
