"""Which requests at the head of a queue are sent at once, and what must stay in order. Pure."""

from collections.abc import Sequence
from typing import Final

from webrtc_events.gateways.journal_entries import Entry, registration_of, session_of
from webrtc_events.gateways.network_requests import PublishEvent, PutRegistration

__all__ = ["leading_events", "leading_puts", "stream_of"]

_MAX_BYTES: Final = 512 * 1024


def leading_events(entries: Sequence[Entry]) -> list[Entry]:
    """Those that come first, as one batch."""
    size = 0
    batch: list[Entry] = []
    for entry in entries:
        size += entry.size
        if not entry.is_event or (batch and size > _MAX_BYTES):
            break
        batch.append(entry)
    return batch


def leading_puts(entries: Sequence[Entry]) -> list[Entry]:
    """The first PUT of each registration before which nothing names the registration.

    Renewals come all the time, between the events of calls: sent one by one in their places they would part
    the events into small batches, and a service that is far off would not keep up.
    """
    named: set[str] = set()
    puts: list[Entry] = []
    for entry in entries:
        request = entry.request
        if isinstance(request, PutRegistration) and request.registration_id not in named:
            puts.append(entry)
        named.update(_names(entry))
    return puts


def _names(entry: Entry) -> list[str]:
    match entry.request:
        case PublishEvent(event=event):
            return [name for name in (event.get("subject"), registration_of(entry.request)) if name]
        case request:
            return [request.registration_id]


def stream_of(entry: Entry) -> str:
    """What must stay in order with it: a registration's requests, a session's events, or nothing else."""
    if (registration := registration_of(entry.request)) is not None:
        return f"registration {registration}"
    session = session_of(entry.request)
    return f"session {session}" if session else f"event {entry.position}"
