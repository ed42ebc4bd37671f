"""The text of a stream of Server-Sent Events. Pure.

Source: HTML Living Standard, 9.2 (server-sent events).
"""

from collections.abc import Mapping

from webrtc_events.core.cursor import format_cursor
from webrtc_events.store.channel_logs import LogPage

__all__ = ["END", "HEARTBEAT", "OPENING", "PageText"]

_RETRY_MS = 2000
OPENING = b"retry: %d\n\n" % _RETRY_MS
HEARTBEAT = b":\n\n"
END = b"event: end\ndata: {}\n\n"


class PageText:
    """The events of a page, and how far a reader has read that takes them; `before`: how far it had."""

    def __init__(self, partition: int, page: LogPage, before: Mapping[int, int]) -> None:
        self.cursor = {**before, partition: page.after}
        events = []
        if page.missed:
            events.append(_event(self.cursor, "gap", f'{{"missed":{page.missed}}}'))
        for event in page.events:
            self.cursor[partition] = event.number
            events.append(_event(self.cursor, event.type, event.body))
        self.text = "".join(events).encode("utf-8", "surrogateescape")


def _event(cursor: Mapping[int, int], type_: str, data: str) -> str:
    return f"id: {format_cursor(cursor)}\nevent: {type_}\ndata: {data}\n\n"
