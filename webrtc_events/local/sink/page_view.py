"""How the inbox's page shows a notification: a row, and its whole text when somebody opens it."""

import json
from typing import Any

from webrtc_events.contract.strict_json import parse_json
from webrtc_events.core.errors import InvalidArgument
from webrtc_events.core.plain_text import escaped, printable
from webrtc_events.local.sink.received import Received

__all__ = ["full_text", "row"]

_MAX_CHARACTERS = 300


def row(received: Received) -> dict[str, Any]:
    """Small, whatever was received: the page shows a thousand rows at once."""
    shown = {
        "path": received.path,
        "type": "unreadable" if received.event is None else received.type,
        "state": received.state,
        "sequence": received.data.get("sequenceNumber", ""),
        "subscription": received.data.get("subscriptionId", ""),
        "correlator": received.correlator or "",
        "fault": received.fault or "",
    }
    return {
        "number": received.number,
        "receivedAt": received.time,
        "valid": received.fault is None,
        "repeated": received.repeated,
        "answered": received.answered,
        "behaved": received.behaved,
        **{name: printable(value, _MAX_CHARACTERS) for name, value in shown.items()},
    }


def full_text(body: bytes) -> str:
    """JSON with one member a line, in the order in which it was sent; other text as it is."""
    try:
        return escaped(json.dumps(parse_json(body), indent=2, ensure_ascii=False))
    except InvalidArgument:
        return escaped(body.decode(errors="replace"))
