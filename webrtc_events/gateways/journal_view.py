"""What an operator sees of an adapter's queue, read beside the adapter that runs."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from webrtc_events.gateways.journal_entries import decoded
from webrtc_events.gateways.network_requests import DeleteRegistration, PublishEvent, PutRegistration

__all__ = ["JournalView", "RejectedView", "view"]

_LAST: Final = 20


@dataclass(frozen=True, slots=True)
class RejectedView:
    """`what`: the request in a few words, without what identifies a person."""

    what: str
    reason: str
    rejected_ms: int


@dataclass(frozen=True, slots=True)
class JournalView:
    """`oldest_ms`: since when the head waits, ms since the epoch. `last_rejected`: the newest first."""

    entries: int
    bytes: int
    oldest_ms: int | None
    rejected: int
    last_rejected: tuple[RejectedView, ...]


def view(path: Path) -> JournalView:
    """
    Raises:
        sqlite3.Error: it is no queue, or cannot be read.
        ValueError: an entry of it is damaged.
    """
    with closing(sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True)) as database:
        entries, size = database.execute("SELECT entries, bytes FROM totals").fetchone()
        oldest = database.execute("SELECT queued_ms FROM queue ORDER BY position LIMIT 1").fetchone()
        (rejected,) = database.execute("SELECT count(*) FROM rejected").fetchone()
        rows = database.execute(
            "SELECT request, reason, rejected_ms FROM rejected ORDER BY position DESC LIMIT ?", (_LAST,)
        ).fetchall()
    last = tuple(RejectedView(_what(request), reason, at_ms) for request, reason, at_ms in rows)
    return JournalView(entries, size, None if oldest is None else oldest[0], rejected, last)


def _what(request: bytes) -> str:
    match decoded(request):
        case PublishEvent(event=event):
            kind = str(event.get("type", "")).rpartition(".")[2]
            data = event.get("data", {})
            return f"{kind} {data.get('status', '')} id={event.get('id')}".replace("  ", " ")
        case PutRegistration():
            return "put registration"
        case DeleteRegistration():
            return "delete registration"
