"""How subscriptions end: one end, with its reason, and nothing after it."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import redis

from tests.services.subscription_requests import APP, credential, request
from tests.services.world import (
    REGISTRATION_ENDS,
    STATUS,
    P,
    World,
    ends,
    invitation,
    register,
    status,
    token,
)
from webrtc_events.core.clock import SystemClock, format_time
from webrtc_events.core.errors import NotFound, ServiceError
from webrtc_events.core.model import Status, TerminationReason
from webrtc_events.core.settings import Settings
from webrtc_events.store.settlements import Settlement
from webrtc_events.store.store import Store


def test_the_operator_ends_a_subscription(world: World) -> None:
    made = world.subscribe()
    world.publish(invitation())
    world.network.endings.end(made)
    assert world.waiting() == {made: ["Initial", "NETWORK_TERMINATED"]}
    assert world.subscriptions.get(APP, made)["status"] == "EXPIRED"
    world.network.endings.end(made)
    assert world.waiting() == {}
    with pytest.raises(NotFound):
        world.network.endings.end("0" * 32 + "-00")


def test_the_end_of_a_registration_ends_its_subscriptions(world: World) -> None:
    invited, informed = world.subscribe(), world.subscribe(REGISTRATION_ENDS)
    called = world.subscribe(STATUS)
    elsewhere = world.subscribe(detail={"registrationId": "r2"})
    world.publish(invitation(), ends())
    assert world.waiting() == {
        invited: ["Initial", "NETWORK_TERMINATED"],
        informed: ["NETWORK_TERMINATED", "NETWORK_TERMINATED"],
    }
    assert world.subscriptions.get(APP, called)["status"] == "ACTIVE"
    assert world.subscriptions.get(APP, elsewhere)["status"] == "ACTIVE"


def test_a_registration_that_is_not_renewed_ends_at_its_expiry(
    world: World, world_at: Callable[[float], World]
) -> None:
    expiry = format_time(round(SystemClock().now() * 1000) + 60_000)
    register(world, "app", expiresAt=expiry)
    informed = world.subscribe(REGISTRATION_ENDS)
    invited = world.subscribe()
    world.store.expiry.sweep()
    assert world.waiting() == {}
    later = world_at(61)
    assert later.store.expiry.sweep() == 1
    assert later.store.expiry.sweep() == 0
    assert later.payloads(informed)[0]["time"] == expiry
    assert later.waiting() == {
        informed: ["REGISTRATION_EXPIRED", "NETWORK_TERMINATED"],
        invited: ["NETWORK_TERMINATED"],
    }
    # A later subscription that wishes an initial event gets it too.
    late = later.subscribe(REGISTRATION_ENDS, config={"initialEvent": True})
    assert later.waiting() == {late: ["REGISTRATION_EXPIRED", "NETWORK_TERMINATED"]}


def test_a_registration_that_is_renewed_goes_on(world: World, world_at: Callable[[float], World]) -> None:
    now = round(SystemClock().now() * 1000)
    register(world, "app", expiresAt=format_time(now + 60_000))
    made = world.subscribe(REGISTRATION_ENDS)
    register(world, "app", expiresAt=format_time(now + 600_000))
    assert world_at(61).store.expiry.sweep() == 0
    register(world, "app")
    assert world_at(601).store.expiry.sweep() == 0
    assert world.subscriptions.get(APP, made)["status"] == "ACTIVE"


def test_a_session_that_is_over_ends_its_subscriptions_after_a_while(
    world: World, world_at: Callable[[float], World]
) -> None:
    made = world.subscribe(STATUS)
    world.publish(status("Connected"), status("Terminated"))
    late = world.subscribe(STATUS)
    assert world_at(3590).store.expiry.sweep() == 0
    later = world_at(3610)
    assert later.store.expiry.sweep() == 2
    assert later.waiting() == {
        made: ["Connected", "Terminated", "NETWORK_TERMINATED"],
        late: ["NETWORK_TERMINATED"],
    }


def test_a_status_after_the_last_one_takes_that_back(
    world: World, world_at: Callable[[float], World]
) -> None:
    made = world.subscribe(STATUS)
    world.publish(status("NoAnswer"), status("Connected"))
    assert world_at(3610).store.expiry.sweep() == 0
    assert world.subscriptions.get(APP, made)["status"] == "ACTIVE"


def test_a_sink_token_ends_its_subscription_ahead_of_its_expiry(
    world: World, world_at: Callable[[float], World]
) -> None:
    made = world.subscribe(sinkCredential=token(100))
    assert world.publish(invitation()) == [1]
    assert world_at(89).store.expiry.sweep() == 0
    at_lead = world_at(90.5)
    assert at_lead.publish(invitation()) == [0]
    assert at_lead.store.expiry.sweep() == 1
    assert at_lead.waiting() == {made: ["Initial", "ACCESS_TOKEN_EXPIRED"]}


def test_at_half_the_lead_what_is_pending_is_given_up_for_the_end(
    world: World, world_at: Callable[[float], World], raw_store: "redis.Redis"
) -> None:
    made = world.subscribe(sinkCredential=token(100))
    world.publish(invitation(), invitation())
    assert world_at(91).store.expiry.sweep() == 1
    half = world_at(95.5)
    assert half.store.expiry.sweep() == 1
    assert half.waiting() == {made: ["ACCESS_TOKEN_EXPIRED"]}
    reasons = [dead_letter["reason"] for _, dead_letter in raw_store.xrange(P.dead)]
    assert reasons == ["access_token_expired"] * 2


def test_a_lease_over_half_the_lead_is_not_broken(
    world: World, world_at: Callable[[float], World], raw_store: "redis.Redis"
) -> None:
    made = world.subscribe(sinkCredential=token(100))
    world.publish(invitation(), invitation())
    world_at(91).store.expiry.sweep()
    claim = world_at(94).claims()[made]
    half = world_at(95.5)
    half.store.expiry.sweep()
    assert half.waiting() == {}
    assert half.store.claims.settle([Settlement(claim, 1)]) == ["due"]
    assert half.waiting() == {made: ["ACCESS_TOKEN_EXPIRED"]}
    assert [dead_letter["reason"] for _, dead_letter in raw_store.xrange(P.dead)] == ["access_token_expired"]


def test_a_short_lived_token_has_half_its_life_as_lead(
    world: World, world_at: Callable[[float], World]
) -> None:
    world.subscribe(sinkCredential=token(4))
    assert world_at(1).store.expiry.sweep() == 0
    assert world_at(2.5).store.expiry.sweep() == 1


def test_a_jwt_that_expires_earlier_than_the_request_says_counts(
    world: World, world_at: Callable[[float], World]
) -> None:
    import jwt

    now = SystemClock().now()
    given = jwt.encode({"exp": int(now) + 50}, "k" * 32)
    world.subscribe(sinkCredential=credential("2999-01-01T00:00:00Z", token=given))
    assert world_at(38).store.expiry.sweep() == 0
    assert world_at(41).store.expiry.sweep() == 1


def test_the_server_may_limit_the_life_of_subscriptions(store: Store, environ: dict[str, str]) -> None:
    settings = Settings.from_environ(environ | {"WEBRTC_EVENTS_MAX_LIFETIME_S": "60"})
    world = World(Store.connect(settings), settings)
    now = round(SystemClock().now() * 1000)
    sooner, later = format_time(now + 30_000), format_time(now + 90_000)
    assert (
        world.subscriptions.create(APP, request(config={"subscriptionExpireTime": sooner}))["expiresAt"]
        == sooner
    )
    limited = world.subscriptions.create(APP, request(config={"subscriptionExpireTime": later}))
    assert sooner < limited["expiresAt"] < later
    assert limited["config"]["subscriptionExpireTime"] == later
    assert "expiresAt" in world.subscriptions.create(APP, request())
    world.store.close()


def run_at_once(races: Sequence[Callable[[], Any]], clock: SystemClock, at: float) -> None:
    """Each in a thread, just before the moment `at`."""
    start = threading.Barrier(len(races))

    def run(race: Callable[[], Any]) -> None:
        start.wait()
        clock.sleep(max(0.0, at - clock.now() - 0.01))
        race()

    threads = [threading.Thread(target=run, args=(race,)) for race in races]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_whatever_races_there_is_one_end_and_it_is_last(world: World, environ: dict[str, str]) -> None:
    """Time and four other causes at once, each from a separate connection, on many subscriptions."""
    clock = SystemClock()
    expiry = clock.now() + 2
    soon = format_time(round(expiry * 1000))
    made = [
        world.subscribe(config={"subscriptionMaxEvents": 1, "subscriptionExpireTime": soon})
        for _ in range(30)
    ]
    assert clock.now() < expiry
    settings = Settings.from_environ(environ)
    worlds = [World(Store.connect(settings), settings) for _ in range(5)]

    def sweep(instance: World) -> None:
        while clock.now() < expiry + 0.1:
            instance.store.expiry.sweep()

    def forget(instance: World, act: Callable[[str], None]) -> None:
        for subscription_id in made:
            try:
                act(subscription_id)
            except ServiceError:
                continue

    def release(subscription: str) -> None:
        worlds[4].store.subscriptions.end(
            subscription, TerminationReason.ACCESS_TOKEN_EXPIRED, Status.EXPIRED, drop_pending=True
        )

    races: list[Callable[[], Any]] = [
        lambda: sweep(worlds[0]),
        lambda: worlds[1].publish(invitation()),
        lambda: forget(
            worlds[2], lambda subscription_id: worlds[2].subscriptions.delete(APP, subscription_id)
        ),
        lambda: forget(worlds[3], worlds[3].network.endings.end),
        lambda: forget(worlds[4], release),
    ]

    run_at_once(races, clock, expiry)
    waiting = world.waiting()
    assert set(waiting) == set(made)
    reasons = {reason.value for reason in TerminationReason}
    for entries in waiting.values():
        assert [text in reasons for text in entries] == [False] * (len(entries) - 1) + [True]
    for instance in worlds:
        instance.store.close()
