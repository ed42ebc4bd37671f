"""Claims as values, for tests without a store."""

from typing import Any

from webrtc_events.core.model import Claim, ContractVersion, OutboxItem, OutboxKind
from webrtc_events.store.script_options import DEFAULT_OPTIONS

_VALUES: dict[str, Any] = {
    "subscription_id": "s-1",
    "fence": 3,
    "now_ms": 10_000,
    "lease_until_ms": 10_000 + DEFAULT_OPTIONS.lease_ms,
    "sink": "https://sink.example/inbox",
    "headers": {},
    "credential": None,
    "attempts": 0,
    "end_once": False,
    "contract": ContractVersion.V0_2.value,
    "origin": "",
    "rate": None,
    "client": "app",
}


def item_of(
    number: int = 1,
    payload: str = "{}",
    *,
    kind: OutboxKind = OutboxKind.EVENT,
    accepted_ms: int = 9_000,
    deadline_ms: int = 70_000,
    sequence: int = 0,
    first_number: int | None = None,
) -> OutboxItem:
    return OutboxItem(number, kind, accepted_ms, deadline_ms, sequence, payload, first_number)


def claim_of(*items: OutboxItem, **values: Any) -> Claim:
    """A claim that the store gave at 10 s, by its time, for as long as a lease lasts."""
    return Claim(**(_VALUES | values), items=items or (item_of(),))
