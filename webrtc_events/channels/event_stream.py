"""The text of a stream of Server-Sent Events. Pure.

Source: HTML Living Standard, 9.2 (server-sent events).
"""

from collections.abc import Iterable

from webrtc_events.channels.feed import ChannelEvent

__all__ = ["END", "HEARTBEAT", "OPENING", "text_of"]

_RETRY_MS = 2000
OPENING = b"retry: %d\n\n" % _RETRY_MS
HEARTBEAT = b":\n\n"
END = b"event: end\ndata: {}\n\n"


def text_of(events: Iterable[ChannelEvent]) -> bytes:
    text = "".join(f"id: {event.id}\nevent: {event.type}\ndata: {event.data}\n\n" for event in events)
    return text.encode("utf-8", "surrogateescape")
