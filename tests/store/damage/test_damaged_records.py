"""One damaged record stops nobody: every kind of record of keys.py, damaged in every way, beside a worker."""

from collections.abc import Iterable

import pytest

from tests.harness.builders import listed
from tests.store.damage.conftest import (
    APP,
    FAR,
    GARBLED,
    NEAR,
    NEIGHBOUR,
    OPTIONAL_FIELDS,
    PARTITIONS,
    SESSION,
    P,
    Service,
    other_types,
    others,
)
from webrtc_events.core.errors import DamagedRecord
from webrtc_events.core.model import EventType, Registration
from webrtc_events.store.keys import client_key, partition_of, session_key, session_state_key, set_aside_key

FIELDS = (
    "appended",
    "client",
    "expires_at",
    "fence",
    "format",
    "number",
    "registration",
    "request",
    "session",
    "sink",
    "starts_at",
    "status",
    "subject",
    "type",
)


def all_get_theirs(service: Service, case: int, *damaged: str) -> None:
    paths = others(service, case)
    assert [service.publish(registration)["status"] for registration in (NEAR, NEIGHBOUR, FAR)] == [
        "accepted"
    ] * 3
    service.waits_for(*paths)
    service.is_well(*damaged)


# `make test` damages many records at the same time, or in one way; `make slow` each alone, in every way.
BOTH_WAYS = pytest.mark.parametrize(
    "together", [pytest.param(True, id="together"), pytest.param(False, id="alone", marks=pytest.mark.slow)]
)
ONE_OR_ALL_TYPES = pytest.mark.parametrize(
    "types", [pytest.param(1, id="one"), pytest.param(5, id="all", marks=pytest.mark.slow)]
)
VALUES = {**GARBLED, "absent": None}


def test_the_list_of_fields_is_whole(service: Service) -> None:
    victim = service.subscribe("/victim", NEAR)
    kept = {name.decode() for name in service.raw.hkeys(P.subscription(victim))}
    assert kept <= {*FIELDS, *OPTIONAL_FIELDS}


def damaged_subscription(service: Service, path: str, field: str, value: bytes | None) -> str:
    victim = service.subscribe(path, NEAR)
    set_or_remove(service, P.subscription(victim), field, value)
    # Every way leads to it: deliveries, its time, its initial event.
    service.raw.rpush(P.outbox(victim), f"1 0 {10**12} {9 * 10**12} 1\n{{}}")
    service.raw.zadd(P.due, {victim: 1})
    service.raw.zadd(P.ends, {victim: 1})
    service.raw.zadd(P.initial, {victim: 1})
    return victim


def set_or_remove(service: Service, key: str, field: str, value: bytes | None) -> None:
    if value is None:
        service.raw.hdel(key, field)
    else:
        service.raw.hset(key, field, value)


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_all_fields_of_subscriptions(service: Service, value: bytes | None) -> None:
    """A subscription for each field."""
    victims = [
        damaged_subscription(service, f"/{field}", field, value) for field in (*FIELDS, *OPTIONAL_FIELDS)
    ]
    all_get_theirs(service, 0, *victims)


@pytest.mark.slow
@pytest.mark.parametrize("field", [*FIELDS, *OPTIONAL_FIELDS])
def test_a_field_of_a_subscription(service: Service, field: str) -> None:
    for case, value in enumerate(VALUES.values()):
        victim = damaged_subscription(service, f"/victim{case}", field, value)
        all_get_theirs(service, case, victim)


def test_a_subscription_of_another_type(service: Service) -> None:
    sample = service.subscribe("/probe", NEAR)
    for case in range(len(other_types(service.raw, P.subscription(sample)))):
        victim = service.subscribe(f"/victim{case}", NEAR)
        other_types(service.raw, P.subscription(victim))[case]()
        service.raw.zadd(P.due, {victim: 1})
        service.raw.zadd(P.ends, {victim: 1})
        all_get_theirs(service, case, victim)


PARTITION_KEYS = {
    "due": P.due,
    "ends": P.ends,
    "ended": P.ended,
    "initial": P.initial,
    "clients": P.clients,
    "hosts": P.hosts("app"),
    "dead": P.dead,
    "attempts": P.attempts,
    "rebuild": P.rebuild,
    "clock": P.clock,
    "ending": P.ending(NEAR),
    "lacking": P.lacking("/gateway", "e0"),
    "matched": P.matched("/gateway", "e0"),
    "index": P.registration(EventType.SESSION_INVITATION, NEAR),
    "state": P.registration_state(NEAR),
    "payloads": P.payloads,
    "client": client_key("app"),
}


def some_types(name: str, names: Iterable[str], types: int) -> Iterable[int]:
    """This number of the five types that a key can have instead; of one, another for each name."""
    first = list(names).index(name)
    return [(first + number) % 5 for number in range(types)]


@ONE_OR_ALL_TYPES
@pytest.mark.parametrize("name", PARTITION_KEYS)
def test_a_shared_key_of_another_type(service: Service, name: str, types: int) -> None:
    """What it pointed to is found again: also the subscription that was made before."""
    key = PARTITION_KEYS[name]
    for case in some_types(name, PARTITION_KEYS, types):
        early = service.subscribe(f"/early{case}", NEAR)
        other_types(service.raw, key)[case]()
        all_get_theirs(service, case)
        service.waits_for(f"/early{case}")
        assert early in {resource["id"] for resource in listed(service.subscriptions, APP)}
        service.subscriptions.delete(APP, early)


def test_an_outbox_of_another_type(service: Service) -> None:
    sample = service.subscribe("/probe", NEAR)
    service.raw.rpush(P.outbox(sample), "x")
    for case in range(5):
        victim = service.subscribe(f"/victim{case}", NEAR)
        service.raw.rpush(P.outbox(victim), "x")
        other_types(service.raw, P.outbox(victim))[case]()
        service.raw.zadd(P.due, {victim: 1})
        all_get_theirs(service, case, victim)


@ONE_OR_ALL_TYPES
@pytest.mark.parametrize("name", ["index", "state", "places"])
def test_the_keys_of_a_session(service: Service, name: str, types: int) -> None:
    key = {"index": P.session(SESSION), "state": session_state_key(SESSION), "places": session_key(SESSION)}[
        name
    ]
    for case in some_types(name, ("index", "state", "places"), types):
        service.subscribe(f"/early{case}", NEAR, event_type=EventType.SESSION_STATUS)
        service.publish(NEAR, EventType.SESSION_STATUS)
        service.waits_for(f"/early{case}")
        service.subscribe(f"/status{case}", NEAR, event_type=EventType.SESSION_STATUS)
        other_types(service.raw, key)[case]()
        service.publish(None if name == "places" else NEAR, EventType.SESSION_STATUS)
        service.waits_for(f"/status{case}")
        all_get_theirs(service, case)
        if name != "state":
            assert service.raw.exists(set_aside_key(key))


@BOTH_WAYS
@pytest.mark.parametrize("field", ["at", "name", "payload", "count", "last"])
def test_a_field_of_a_sessions_state(service: Service, field: str, *, together: bool) -> None:
    for case, value in enumerate(VALUES.values()):
        service.publish(NEAR, EventType.SESSION_STATUS)
        key = session_state_key(SESSION)
        set_or_remove(service, key, field, value)
        service.subscribe(f"/status{case}", NEAR, event_type=EventType.SESSION_STATUS)
        service.publish(NEAR, EventType.SESSION_STATUS)
        service.waits_for(f"/status{case}")
        if not together:
            all_get_theirs(service, case)
    all_get_theirs(service, -1)


def register(service: Service, registration: str, owner: str = "app") -> None:
    service.store.registrations.put(
        Registration(registration, "d", owner, None, None), expires_at_ms=None, end="{}"
    )


REGISTRATION_FIELDS = ("format", "owner", "subject", "expires_at_ms", "end", "device", "expires_at")


def damaged_registration(service: Service, name: str, path: str, field: str, value: bytes | None) -> str:
    """Returns the id of a subscription for it."""
    register(service, name)
    victim = service.subscribe(path, name)
    partition = partition_of(name, PARTITIONS)
    key = partition.registration_record(name)
    service.raw.hset(key, "expires_at_ms", 1)
    set_or_remove(service, key, field, value)
    service.raw.zadd(partition.ends, {f"registration:{name}": 1})
    service.publish(name)
    return victim


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_all_fields_of_registrations(service: Service, value: bytes | None) -> None:
    """A registration for each field."""
    victims = [
        damaged_registration(service, f"r-{field}", f"/{field}", field, value)
        for field in REGISTRATION_FIELDS
    ]
    all_get_theirs(service, 0, *victims)


@pytest.mark.slow
@pytest.mark.parametrize("field", REGISTRATION_FIELDS)
def test_a_field_of_a_registration(service: Service, field: str) -> None:
    for case, value in enumerate(VALUES.values()):
        victim = damaged_registration(service, "r-damaged", f"/victim{case}", field, value)
        all_get_theirs(service, case, victim)


def test_a_registration_of_another_type(service: Service) -> None:
    """Its owner is unknown, so nobody gets its events until it is registered anew; no other is held up."""
    register(service, NEIGHBOUR)
    key = P.registration_record(NEIGHBOUR)
    for case in range(5):
        service.subscribe(f"/neighbour{case}", NEIGHBOUR)
        other_types(service.raw, key)[case]()
        service.subscribe(f"/mate{case}", NEAR)
        assert service.publish(NEIGHBOUR)["status"] == "accepted"
        service.publish(NEAR)
        service.waits_for(f"/mate{case}")
        register(service, NEIGHBOUR)
        service.publish(NEIGHBOUR)
        service.waits_for(f"/neighbour{case}")
        service.is_well()


@BOTH_WAYS
@pytest.mark.parametrize("kind", ["due", "ends", "ended", "initial"])
def test_a_member_that_is_no_subscription(service: Service, kind: str, *, together: bool) -> None:
    for case, member in enumerate([*GARBLED.values(), b"registration:", b"registration:\xff"]):
        keys = {"due": P.due, "ends": P.ends, "ended": P.ended, "initial": P.initial}
        service.raw.zadd(keys[kind], {member: 1})
        service.raw.zadd(client_key("app"), {member: 1})
        if not together:
            all_get_theirs(service, case)
    all_get_theirs(service, -1)


@BOTH_WAYS
@pytest.mark.parametrize("field", ["subscription", "at", "reason", "detail", "entry", "registration"])
def test_a_field_of_a_dead_letter(service: Service, field: str, *, together: bool) -> None:
    whole = {
        "subscription": "x",
        "at": "1",
        "reason": "refused",
        "detail": "",
        "entry": "",
        "registration": NEAR,
    }
    for case, value in enumerate(VALUES.values()):
        dead_letter = {**whole, field: value}
        service.raw.xadd(P.dead, {name: member for name, member in dead_letter.items() if member is not None})
        service.raw.xadd(P.attempts, {"attempt": value or b"", "subscription": "x"})
        if not together:
            all_get_theirs(service, case)
    all_get_theirs(service, -1)


def test_a_damaged_subscription_is_not_tried_over_and_over(service: Service) -> None:
    victim = service.subscribe("/victim", NEAR)
    service.raw.hset(P.subscription(victim), "fence", "many")
    service.publish(NEAR)
    service.publish(NEAR)
    service.subscribe("/mate", NEAR)
    service.publish(NEAR)
    service.waits_for("/mate")
    seconds, _ = service.raw.time()
    assert service.raw.zscore(P.due, victim) > (seconds + 50) * 1000
    assert service.caplog.text.count(f"damaged subscription={victim}") <= 2
    # Nothing of it is lost.
    assert service.raw.llen(P.outbox(victim)) == 3


def test_get_of_it_is_said_to_be_damaged_and_delete_leaves_nothing(service: Service) -> None:
    victim, mate = service.subscribe("/victim", NEAR), service.subscribe("/mate", NEAR)
    service.raw.hset(P.subscription(victim), "request", "{")
    with pytest.raises(DamagedRecord) as caught:
        service.subscriptions.get(APP, victim)
    assert caught.value.name == victim
    assert [resource["id"] for resource in listed(service.subscriptions, APP)] == [mate]
    assert victim in service.caplog.text
    service.subscriptions.delete(APP, victim)
    assert not [key for key in service.raw.scan_iter() if victim.encode() in key]
    kept = service.raw.smembers(P.registration(EventType.SESSION_INVITATION, NEAR))
    assert kept == {mate.encode()}
    assert service.raw.zscore(client_key("app"), victim) is None
