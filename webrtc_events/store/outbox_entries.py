"""The text of an outbox entry. Source: lua/shared/outboxes.lua, which writes it.

An event that is redelivered gets a new place at the tail, hence a new outbox number, and keeps
the number that it is known by. That one stands first in its payload, where releases that know
nothing of it read past it.

The trace of an event stands behind that, in front of all else. Other releases read past it too. The
registrations of an event for subscriptions to a device stand behind all else.

In an outbox an entry may refer to a payload that several have in common; a claim has it in its place.
"""

import json
import re
from collections.abc import Sequence
from typing import Final

from webrtc_events.core.ascii_json import ascii_json
from webrtc_events.core.model import OutboxItem, OutboxKind
from webrtc_events.core.trace_context import TraceContext

__all__ = [
    "keep_event_number",
    "parse_entry",
    "payload_with_registrations",
    "payload_with_trace",
    "referred_payload",
    "registrations_in",
    "trace_of",
]

# Both as number_in_place of lua/shared/outbox_heads.lua reads it.
_HEAD = re.compile(r"([0-9]+) ([012]) ([0-9]+) ([0-9]+) ([0-9]+)")
_MAX_HEAD = 69
_REFERENCE = re.compile(r"@([0-9a-f]{40}) [0-9]{1,16}")
_MAX_REFERENCE = 160
# To call an enumeration takes as long as the rest of a head.
_KINDS = {str(kind.value): kind for kind in OutboxKind}
_KEPT = re.compile(r'\{"number":(\d{1,16}),')
_TRACED: Final = '{"traceparent":"'
_TRACE = re.compile(
    r'\{(?:"number":[0-9]{1,16},)?"traceparent":"([0-9a-f-]{55})",(?:"tracestate":"((?:[^"\\]|\\["\\]){1,512})",)?'
)
# All that a valid one needs to have escaped.
_ESCAPED = re.compile(r'\\(["\\])')


def parse_entry(entry: str) -> OutboxItem:
    """
    Raises:
        ValueError: it is no entry that this release knows.
    """
    head, _, payload = entry.partition("\n")
    values = _HEAD.fullmatch(head)
    if values is None or len(head) > _MAX_HEAD:
        raise ValueError(f"{head[:_MAX_HEAD]!r} does not begin an outbox entry")
    number, kind, accepted_ms, deadline_ms, sequence = values.groups()
    kept = _KEPT.match(payload)
    return OutboxItem(
        int(number),
        _KINDS[kind],
        int(accepted_ms),
        int(deadline_ms),
        int(sequence),
        payload,
        first_number=int(kept[1]) if kept else None,
        # Entries are ASCII, so a character is a byte.
        size=len(entry),
    )


def referred_payload(entry: str) -> str | None:
    """The sha1 of the payload to which the entry refers; None if it has its own."""
    _, _, payload = entry[:_MAX_REFERENCE].partition("\n")
    reference = _REFERENCE.fullmatch(payload)
    return reference[1] if reference and len(entry) <= _MAX_REFERENCE else None


def keep_event_number(item: OutboxItem) -> str:
    """The payload of an event that is no end, for an entry with another outbox number."""
    if item.first_number is not None:
        return item.payload
    return f'{{"number":{item.number},{item.payload.removeprefix("{")}'


def payload_with_trace(payload: str, trace: TraceContext) -> str:
    """The payload of an event, with the trace that it belongs to."""
    state = f'"tracestate":{ascii_json(trace.state)},' if trace.state else ""
    return f'{_TRACED}{trace.traceparent}",{state}{payload.removeprefix("{")}'


def payload_with_registrations(payload: str, registrations: Sequence[str]) -> str:
    """The payload of an event for subscriptions to a device, with the registrations that it concerns.

    They stand behind all else, and are for whoever looks for what is kept of a registration.
    """
    return f'{payload.removesuffix("}")},"registrations":{ascii_json(registrations)}}}'


def registrations_in(payload: str) -> list[str]:
    """Of an event for subscriptions to a device; none of others, or if it is damaged."""
    if '"registrations":[' not in payload:
        return []
    try:
        found = json.loads(payload)["registrations"]
    except (KeyError, RecursionError, TypeError, ValueError):
        return []
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []


def trace_of(item: OutboxItem) -> TraceContext | None:
    """None: it has none, or what is damaged."""
    # Most have none, and this is done for each delivery.
    if item.first_number is None and not item.payload.startswith(_TRACED):
        return None
    found = _TRACE.match(item.payload)
    if found is None:
        return None
    return TraceContext.read(found[1], found[2] and _ESCAPED.sub(r"\1", found[2]))
