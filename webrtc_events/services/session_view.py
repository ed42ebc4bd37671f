"""What an operator sees of a media session: its latest state, who subscribed to it, and its trace."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from webrtc_events.core.model import Registration, SessionState
from webrtc_events.store.device_index import subscriptions_to_devices
from webrtc_events.store.registration_reads import read_registrations
from webrtc_events.store.store import Store
from webrtc_events.store.subscription_rows import SubscriptionFilter, SubscriptionRow, read_rows
from webrtc_events.store.traced_call import TracedCall, read_call

__all__ = ["MAX_SUBSCRIPTIONS", "SessionView", "read_session_view"]

MAX_SUBSCRIPTIONS: Final = 200
"""To one session, that are shown."""


@dataclass(frozen=True, slots=True)
class SessionView:
    """`call` None: no trace is kept of it. `more`: there are more subscriptions than are shown."""

    session: str
    state: SessionState
    subscriptions: Sequence[SubscriptionRow]
    more: bool
    call: TracedCall | None

    @property
    def status(self) -> str | None:
        """The latest that the gateway gave; None: not known, or it cannot be read."""
        if self.state.latest is None:
            return None
        try:
            status = json.loads(self.state.latest.payload)["data"]["status"]
        except (KeyError, RecursionError, TypeError, ValueError):
            return None
        return status if isinstance(status, str) else None

    @property
    def is_known(self) -> bool:
        return bool(self.state.registrations or self.state.latest or self.subscriptions or self.call)


def read_session_view(store: Store, session: str) -> SessionView:
    """Found are subscriptions to its status, and those to devices of the registrations that it is known to
    involve. Others may get its events too.

    Raises:
        Unavailable: the store does not answer.
    """
    state = store.session_states.get(session)
    ids = store.session_index.subscriptions_of(session, MAX_SUBSCRIPTIONS + 1)
    ids += _of_devices(store, state, MAX_SUBSCRIPTIONS + 1 - len(ids))
    rows = read_rows(store.client, store.partitions, ids[:MAX_SUBSCRIPTIONS], SubscriptionFilter())
    return SessionView(
        session,
        state,
        rows,
        len(ids) > MAX_SUBSCRIPTIONS,
        read_call(store.call_traces, session),
    )


def _of_devices(store: Store, state: SessionState, limit: int) -> list[str]:
    """What is damaged has no subscriptions here."""
    if limit <= 0 or not state.registrations:
        return []
    known = read_registrations(store, sorted(state.registrations)).values()
    places = {(record.device, record.owner) for record in known if isinstance(record, Registration)}
    return subscriptions_to_devices(store, sorted(places), limit)
