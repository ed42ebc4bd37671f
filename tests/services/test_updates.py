"""How clients renew their subscriptions."""

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
import redis

from tests.conftest import everything
from tests.services.subscription_requests import APP, SCOPES, credential
from tests.services.world import STATUS, World, content, invitation, status, token
from webrtc_events.contract.documents import load_public
from webrtc_events.core.clock import SystemClock, format_time
from webrtc_events.core.credentials import CredentialBox
from webrtc_events.core.errors import InvalidArgument, NotFound, ServiceError, SubscriptionEnded
from webrtc_events.core.model import Caller, TerminationReason
from webrtc_events.core.outcomes import End
from webrtc_events.core.settings import Settings
from webrtc_events.store.keys import partition_of, session_key
from webrtc_events.store.settlements import DroppedEvent, Settlement
from webrtc_events.store.store import Store

P = partition_of("r1", 64)
At = Callable[[float], World]


@pytest.fixture
def world(store: Store, settings: Settings) -> World:
    return World(store, settings)


@pytest.fixture
def world_at(store_at: Callable[..., Store], settings: Settings) -> At:
    return lambda seconds: World(store_at(seconds), settings)


def moment(seconds: float) -> str:
    return format_time(round((SystemClock().now() + seconds) * 1000))


def expiry(seconds: float) -> dict[str, str]:
    return {"subscriptionExpireTime": moment(seconds)}


def renew(world: World, subscription: str, **update: Any) -> Any:
    return world.subscriptions.update(APP, subscription, update)  # type: ignore[arg-type]


def hidden(raw_store: "redis.Redis", subscription: str) -> dict[str, str]:
    fields: dict[str, str] = raw_store.hgetall(P.subscription(subscription))
    return fields


def delivered(world: World, subscription: str) -> list[str]:
    """All that a sink is sent now, the end included."""
    sent: list[str] = []
    while claim := world.claims().get(subscription):
        sent += [content(item) for item in claim.items]
        world.settle(claim)
    return sent


def test_the_expiry_moves_later(world: World, world_at: At) -> None:
    made = world.subscribe(config=expiry(60))
    later = expiry(600)
    answer = renew(world, made, config=later)
    assert answer == world.subscriptions.get(APP, made)
    assert load_public().validator("Subscription").first_fault(answer) is None
    assert (
        answer["expiresAt"] == answer["config"]["subscriptionExpireTime"] == later["subscriptionExpireTime"]
    )
    assert world_at(61).store.expiry.sweep() == 0
    assert world_at(61).publish(invitation()) == [1]
    after = world_at(601)
    assert after.store.expiry.sweep() == 1
    assert delivered(after, made) == ["Initial", "SUBSCRIPTION_EXPIRED"]


def test_the_expiry_moves_earlier(world: World, world_at: At) -> None:
    made = world.subscribe(config=expiry(600))
    renew(world, made, config=expiry(60))
    after = world_at(61)
    assert after.publish(invitation()) == [0]
    assert after.store.expiry.sweep() == 1
    assert delivered(after, made) == ["SUBSCRIPTION_EXPIRED"]


def test_a_subscription_without_an_expiry_gets_one(world: World, world_at: At) -> None:
    made = world.subscribe()
    renew(world, made, config=expiry(60))
    assert world_at(61).store.expiry.sweep() == 1


def test_the_token_is_replaced_and_its_lead_moves(
    world: World, world_at: At, raw_store: "redis.Redis", settings: Settings
) -> None:
    made = world.subscribe(sinkCredential=token(100), config=expiry(1000))
    before = world.subscriptions.get(APP, made)
    renewed = token(500) | {"accessToken": "an0ther"}
    answer = renew(world, made, sinkCredential=renewed)
    assert answer == before
    assert "an0ther" not in everything(raw_store) + json.dumps(answer)
    sealed = hidden(raw_store, made)["credential"]
    assert CredentialBox(settings.secret_key).open(sealed, made).access_token == "an0ther"
    assert world_at(100).store.expiry.sweep() == 0
    assert world_at(100).publish(invitation()) == [1]
    assert world_at(480).store.expiry.sweep() == 0
    at_lead = world_at(490.5)
    assert at_lead.store.expiry.sweep() == 1
    assert delivered(at_lead, made) == ["Initial", "ACCESS_TOKEN_EXPIRED"]


def test_the_lead_of_a_short_lived_token_is_half_its_life(world: World, world_at: At) -> None:
    made = world.subscribe(sinkCredential=token(100))
    renew(world, made, sinkCredential=token(8))
    assert world_at(3).store.expiry.sweep() == 0
    assert world_at(4.5).store.expiry.sweep() == 1


def test_a_subscription_without_a_token_gets_one(world: World, world_at: At) -> None:
    made = world.subscribe()
    renew(world, made, sinkCredential=token(100))
    assert world.publish(invitation()) == [1]
    assert world.claims()[made].credential
    assert world_at(91).store.expiry.sweep() == 1


def test_both_are_renewed_in_one_step(world: World, world_at: At) -> None:
    made = world.subscribe(sinkCredential=token(50), config=expiry(60))
    renew(world, made, sinkCredential=token(500), config=expiry(300))
    assert world_at(290).store.expiry.sweep() == 0
    after = world_at(310)
    assert after.store.expiry.sweep() == 1
    assert delivered(after, made) == ["SUBSCRIPTION_EXPIRED"]


def test_what_is_not_renewed_stays(world: World, raw_store: "redis.Redis") -> None:
    made = world.subscribe(sinkCredential=token(100), config=expiry(60))
    before = hidden(raw_store, made)
    renew(world, made, config=expiry(70))
    changed = {name for name, value in hidden(raw_store, made).items() if before.get(name) != value}
    assert changed == {"expires_at", "request"}
    before = hidden(raw_store, made)
    renew(world, made, sinkCredential=token(200))
    changed = {name for name, value in hidden(raw_store, made).items() if before.get(name) != value}
    assert changed == {"credential", "credential_fence", "token_expires_at", "token_stop_at", "token_cut_at"}


def test_a_repeated_update_changes_nothing_more(world: World, world_at: At, raw_store: "redis.Redis") -> None:
    made = world.subscribe(config=expiry(60))
    update = {"config": expiry(600), "sinkCredential": token(8)}
    first = renew(world, made, **update)
    stored, ends = hidden(raw_store, made), raw_store.zrange(P.ends, 0, -1, withscores=True)
    # Later, when half of the life that is left is less: the lead stays.
    assert renew(world_at(2), made, **update) == first
    again = hidden(raw_store, made)
    assert again.pop("credential") != stored.pop("credential")
    assert again == stored
    assert raw_store.zrange(P.ends, 0, -1, withscores=True) == ends


def test_the_end_that_follows_a_session_stays_where_it_is(world: World, world_at: At) -> None:
    made = world.subscribe(STATUS, config=expiry(100))
    world.publish(status("Connected"), status("Terminated"))
    renew(world, made, config=expiry(10_000))
    assert world_at(3590).store.expiry.sweep() == 0
    later = world_at(3610)
    assert later.store.expiry.sweep() == 1
    assert delivered(later, made) == ["Connected", "Terminated", "NETWORK_TERMINATED"]


def test_the_limit_of_a_life_counts_from_its_start(
    store: Store, environ: dict[str, str], store_at: Callable[..., Store]
) -> None:
    settings = Settings.from_environ(environ | {"WEBRTC_EVENTS_MAX_LIFETIME_S": "60"})
    world = World(Store.connect(settings), settings)
    made = world.subscribe(config=expiry(30))
    longest = renew(world, made, config=expiry(90))
    assert moment(55) < longest["expiresAt"] < moment(61)
    assert renew(world, made, config=longest["config"]) == longest
    sooner = expiry(20)
    assert renew(world, made, config=sooner)["expiresAt"] == sooner["subscriptionExpireTime"]
    world.store.close()


@pytest.mark.parametrize(
    ("update", "path"),
    [
        ({"config": {"subscriptionExpireTime": "2020-01-01T00:00:00Z"}}, "$.config.subscriptionExpireTime"),
        ({"sinkCredential": credential("2020-01-01T00:00:00Z")}, "$.sinkCredential.accessTokenExpiresUtc"),
        ({"sinkCredential": credential(token="a b")}, "$.sinkCredential.accessToken"),
    ],
)
def test_a_refused_update_changes_nothing(
    world: World, raw_store: "redis.Redis", update: dict[str, Any], path: str
) -> None:
    made = world.subscribe(sinkCredential=token(100), config=expiry(60))
    before = hidden(raw_store, made)
    for more in ({}, {"config": expiry(600)}, {"sinkCredential": token(200)}):
        with pytest.raises(InvalidArgument, match=path.replace("$", r"\$")):
            renew(world, made, **(more | update))
    assert hidden(raw_store, made) == before


def test_an_ended_subscription_stays_ended(world: World) -> None:
    ended = world.subscribe()
    world.network.endings.end(ended)
    with pytest.raises(SubscriptionEnded) as caught:
        renew(world, ended, config=expiry(60))
    assert (caught.value.status, caught.value.code) == (409, "INCOMPATIBLE_STATE")
    assert delivered(world, ended) == ["NETWORK_TERMINATED"]
    with pytest.raises(SubscriptionEnded):
        renew(world, ended, sinkCredential=token(60))


@pytest.mark.parametrize("made_with", [{"config": True}, {"sinkCredential": True}])
def test_what_time_has_ended_is_too_late_before_the_sweeper_comes_by(
    world: World, world_at: At, made_with: dict[str, bool]
) -> None:
    changes = {name: expiry(60) if name == "config" else token(60) for name in made_with}
    made = world.subscribe(**changes)
    late = world_at(61)
    with pytest.raises(SubscriptionEnded):
        renew(late, made, config=expiry(600), sinkCredential=token(600))
    assert late.store.expiry.sweep() == 1


def test_only_the_owner_renews(world: World) -> None:
    made = world.subscribe()
    deleted = world.subscribe()
    world.subscriptions.delete(APP, deleted)
    update: Any = {"config": expiry(60)}
    for caller, subscription_id in (
        (Caller("other", None, SCOPES), made),
        (Caller("app", "alice", SCOPES), made),
        (APP, deleted),
        (APP, "0" * 32 + "-00"),
        (APP, "unknown"),
    ):
        with pytest.raises(NotFound):
            world.subscriptions.update(caller, subscription_id, update)
    assert "expiresAt" not in world.subscriptions.get(APP, made)


def test_a_three_legged_caller_is_shown_no_device(world: World) -> None:
    alice = Caller("app", "alice", SCOPES)
    made = world.subscribe(caller=alice)
    update: Any = {"config": expiry(60)}
    answer = world.subscriptions.update(alice, made, update)
    assert "deviceId" not in answer["config"]["subscriptionDetail"]
    assert world.subscriptions.get(alice, made) == answer


def test_the_session_leads_to_the_subscription_for_as_long_as_it_lives(
    world: World, raw_store: "redis.Redis"
) -> None:
    made = world.subscribe(STATUS, config=expiry(60))
    years = 5 * 365 * 24 * 3600
    renew(world, made, config=expiry(years))
    assert raw_store.ttl(session_key("s1")) > years


def test_a_token_that_was_replaced_under_way_ends_nothing(world: World, world_at: At) -> None:
    """The sink refuses the former token after the new one came, as it may revoke the one for the other."""
    made = world.subscribe(sinkCredential=token(100))
    world.publish(invitation(), invitation(), invitation())
    claim = world.claims()[made]
    renew(world, made, sinkCredential=token(500))
    refused = Settlement(
        claim,
        2,
        dead=(DroppedEvent(2, "refused", ""),),
        follow_up=End(TerminationReason.ACCESS_TOKEN_EXPIRED, True),
    )
    assert world.store.claims.settle([refused]) == ["due"]
    again = world.claims()[made]
    assert [item.number for item in again.items] == [2, 3]
    assert again.credential != claim.credential
    assert world.subscriptions.get(APP, made)["status"] == "ACTIVE"
    # The new token refused is an end as ever.
    refused = Settlement(again, 2, follow_up=End(TerminationReason.ACCESS_TOKEN_EXPIRED, True))
    assert world.store.claims.settle([refused]) == ["due"]
    assert delivered(world, made) == ["ACCESS_TOKEN_EXPIRED"]


def test_a_sink_that_is_gone_ends_it_whatever_was_renewed(world: World) -> None:
    made = world.subscribe(sinkCredential=token(100))
    world.publish(invitation())
    claim = world.claims()[made]
    renew(world, made, sinkCredential=token(500))
    gone = Settlement(claim, 1, follow_up=End(TerminationReason.NETWORK_TERMINATED, False))
    assert world.store.claims.settle([gone]) == ["ended"]


def test_whatever_races_an_update_is_whole(world: World, environ: dict[str, str]) -> None:
    """DELETE and update at once: either the update came first, or it found nothing or an end."""
    settings = Settings.from_environ(environ)
    others = [World(Store.connect(settings), settings) for _ in range(3)]
    made = [world.subscribe(config=expiry(60)) for _ in range(30)]
    start = threading.Barrier(3)
    faults: list[BaseException] = []

    def act(work: Callable[[str], Any]) -> None:
        start.wait()
        for subscription_id in made:
            try:
                work(subscription_id)
            except (NotFound, SubscriptionEnded):
                continue
            except ServiceError as error:
                faults.append(error)

    update: Any = {"config": expiry(600), "sinkCredential": token(500)}
    threads = [
        threading.Thread(target=act, args=[work])
        for work in (
            lambda subscription_id: others[0].subscriptions.update(APP, subscription_id, update),
            lambda subscription_id: others[1].subscriptions.delete(APP, subscription_id),
            others[2].network.endings.end,
        )
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for other in others:
        other.store.close()
    assert faults == []
    waiting = world.waiting()
    assert waiting.keys() == set(made)
    assert all(len(contents) == 1 for contents in waiting.values())
