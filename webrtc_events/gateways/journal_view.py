"""What an operator sees of an adapter's queue, read beside the adapter that runs."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from webrtc_events.gateways.journal_entries import decoded
from webrtc_events.gateways.network_requests import DeleteRegistration, PublishEvent, PutRegistration

__all__ = ["JournalView", "LeftOut", "QueueTotals", "totals", "view"]

_LAST: Final = 20
_REJECTED: Final = (
    "SELECT (SELECT count(*) FROM rejected), request, reason, rejected_ms FROM rejected "
    "ORDER BY position DESC LIMIT ?"
)
_SET_ASIDE: Final = (
    "SELECT (SELECT count(*) FROM set_aside), request, reason, set_aside_ms FROM set_aside "
    "ORDER BY position DESC LIMIT ?"
)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """`what`: the request in a few words, without what identifies a person. `at_ms`: since the epoch."""

    what: str
    reason: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class JournalView:
    """`oldest_ms`: since when the head waits, ms since the epoch. `last_...`: the newest first."""

    entries: int
    bytes: int
    oldest_ms: int | None
    rejected: int
    last_rejected: tuple[LeftOut, ...]
    set_aside: int
    last_set_aside: tuple[LeftOut, ...]


@dataclass(frozen=True, slots=True)
class QueueTotals:
    """See `JournalView`."""

    entries: int
    bytes: int
    oldest_ms: int | None
    set_aside: int


def totals(path: Path) -> QueueTotals:
    """
    Raises:
        sqlite3.Error: it is no queue, or cannot be read.
    """
    with _opened(path) as database:
        entries, size, oldest_ms = _waiting(database)
        (set_aside,) = database.execute("SELECT count(*) FROM set_aside").fetchone()
    return QueueTotals(entries, size, oldest_ms, set_aside)


def view(path: Path) -> JournalView:
    """
    Raises:
        sqlite3.Error: it is no queue, or cannot be read.
        ValueError: an entry of it is damaged.
    """
    with _opened(path) as database:
        entries, size, oldest_ms = _waiting(database)
        rejected, last_rejected = _left_out(database, _REJECTED)
        # An adapter of a release before has none.
        known = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'set_aside'").fetchone()
        set_aside, last_set_aside = _left_out(database, _SET_ASIDE) if known else (0, ())
    return JournalView(
        entries=entries,
        bytes=size,
        oldest_ms=oldest_ms,
        rejected=rejected,
        last_rejected=last_rejected,
        set_aside=set_aside,
        last_set_aside=last_set_aside,
    )


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """For reading: all that is read is of one moment."""
    with closing(sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True)) as database:
        database.execute("BEGIN")
        yield database


def _waiting(database: sqlite3.Connection) -> tuple[int, int, int | None]:
    entries, size = database.execute("SELECT entries, bytes FROM totals").fetchone()
    oldest = database.execute("SELECT queued_ms FROM queue ORDER BY position LIMIT 1").fetchone()
    return entries, size, None if oldest is None else oldest[0]


def _left_out(database: sqlite3.Connection, query: str) -> tuple[int, tuple[LeftOut, ...]]:
    rows = database.execute(query, (_LAST,)).fetchall()
    count = rows[0][0] if rows else 0
    return count, tuple(LeftOut(_what(request), reason, at_ms) for _, request, reason, at_ms in rows)


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
