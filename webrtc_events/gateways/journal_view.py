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
from webrtc_events.gateways.waiting_reason import WaitingReason, read_reason

__all__ = ["JournalView", "LeftOut", "QueueTotals", "totals", "view"]

_LAST: Final = 20
_REJECTED: Final = (
    "SELECT position, request, reason, rejected_ms FROM rejected ORDER BY position DESC LIMIT ?"
)
# What was refused itself; what follows it in its session is counted only.
_SET_ASIDE: Final = (
    "SELECT position, request, reason, set_aside_ms FROM set_aside UNION ALL "
    "SELECT position, request, reason, set_aside_ms FROM events_aside WHERE reason != '' "
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
    """`oldest_ms`: since when the head waits, ms since the epoch. `last_...`: the newest first.

    `why`: why the queue waits; None: the service takes what is in it, or nothing has waited yet.
    """

    entries: int
    bytes: int
    oldest_ms: int | None
    rejected: int
    last_rejected: tuple[LeftOut, ...]
    set_aside: int
    last_set_aside: tuple[LeftOut, ...]
    why: WaitingReason | None = None


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
        entries, size, oldest_ms, set_aside = _counted(database)
    return QueueTotals(entries, size, oldest_ms, set_aside)


def view(path: Path) -> JournalView:
    """
    Raises:
        sqlite3.Error: it is no queue, or cannot be read.
        ValueError: an entry of it is damaged.
    """
    with _opened(path) as database:
        entries, size, oldest_ms, set_aside = _counted(database)
        (rejected,) = database.execute("SELECT count(*) FROM rejected").fetchone()
        return JournalView(
            entries=entries,
            bytes=size,
            oldest_ms=oldest_ms,
            rejected=rejected,
            last_rejected=_left_out(database, _REJECTED),
            set_aside=set_aside,
            last_set_aside=_left_out(database, _SET_ASIDE) if set_aside else (),
            why=read_reason(database),
        )


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """For reading: all that is read is of one moment."""
    with closing(sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True)) as database:
        database.execute("BEGIN")
        yield database


def _counted(database: sqlite3.Connection) -> tuple[int, int, int | None, int]:
    """Requests and bytes that wait, since when the first does, and what is set aside.

    A table that is not there is of a later release than the adapter's.
    """
    entries, size = database.execute("SELECT entries, bytes FROM totals").fetchone()
    oldest = database.execute("SELECT queued_ms FROM queue ORDER BY position LIMIT 1").fetchone()
    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    events, events_size, registrations = 0, 0, 0
    if "events_aside" in tables:
        of_events = "SELECT count(*), total(length(request)) FROM events_aside"
        events, events_size = database.execute(of_events).fetchone()
    if "set_aside" in tables:
        (registrations,) = database.execute("SELECT count(*) FROM set_aside").fetchone()
    # The totals have the events that are aside too.
    waiting = entries - events, size - round(events_size)
    return *waiting, None if oldest is None else oldest[0], events + registrations


def _left_out(database: sqlite3.Connection, query: str) -> tuple[LeftOut, ...]:
    rows = database.execute(query, (_LAST,)).fetchall()
    return tuple(LeftOut(_what(request), reason, at_ms) for _, request, reason, at_ms in rows)


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
