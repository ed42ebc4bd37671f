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
