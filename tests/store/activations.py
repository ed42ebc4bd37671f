"""Subscriptions whose sink is asked first, and its answers."""

import dataclasses
from collections.abc import Callable
from typing import Any

from tests.harness.builders import SINK, new_subscription
from webrtc_events.core.model import Claim, Subscription
from webrtc_events.store.keys import partition_of
from webrtc_events.store.store import Store

StoreAt = Callable[..., Store]
P = partition_of("r1", 64)
ORIGIN = "events.operator.example"


def asked(store: Store, *, sealed: str | None = None, **values: Any) -> Subscription:
    """A subscription that waits for its sink."""
    initial = values.pop("initial_event", False)
    made = dataclasses.replace(new_subscription(origin=ORIGIN, **values), initial_event=initial)
    assert store.subscriptions.create(made, sink=SINK, headers={}, sealed=sealed).outcome == "created"
    return made


def claim_one(store: Store) -> Claim:
    (found,) = store.claims.claim([P], subscriptions=9, events=8)
    return found


def other(claim: Claim, number: int) -> Claim:
    return dataclasses.replace(claim, subscription_id=f"{number:032x}-00")
