"""Damaged records among more subscriptions than one script may go through."""

import dataclasses
import logging
from collections.abc import Callable, Iterator

import pytest
import redis

from tests.harness.builders import Interrupted, append, created, invitation, no_damage
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.model import EventType, NetworkEvent, Registration, Subscription
from webrtc_events.core.settings import Settings
from webrtc_events.store.appends import AppendOptions, append_events
from webrtc_events.store.damaged_records import DamagedRecords
from webrtc_events.store.erasure import Erasure
from webrtc_events.store.keys import partition_of, set_aside_key
from webrtc_events.store.outbox_entries import parse_entry
from webrtc_events.store.script_options import StoreOptions
from webrtc_events.store.store import Store

P = partition_of("r1", 64)
WORK = 4
ENDS = EventType.REGISTRATION_ENDS
INVITATION = EventType.SESSION_INVITATION
EXPIRY = '{"type":"org.camaraproject.webrtc-events.v0.registration-ends"}'

# The whole record or a field of it, and what it then is.
HARMS = ("key", "appended", "format", "max_events", "registration", "status", "type")
OTHERS: dict[str, Callable[["redis.Redis", str], object]] = {
    "string": lambda raw, key: raw.set(key, "some text"),
    "list": lambda raw, key: raw.rpush(key, "a"),
    "hash": lambda raw, key: raw.hset(key, "a", "b"),
    "set": lambda raw, key: raw.sadd(key, "x"),
    "zset": lambda raw, key: raw.zadd(key, {"x": 1}),
    "stream": lambda raw, key: raw.xadd(key, {"a": "b"}),
}
NO_SETS = sorted({*OTHERS} - {"set"})


@pytest.fixture
def sliced(settings: Settings, caplog: pytest.LogCaptureFixture) -> Iterator[Callable[..., Store]]:
    """Opens a store whose scripts go through few subscriptions, as if some seconds later."""
    caplog.set_level(logging.WARNING)
    opened: list[Store] = []

    def connect(seconds: float = 0) -> Store:
        opened.append(Store.connect(settings, StoreOptions(offset_ms=round(seconds * 1000), work=WORK)))
        return opened[-1]

    yield connect
    for store in opened:
        store.close()


def put(raw: "redis.Redis", key: str, kind: str) -> None:
    raw.delete(key)
    OTHERS[kind](raw, key)


def harm(raw: "redis.Redis", victim: Subscription, field: str) -> None:
    key = P.subscription(victim.id)
    if field == "key":
        put(raw, key, "list")
    else:
        raw.hset(key, field, "many")


def kinds(raw: "redis.Redis", made: Subscription) -> list[str]:
    """What its outbox holds: 'event', or why it ends."""
    items = [parse_entry(entry) for entry in raw.lrange(P.outbox(made.id), 0, -1)]
    return [item.payload if item.end else "event" for item in items]


def ends(number: int) -> NetworkEvent:
    return dataclasses.replace(invitation(number), type=ENDS, session=None, payload=EXPIRY)


def kept(raw: "redis.Redis") -> list[str]:
    names = ("lacking", "matched", "ending")
    return [key for name in names for key in raw.scan_iter(f"{P.tag}:{name}:*")]


def begun(store: Store, settings: Settings, *events: NetworkEvent) -> None:
    """Its first call only."""
    options = AppendOptions.of(settings, shared_from=0)
    with pytest.raises(Unavailable):
        append_events(Interrupted(store, 1), options, {P.number: events}, no_damage)  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [WORK, 3 * WORK])
@pytest.mark.parametrize("field", HARMS)
def test_one_that_is_damaged_stops_no_other(
    sliced: Callable[..., Store],
    raw_store: "redis.Redis",
    caplog: pytest.LogCaptureFixture,
    field: str,
    count: int,
) -> None:
    store = sliced()
    victim, *others = [created(store) for _ in range(count)]
    harm(raw_store, victim, field)
    events = [invitation(number) for number in range(1, 4)]
    assert append(store, *events) == [(True, len(others))] * 3
    assert append(store, *events) == [(False, 0)] * 3
    assert [kinds(raw_store, other) for other in others] == [["event"] * 3] * len(others)
    assert f"damaged subscription={victim.id}" in caplog.text
    assert kept(raw_store) == []


@pytest.mark.parametrize("expires", [False, True])
@pytest.mark.parametrize("kind", [ENDS, INVITATION])
@pytest.mark.parametrize("field", HARMS)
def test_a_registration_ends_beside_one_that_is_damaged(
    sliced: Callable[..., Store],
    raw_store: "redis.Redis",
    caplog: pytest.LogCaptureFixture,
    field: str,
    kind: EventType,
    expires: bool,
) -> None:
    store = sliced()
    victim = created(store, event_type=kind)
    notified = [created(store, event_type=ENDS) for _ in range(2 * WORK)]
    others = [created(store) for _ in range(WORK)]
    harm(raw_store, victim, field)
    if expires:
        expire_soon(store, raw_store)
        later = sliced(61)
        for _ in range(4):
            later.expiry.sweep()
    else:
        assert append(store, ends(1)) == [(True, len(notified))]
    assert [kinds(raw_store, subscription) for subscription in notified] == [
        ["event", "NETWORK_TERMINATED"]
    ] * len(notified)
    assert [kinds(raw_store, other) for other in others] == [["NETWORK_TERMINATED"]] * len(others)
    # Of one that is notified of no end, some fields are not read.
    if kind is ENDS or field not in ("appended", "max_events", "status"):
        assert f"damaged subscription={victim.id}" in caplog.text
    assert kept(raw_store) == []
    assert raw_store.zscore(P.ends, "registration:r1") is None


def expire_soon(store: Store, raw_store: "redis.Redis") -> None:
    soon = raw_store.time()[0] * 1000 + 60_000
    store.registrations.put(Registration("r1", "d", "app", None, None), expires_at_ms=soon, end=EXPIRY)


def is_named(store: Store, key: str) -> bool:
    return key in {record.key for record in DamagedRecords(store).find()}


@pytest.mark.parametrize("kind", NO_SETS)
def test_who_is_left_cannot_be_read(
    sliced: Callable[..., Store],
    settings: Settings,
    raw_store: "redis.Redis",
    caplog: pytest.LogCaptureFixture,
    kind: str,
) -> None:
    """The event begins anew: some get it twice, nobody misses it."""
    store = sliced()
    made = [created(store) for _ in range(3 * WORK)]
    begun(store, settings, invitation(1))
    lacking = P.lacking("/gateway", "e1")
    put(raw_store, lacking, kind)
    assert is_named(store, lacking)
    append(store, invitation(1))
    counts = sorted(len(kinds(raw_store, subscription)) for subscription in made)
    assert counts == [1] * 2 * WORK + [2] * WORK
    assert raw_store.type(set_aside_key(lacking)) == kind
    assert "is a key of another type and was set aside" in caplog.text
    assert append(store, invitation(1)) == [(False, 0)]
    assert kept(raw_store) == []


@pytest.mark.parametrize("kind", [*NO_SETS, "set"])
def test_how_many_had_it_cannot_be_read(
    sliced: Callable[..., Store], settings: Settings, raw_store: "redis.Redis", kind: str
) -> None:
    store = sliced()
    made = [created(store) for _ in range(3 * WORK)]
    begun(store, settings, invitation(1))
    matched = P.matched("/gateway", "e1")
    put(raw_store, matched, kind)
    assert is_named(store, matched) is (kind != "string")
    assert append(store, invitation(1)) == [(True, 2 * WORK)]
    assert [kinds(raw_store, subscription) for subscription in made] == [["event"]] * len(made)
    assert raw_store.type(set_aside_key(matched)) == kind
    assert kept(raw_store) == []


@pytest.mark.parametrize("kind", NO_SETS)
def test_who_is_still_to_end_cannot_be_read(
    sliced: Callable[..., Store], raw_store: "redis.Redis", caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    store = sliced()
    made = [created(store, event_type=ENDS) for _ in range(3 * WORK)]
    expire_soon(store, raw_store)
    later = sliced(61)
    assert later.expiry.sweep() == 1
    put(raw_store, P.ending("r1"), kind)
    assert is_named(store, P.ending("r1"))
    for _ in range(3):
        later.expiry.sweep()
    assert [kinds(raw_store, subscription) for subscription in made] == [
        ["event", "NETWORK_TERMINATED"]
    ] * len(made)
    assert raw_store.type(set_aside_key(P.ending("r1"))) == kind
    assert "was set aside" in caplog.text
    assert kept(raw_store) == []
    Erasure(store).erase(Erasure(store).find("r1"))
    assert not [key for key in raw_store.scan_iter("*") if key.endswith(":r1")]


@pytest.mark.parametrize("kind", NO_SETS)
@pytest.mark.parametrize("index", [INVITATION, ENDS])
def test_an_index_of_many_is_made_anew(
    sliced: Callable[..., Store], raw_store: "redis.Redis", index: EventType, kind: str
) -> None:
    """Nobody can tell meanwhile who is to be served: what needs it is to be repeated."""
    store = sliced()
    made = [created(store, event_type=index) for _ in range(2 * WORK)]
    key = P.registration(index, "r1")
    put(raw_store, key, kind)
    event = ends(1) if index is ENDS else invitation(1)
    with pytest.raises(Unavailable):
        append(store, event)
    # Its bound counts them.
    with pytest.raises(Unavailable):
        created(store, event_type=INVITATION)
    store.expiry.sweep()
    assert append(store, event) == [(True, len(made))]
    assert raw_store.type(set_aside_key(key)) == kind


@pytest.mark.parametrize("kind", NO_SETS)
def test_a_registration_expires_once_its_index_is_made_anew(
    sliced: Callable[..., Store], raw_store: "redis.Redis", kind: str
) -> None:
    store = sliced()
    made = [created(store, event_type=ENDS) for _ in range(2 * WORK)]
    expire_soon(store, raw_store)
    put(raw_store, P.registration(ENDS, "r1"), kind)
    sliced(61).expiry.sweep()
    assert [kinds(raw_store, subscription) for subscription in made] == [[]] * len(made)
    for seconds in (130, 131, 132):
        sliced(seconds).expiry.sweep()
    assert [kinds(raw_store, subscription) for subscription in made] == [
        ["event", "NETWORK_TERMINATED"]
    ] * len(made)


@pytest.mark.parametrize("kind", NO_SETS)
def test_a_session_is_subscribed_to_while_an_index_of_it_is_damaged_elsewhere(
    sliced: Callable[..., Store], raw_store: "redis.Redis", kind: str
) -> None:
    store = sliced()
    created(store, event_type=EventType.SESSION_STATUS, session="s1", registration="far")
    elsewhere = partition_of("far", 64)
    assert elsewhere.number != P.number
    put(raw_store, elsewhere.session("s1"), kind)
    made = created(store, event_type=EventType.SESSION_STATUS, session="s1")
    assert store.subscriptions.get(made.id) is not None


def test_a_long_event_for_nobody(sliced: Callable[..., Store], raw_store: "redis.Redis") -> None:
    """It is as much work as many matches, and leaves nothing behind."""
    long = dataclasses.replace(invitation(1), payload="x" * 8192 * (WORK + 1))
    assert append(sliced(), long) == [(True, 0)]
    assert kept(raw_store) == []


@pytest.mark.parametrize("member", ["", "many", "{1}:due", "\n", "x" * 5000])
def test_a_member_of_the_set_that_is_no_subscription(
    sliced: Callable[..., Store], settings: Settings, raw_store: "redis.Redis", member: str
) -> None:
    store = sliced()
    made = [created(store) for _ in range(3 * WORK)]
    begun(store, settings, invitation(1))
    raw_store.sadd(P.lacking("/gateway", "e1"), member)
    assert append(store, invitation(1)) == [(True, len(made))]
    assert kept(raw_store) == []
