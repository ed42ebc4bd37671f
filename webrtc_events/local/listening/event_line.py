"""How the terminal shows an event of a channel: one line."""

from typing import Any

from webrtc_events.core.plain_text import printable
from webrtc_events.local.listening.channel_reader import ChannelEvent

__all__ = ["describe"]

_GAP = "gap"


def describe(event: ChannelEvent) -> str:
    """Time, type, what happened, who calls whom, session, sequence number.

    It is safe on a terminal, whatever was sent.
    """
    if event.type == _GAP:
        return f"-- {printable(event.content.get('missed', '?'), 12)} events or more were removed unread --"
    found = event.content.get("data")
    data: dict[str, Any] = found if isinstance(found, dict) else {}
    parts = [
        printable(str(event.content.get("time", ""))[11:23], 12),
        f"{printable(event.type.rpartition('.')[2], 24):<18}",
        f"{printable(data.get('status') or data.get('terminationReason') or '-', 36):<16}",
        _parties(data),
        _named("session", data.get("mediaSessionId")),
        _named("registration", data.get("registrationId")),
        _named("#", data.get("sequenceNumber"), ""),
    ]
    return "  ".join(filter(None, parts)).rstrip()


def _parties(data: dict[str, Any]) -> str:
    parties = [data.get("originatorAddress"), data.get("receiverAddress")]
    if not any(parties):
        return ""
    return " -> ".join(printable(party or "?", 64) for party in parties)


def _named(name: str, value: object, sign: str = "=") -> str:
    return "" if value is None else f"{name}{sign}{printable(value, 64)}"
