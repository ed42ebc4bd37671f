"""How subscriptions begin in the middle of things, and how they end."""

import contextlib
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
import redis

from tests.harness.builders import listed
from webrtc_events.contract.documents import load_network
from webrtc_events.core.clock import SystemClock, format_time
from webrtc_events.core.errors import (
    NotFound,
    ServiceError,
    SubscriptionMismatch,
    TooManyRequests,
    Unavailable,
    Unprocessable,
)
from webrtc_events.core.model import Caller, Claim, EventType, NetworkEvent, Status, TerminationReason
from webrtc_events.core.settings import Settings
from webrtc_events.services.network_side import NetworkSide
from webrtc_events.services.subscriptions import SubscriptionOptions, Subscriptions
from webrtc_events.store.initial_events import InitialEvents
from webrtc_events.store.keys import Partition, partition_of
from webrtc_events.store.settlements import Settlement
from webrtc_events.store.store import Store
from webrtc_events.store.subscriptions import SubscriptionRecords

from .test_subscriptions import APP, SCOPES, credential, request

StoreAt = Callable[..., Store]
INVITATION, STATUS = EventType.SESSION_INVITATION, EventType.SESSION_STATUS
REGISTRATION_ENDS = EventType.REGISTRATION_ENDS
P = partition_of("r1", 64)
COUNTER = iter(range(10**9))


class World:
    """The two sides of the service, and what is waiting for a sink."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.store = store
        self.subscriptions = Subscriptions(store, SubscriptionOptions.of(settings))
        self.network = NetworkSide.of(store, load_network())

    def subscribe(self, event_type: EventType = INVITATION, caller: Caller = APP, **changes: Any) -> str:
        if event_type is STATUS:
            changes.setdefault("detail", {}).setdefault("sessionId", "s1")
        return self.subscriptions.create(caller, request(event_type, **changes))["id"]

    def publish(self, *events: dict[str, Any]) -> list[int]:
        results = self.network.events.accept(list(events))
        assert {result["status"] for result in results} == {"accepted"}, results
        return [result["subscriptions"] for result in results]

    def claims(self) -> dict[str, Claim]:
        partitions = [Partition(number) for number in range(64)]
        return {
            claim.subscription_id: claim
            for claim in self.store.claims.claim(partitions, subscriptions=50, events=50)
        }

    def waiting(self) -> dict[str, list[str]]:
        """Takes all that is due, as a dispatcher would: a status or a reason for each event."""
        taken: dict[str, list[str]] = {}
        while claims := self.claims():
            for name, claim in claims.items():
                taken.setdefault(name, []).extend(content(item) for item in claim.items)
                self.settle(claim)
        return taken

    def payloads(self, subscription: str) -> list[dict[str, Any]]:
        """The events that wait in an outbox, but for an end."""
        entries = self.store.client.lrange(P.outbox(subscription), 0, -1)
        return [json.loads(entry.partition("\n")[2]) for entry in entries if "{" in entry]

    def settle(self, claim: Claim, **values: Any) -> str:
        return self.store.claims.settle([Settlement(claim, claim.items[-1].number, **values)])[0]


def content(item: Any) -> str:
    if item.end:
        return str(item.payload)
    data = json.loads(item.payload)["data"]
    return str(data.get("status") or data["terminationReason"])


@pytest.fixture
def world(store: Store, settings: Settings) -> World:
    return World(store, settings)


@pytest.fixture
def world_at(store_at: StoreAt, settings: Settings) -> Callable[[float], World]:
    return lambda seconds: World(store_at(seconds), settings)


def event(event_type: EventType, data: dict[str, Any], subject: str | None = None, **more: Any) -> Any:
    made = {
        "id": f"e{next(COUNTER)}",
        "source": "/gateway",
        "specversion": "1.0",
        "type": event_type.value,
        "time": format_time(round(SystemClock().now() * 1000)),
        "data": data,
    } | more
    return made if subject is None else made | {"subject": subject}


def invitation(registration: str = "r1", session: str = "s1", **data: Any) -> Any:
    defaults = {
        "mediaSessionId": session,
        "status": "Initial",
        "originatorAddress": "tel:+12025550100",
        "receiverAddress": "tel:+12025550101",
    }
    return event(INVITATION, defaults | data, registration)


def status(value: str, session: str = "s1", subject: str | None = None, **data: Any) -> Any:
    return event(STATUS, {"mediaSessionId": session, "status": value} | data, subject)


def ends(registration: str = "r1") -> Any:
    data = {"registrationId": registration, "terminationReason": "NETWORK_TERMINATED"}
    return event(REGISTRATION_ENDS, data, registration)


# Who may listen


def register(world: World, owner: str, subject: str | None = None, **more: Any) -> None:
    body: Any = {"deviceId": "7d444840-9dc0-11d1-b245-5ffdce74fad2", "owner": owner} | more
    world.network.registrations.put("r1", body | ({"subject": subject} if subject else {}))


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
    create = SubscriptionRecords.create

    def meanwhile(self: SubscriptionRecords, *args: Any, **values: Any) -> Any:
        world.publish(invitation("theirs", "s1"), status("Ringing", subject="theirs"))
        return create(self, *args, **values)

    monkeypatch.setattr(SubscriptionRecords, "create", meanwhile)
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


# Initial events


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
    read = [world.network.events._read(raw) for raw in (older, newer)]
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


# Ends


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


def token(seconds: float) -> dict[str, str]:
    return credential(format_time(round((SystemClock().now() + seconds) * 1000)))


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
    start = threading.Barrier(len(worlds))

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

    def run(race: Callable[[], Any]) -> None:
        start.wait()
        clock.sleep(max(0.0, expiry - clock.now() - 0.01))
        race()

    threads = [threading.Thread(target=run, args=(race,)) for race in races]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    waiting = world.waiting()
    assert set(waiting) == set(made)
    reasons = {reason.value for reason in TerminationReason}
    for entries in waiting.values():
        assert [text in reasons for text in entries] == [False] * (len(entries) - 1) + [True]
    for instance in worlds:
        instance.store.close()


# Limits


def test_a_client_has_a_quota_of_active_subscriptions(store: Store, environ: dict[str, str]) -> None:
    settings = Settings.from_environ(environ | {"WEBRTC_EVENTS_MAX_SUBSCRIPTIONS": "2"})
    world = World(Store.connect(settings), settings)
    first, _ = world.subscribe(), world.subscribe()
    with pytest.raises(TooManyRequests) as caught:
        world.subscribe()
    assert caught.value.code == "QUOTA_EXCEEDED"
    assert world.subscribe(caller=Caller("other", None, SCOPES))
    world.subscriptions.delete(APP, first)
    assert world.subscribe()
    assert len(listed(world.subscriptions, APP)) == 2
    world.store.close()


def test_a_quota_holds_for_creates_at_once(store: Store, environ: dict[str, str]) -> None:
    settings = Settings.from_environ(environ | {"WEBRTC_EVENTS_MAX_SUBSCRIPTIONS": "5"})
    worlds = [World(Store.connect(settings), settings) for _ in range(12)]
    start = threading.Barrier(len(worlds))

    def create(world: World) -> None:
        start.wait()
        with contextlib.suppress(TooManyRequests):
            world.subscribe()

    threads = [threading.Thread(target=create, args=(instance,)) for instance in worlds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made = len(listed(worlds[0].subscriptions, APP))
    assert made <= 5
    for _ in range(5 - made):
        worlds[0].subscribe()
    with pytest.raises(TooManyRequests):
        worlds[0].subscribe()
    for instance in worlds:
        instance.store.close()


def test_a_create_that_failed_half_way_takes_no_quota_for_long(
    store: Store, environ: dict[str, str], raw_store: "redis.Redis"
) -> None:
    settings = Settings.from_environ(environ | {"WEBRTC_EVENTS_MAX_SUBSCRIPTIONS": "1"})
    world = World(Store.connect(settings), settings)
    orphan = "0" * 32 + "-00"
    raw_store.zadd("client:{app}", {orphan: SystemClock().now()})
    with pytest.raises(TooManyRequests):
        world.subscribe()
    raw_store.zadd("client:{app}", {orphan: SystemClock().now() - 61})
    assert world.subscribe()
    assert raw_store.zscore("client:{app}", orphan) is None
    world.store.close()


def test_a_client_has_a_rate_of_requests(store_at: StoreAt, environ: dict[str, str]) -> None:
    limits = {"WEBRTC_EVENTS_REQUESTS_PER_S": "1", "WEBRTC_EVENTS_REQUESTS_AT_ONCE": "3"}
    settings = Settings.from_environ(environ | limits)
    world = World(Store.connect(settings), settings)
    for _ in range(3):
        world.subscriptions.count_request(APP)
    with pytest.raises(TooManyRequests) as caught:
        world.subscriptions.count_request(APP)
    assert (caught.value.code, caught.value.headers["Retry-After"]) == ("TOO_MANY_REQUESTS", "1")
    world.subscriptions.count_request(Caller("other", None, SCOPES))
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
