"""What the network's side may ask for: the use cases that the handlers of network-events.yaml share."""

import asyncio
from dataclasses import dataclass

from webrtc_events.contract.openapi import Contract
from webrtc_events.core.activity import Activity
from webrtc_events.core.errors import NotFound
from webrtc_events.core.model import Status, TerminationReason
from webrtc_events.services.event_notes import EventNotes
from webrtc_events.services.event_traces import EventTraces
from webrtc_events.services.events import Events
from webrtc_events.services.registrations import Registrations
from webrtc_events.store.awaited_steps import InThread
from webrtc_events.store.store import Store
from webrtc_events.store.subscriptions import EndOutcome
from webrtc_events.telemetry.spans import Spans

__all__ = ["NetworkSide", "SubscriptionEndings"]


class SubscriptionEndings:
    """Ends any client's subscription for the operator."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def end(self, subscription_id: str) -> None:
        """What was accepted still goes out first.

        Raises:
            NotFound: there is none. One that ends already is no error, so that this can be repeated.
        """
        outcome = self._store.subscriptions.end(
            subscription_id, TerminationReason.NETWORK_TERMINATED, Status.EXPIRED, drop_pending=False
        )
        if outcome is EndOutcome.GONE:
            raise NotFound


@dataclass(frozen=True, slots=True)
class NetworkSide:
    """One object for all handlers: each takes the use case that it needs.

    `in_thread`: how a handler on the event loop has something done that blocks.
    """

    events: Events
    registrations: Registrations
    endings: SubscriptionEndings
    in_thread: InThread

    @classmethod
    def of(
        cls,
        store: Store,
        contract: Contract,
        event_bytes: int | None = None,
        notes: EventNotes | None = None,
        activity: Activity | None = None,
        spans: Spans | None = None,
        in_thread: InThread = asyncio.to_thread,
    ) -> "NetworkSide":
        """`event_bytes`, `notes`, `activity`: see `Events`; `spans`: see `EventTraces`."""
        events = Events(store, contract, event_bytes, notes, activity, EventTraces(spans), in_thread)
        return cls(events, Registrations(store), SubscriptionEndings(store), in_thread)
