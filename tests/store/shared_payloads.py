"""Events whose payload is large enough to be shared, and who holds it."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import Any

import redis

from tests.harness.builders import invitation
from webrtc_events.core.model import Claim, NetworkEvent, Subscription
from webrtc_events.store.keys import partition_of
from webrtc_events.store.outbox_entries import parse_entry, referred_payload
from webrtc_events.store.settlements import Settlement, SettleOutcome
from webrtc_events.store.store import Store

P = partition_of("r1", 64)
SIZE = 100_000
StoreWith = Callable[..., Store]


def long(number: int, size: int = SIZE, **values: Any) -> NetworkEvent:
    event = invitation(number, **values)
    padded = {**json.loads(event.payload), "padding": ""}
    padded["padding"] = "x" * (size - len(json.dumps(padded)))
    return dataclasses.replace(event, payload=json.dumps(padded))


def payloads(raw_store: "redis.Redis") -> dict[str, set[str]]:
    """Who holds each that is kept: subscription and outbox number. The index names just these."""
    kept = {key.rpartition(":")[2]: set(raw_store.hkeys(key)) for key in raw_store.keys(P.payload("*"))}
    assert set(raw_store.zrange(P.payloads, 0, -1)) == kept.keys()
    return {sha: holders - {"payload"} for sha, holders in kept.items()}


def referred(raw_store: "redis.Redis", made: Sequence[Subscription]) -> dict[str, set[str]]:
    """What the outboxes of these say."""
    found: dict[str, set[str]] = {}
    for subscription in made:
        for entry in raw_store.lrange(P.outbox(subscription.id), 0, -1):
            if sha := referred_payload(entry):
                found.setdefault(sha, set()).add(f"{subscription.id}:{parse_entry(entry).number}")
    return found


def claims(store: Store, **limits: Any) -> list[Claim]:
    return store.claims.claim([P], **({"subscriptions": 99, "events": 8} | limits))


def settle(store: Store, found: Sequence[Claim], **values: Any) -> list[SettleOutcome]:
    return store.claims.settle([Settlement(leased, leased.items[-1].number, **values) for leased in found])


def dead_letters(raw_store: "redis.Redis") -> list[tuple[str, int]]:
    """Why, and how long its payload is."""
    found = [fields for _, fields in raw_store.xrange(P.dead)]
    return [(fields["reason"], len(fields["entry"].partition("\n")[2])) for fields in found]


# Damage


def other_type(raw_store: "redis.Redis", key: str) -> None:
    raw_store.delete(key)
    raw_store.set(key, "text")
