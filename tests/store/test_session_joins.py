"""A create at a media session: who may, and what leads the session to it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import redis
from redis.exceptions import ClusterCrossSlotError

from tests.harness.builders import SINK, created, new_subscription
from tests.store.client_indexes import outcome, standings
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.model import EventType, Registration
from webrtc_events.store.keys import partition_of, session_key, session_state_key, set_aside_key
from webrtc_events.store.redis.scripts import Call
from webrtc_events.store.store import Store
from webrtc_events.store.subscription_calls import CreateOutcome, CreateResult
from webrtc_events.store.subscription_creates import SubscriptionCreates

P = partition_of("r1", 64)
OF_SESSION = {"event_type": EventType.SESSION_STATUS, "session": "m1"}
DAY_S = 24 * 3600
FAR_MS = 4_000_000_000_000


@pytest.fixture(autouse=True, params=["one step", "steps"])
def in_steps(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, store: Store) -> bool:
    """Where the store has slots, a create takes several."""
    if request.param == "steps":
        monkeypatch.setattr(
            SubscriptionCreates, "_in_one", lambda *_: CreateResult(CreateOutcome.APART), raising=True
        )
    return request.param == "steps" or store.client.nodes.has_slots


def test_a_create_takes_few_round_trips(
    store: Store, raw_store: "redis.Redis", sent: list[int], in_steps: bool
) -> None:
    # By then every node knows the scripts.
    for registration in ("r1", "r2"):
        created(store, registration=registration, session="m2", event_type=EventType.SESSION_STATUS)
    created(store, **OF_SESSION)
    sent.clear()
    created(store)
    assert sent == ([1, 1] if in_steps else [1])
    sent.clear()
    created(store, **OF_SESSION)
    assert sent == ([2, 2] if in_steps else [1])
    sent.clear()
    # Those in other partitions are counted.
    created(store, registration="r2", **OF_SESSION)
    assert sent == ([2, 1, 2] if in_steps else [1])


@pytest.mark.parametrize("in_steps", ["one step"], indirect=True)
def test_a_node_of_a_cluster_that_was_taken_for_a_server_is_asked_by_slots(
    store: Store, raw_store: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    if store.client.nodes.has_slots:
        pytest.skip("a cluster is known as one")
    run = store.client.run

    def as_a_node(commands: Sequence[Any], **options: Any) -> list[Any]:
        """What it says of a script with keys in several slots, of which it does nothing."""
        if any(args[0] in ("EVAL", "EVALSHA") and args[2] > 2 for args, _ in commands):
            return [ClusterCrossSlotError("Keys in request don't hash to the same slot")] * len(commands)
        return list(run(commands, **options))

    monkeypatch.setattr(store.client, "run", as_a_node)
    made = created(store, **OF_SESSION)
    assert store.client.nodes.has_slots
    assert standings(raw_store) == {made.id: "pending"}
    assert raw_store.smembers(session_key("m1")) == {str(P.number)}


@pytest.mark.parametrize("last", ["0", "1"])
def test_of_a_session_that_is_over_a_subscription_ends_soon(
    store: Store, raw_store: "redis.Redis", last: str
) -> None:
    """If its state can be read: one that cannot is as good as unknown."""
    state = {"name": "x", "at": "1", "count": "1", "last": last, "r:r1": "1"}
    raw_store.hset(session_state_key("m1"), mapping=state)
    damaged = created(store, **OF_SESSION)
    raw_store.hset(session_state_key("m1"), "payload", '{"data": {"mediaSessionId": "m1"}}')
    sound = created(store, **OF_SESSION)
    lingers = [raw_store.hexists(P.subscription(made.id), "linger_at") for made in (damaged, sound)]
    assert lingers == [False, last == "1"]


@pytest.mark.parametrize(
    ("state", "must_be_known", "expected"),
    [
        ({}, False, "created"),
        ({}, True, "unknown_session"),
        ({"r:r2": "1"}, False, "session_mismatch"),
        ({"r:r2": "1"}, True, "session_mismatch"),
        ({"r:r2": "1", "r:r1": "1"}, False, "created"),
        ({"r:r2": "1", "r:r1": "1"}, True, "unknown_registration"),
        ({"name": "x", "at": "1"}, False, "created"),
        ({"name": "r:r1", "at": "1"}, True, "unknown_session"),
    ],
)
def test_a_session_leads_to_nobody_who_must_not_listen(
    limited: Callable[..., Store],
    raw_store: "redis.Redis",
    state: Mapping[str, str],
    must_be_known: bool,
    expected: str,
    in_steps: bool,
) -> None:
    store = limited(0, require_known_registration=must_be_known)
    if state:
        raw_store.hset(session_state_key("m1"), mapping=dict(state))
    assert outcome(store, **OF_SESSION) == expected
    joins = expected == "created" or (in_steps and expected == "unknown_registration")
    assert raw_store.smembers(session_key("m1")) == ({str(P.number)} if joins else set())
    # Who was refused is named no longer.
    assert len(standings(raw_store)) == (expected == "created")


def test_the_way_to_a_session_lasts_as_long_as_a_subscription_may_need_it(
    store: Store, raw_store: "redis.Redis"
) -> None:
    created(store, **OF_SESSION)
    assert 29 * DAY_S < raw_store.ttl(session_key("m1")) <= 30 * DAY_S
    seconds, _ = raw_store.time()
    created(store, expires_at_ms=(seconds + 50 * DAY_S) * 1000, **OF_SESSION)
    assert 79 * DAY_S < raw_store.ttl(session_key("m1")) <= 80 * DAY_S
    created(store, **OF_SESSION)
    assert 79 * DAY_S < raw_store.ttl(session_key("m1")) <= 80 * DAY_S


@pytest.mark.parametrize("session", ["m1", "}m1"])
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, "quota"),
        ({"client": "b", "registration": "r2"}, "mismatch"),
        ({"client": "b"}, "registration_quota"),
        ({"client": "b", "expires_at_ms": 1}, "expired"),
    ],
)
def test_a_create_that_is_refused_leaves_nothing_of_its_session_for_long(
    limited: Callable[..., Store],
    raw_store: "redis.Redis",
    session: str,
    values: Mapping[str, object],
    expected: str,
) -> None:
    store = limited(1, max_registration_subscriptions=1)
    store.registrations.put(Registration("r2", "d1", "other", None, None), expires_at_ms=FAR_MS, end="")
    created(store)
    of_session = {"event_type": EventType.SESSION_STATUS, "session": session, "expires_at_ms": FAR_MS}
    for _ in range(2):
        assert outcome(store, **of_session | values) == expected
        assert raw_store.ttl(session_key(session)) <= 120


@pytest.mark.parametrize("in_steps", ["steps"], indirect=True)
def test_a_full_store_keeps_nothing_of_a_session_for_long(
    store: Store, raw_store: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is full from between the two round trips of the create."""
    joins = store.subscriptions._creates._session_joins
    run_create = joins.run_create

    def when_full(*args: Any) -> object:
        raw_store.config_set("maxmemory", raw_store.info("memory")["used_memory"] + 50_000)
        return run_create(*args)

    monkeypatch.setattr(joins, "run_create", when_full)
    try:
        with pytest.raises(Unavailable, match="full"):
            outcome(store, **OF_SESSION)
    finally:
        raw_store.config_set("maxmemory", "0")
    assert 0 < raw_store.ttl(session_key("m1")) <= 120
    assert standings(raw_store) == {}


def test_a_create_that_is_refused_changes_nothing_of_a_session_that_others_have(
    limited: Callable[..., Store], raw_store: "redis.Redis"
) -> None:
    store = limited(1, max_session_subscriptions=1)
    made = created(store, **OF_SESSION, expires_at_ms=round(SystemClock().now() * 1000) + DAY_S * 1000)
    expires = raw_store.pexpiretime(session_key("m1"))
    for values in ({}, {"client": "b"}):
        assert outcome(store, **OF_SESSION | values, expires_at_ms=FAR_MS) in ("quota", "session_quota")
        assert raw_store.pexpiretime(session_key("m1")) == expires
    # One that is not to go does not go for it.
    raw_store.persist(session_key("m1"))
    assert outcome(store, **OF_SESSION) == "quota"
    assert raw_store.ttl(session_key("m1")) == -1
    assert raw_store.smembers(session_key("m1")) == {str(P.number)}
    assert store.subscriptions.get(made.id)


@pytest.mark.parametrize("in_steps", ["steps"], indirect=True)
@pytest.mark.parametrize("made_ends_later", [True, False])
def test_a_create_that_is_refused_beside_one_that_is_made(
    store: Store, raw_store: "redis.Redis", monkeypatch: pytest.MonkeyPatch, made_ends_later: bool
) -> None:
    """The one is made when the session leads to the other, which is refused then."""
    soon_ms = round(SystemClock().now() * 1000) + DAY_S * 1000
    index = store.session_index
    shorten = index.shorten

    def after_another(*args: Any) -> None:
        created(store, **OF_SESSION, expires_at_ms=soon_ms if made_ends_later else None)
        shorten(*args)

    monkeypatch.setattr(index, "shorten", after_another)
    assert outcome(store, **OF_SESSION, expires_at_ms=1) == "expired"
    wanted = 31 * DAY_S if made_ends_later else 30 * DAY_S
    assert raw_store.ttl(session_key("m1")) >= wanted - 600


@pytest.mark.parametrize("in_steps", ["steps"], indirect=True)
def test_a_session_leads_to_a_subscription_before_it_is_there(
    store: Store, raw_store: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends, or the store, between the two."""
    run_some = store.scripts.run_some

    def crash(calls: Sequence[Call], **options: Any) -> list[Any]:
        if calls[-1].script == "create":
            run_some(calls[:1])
            raise Unavailable
        return run_some(calls, **options)

    monkeypatch.setattr(store.scripts, "run_some", crash)
    made = new_subscription(**OF_SESSION, expires_at_ms=FAR_MS)  # type: ignore[arg-type]
    with pytest.raises(Unavailable):
        store.subscriptions.create(made, sink=SINK, headers={}, sealed=None)
    assert raw_store.exists(P.subscription(made.id)) == 0
    assert raw_store.pexpiretime(session_key("m1")) > FAR_MS
    # It may be there, as far as is known here.
    assert standings(raw_store) == {made.id: "pending"}


def test_a_session_whose_keys_are_of_another_type(
    store: Store, raw_store: "redis.Redis", caplog: pytest.LogCaptureFixture
) -> None:
    """Its state is as good as unknown; its index is made anew, and leads everywhere."""
    raw_store.set(session_key("m1"), "garbled")
    raw_store.set(session_state_key("m1"), "garbled")
    assert outcome(store, **OF_SESSION) == "created"
    assert raw_store.scard(session_key("m1")) == 64
    assert raw_store.get(set_aside_key(session_key("m1"))) == "garbled"
    assert "it is a key of another type" in caplog.text
    assert "it is no set of partitions and was made anew" in caplog.text


@pytest.mark.parametrize("session", ["}", "}{", "}m1"])
def test_a_session_whose_keys_are_in_two_slots(
    limited: Callable[..., Store], raw_store: "redis.Redis", session: str
) -> None:
    """Its name leaves the keys without a hash tag."""
    store = limited(0, require_known_registration=False)
    of_session = OF_SESSION | {"session": session}
    assert outcome(store, **of_session) == "created"
    assert outcome(store, registration="r2", **of_session) == "created"
    expected = {str(partition_of(name, 64).number) for name in ("r1", "r2")}
    assert raw_store.smembers(session_key(session)) == expected
    raw_store.hset(session_state_key(session), mapping={"r:r3": "1"})
    assert outcome(store, **of_session) == "session_mismatch"
    assert outcome(store, registration="r3", **of_session) == "created"
    assert len(standings(raw_store)) == 3
