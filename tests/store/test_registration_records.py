"""Registrations are stored, replaced and forgotten."""

import redis

from tests.store.claiming import P
from webrtc_events.core.model import Registration
from webrtc_events.store.store import Store


def test_a_registration_is_stored_replaced_and_forgotten(store: Store, raw_store: "redis.Redis") -> None:
    registration = Registration("r1", "d1", "app", None, "2030-01-01T00:00:00Z")
    assert store.registrations.put(registration, expires_at_ms=None, end="") is True
    again = Registration("r1", "d2", "app", "alice", None)
    assert store.registrations.put(again, expires_at_ms=None, end="") is False
    record = raw_store.hgetall(P.registration_record("r1"))
    assert (record["device"], record["owner"], record["subject"]) == ("d2", "app", "alice")
    assert store.registrations.delete("r1") is True
    assert store.registrations.delete("r1") is False


def test_a_registration_is_kept_whole_and_until_it_expires(store: Store, raw_store: "redis.Redis") -> None:
    registration = Registration("r1", "d1", "app", "alice", "2096-10-02T07:06:40Z")
    store.registrations.put(registration, expires_at_ms=4_000_000_000_000, end="{}")
    kept = {
        "format": "1",
        "device": "d1",
        "owner": "app",
        "subject": "alice",
        "expires_at": "2096-10-02T07:06:40Z",
        "expires_at_ms": "4000000000000",
        "end": "{}",
    }
    assert raw_store.hgetall(P.registration_record("r1")) == kept
    assert raw_store.zrange(P.ends, 0, -1, withscores=True) == [("registration:r1", 4e12)]
    store.registrations.put(Registration("r1", "d1", "app", None, None), expires_at_ms=None, end="")
    nothing = {"subject": "", "expires_at": "", "expires_at_ms": "", "end": ""}
    assert raw_store.hgetall(P.registration_record("r1")) == kept | nothing
    assert raw_store.zcard(P.ends) == 0
