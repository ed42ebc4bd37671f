"""Events that the service refuses though it takes others, with all that follows them in their sessions.

The order of a session is kept: once an event of it is set aside, each later one goes aside too, until all
are brought back. They count as what waits, so nothing is dropped to make room for others.
"""

import sqlite3
from collections.abc import Collection, Sequence
from typing import Final

from webrtc_events.gateways.journal_entries import Entry, session_of

__all__ = [
    "FOLLOWS",
    "SCHEMA",
    "any_aside",
    "bring_events_back",
    "end_old_events",
    "keep_event_aside",
    "sessions_aside",
]

SCHEMA: Final = (
    """
CREATE TABLE IF NOT EXISTS events_aside (
  position INTEGER PRIMARY KEY, session TEXT NOT NULL, request BLOB NOT NULL, reason TEXT NOT NULL,
  set_aside_ms INTEGER NOT NULL
)
""",
    "CREATE INDEX IF NOT EXISTS events_aside_by_session ON events_aside (session)",
)
"""A release that does not know the table leaves it alone."""

FOLLOWS: Final = ""
"""The reason of what was not refused itself, but follows in its session."""


def any_aside(database: sqlite3.Connection) -> bool:
    return database.execute("SELECT 1 FROM events_aside LIMIT 1").fetchone() is not None


def sessions_aside(database: sqlite3.Connection, sessions: Collection[str]) -> set[str]:
    """Those of which something is aside. Within a transaction, where the answer is to last."""
    found = "SELECT 1 FROM events_aside WHERE session = ? LIMIT 1"
    return {session for session in sessions if session and database.execute(found, (session,)).fetchone()}


def keep_event_aside(database: sqlite3.Connection, entry: Entry, reason: str, now_ms: int) -> bool:
    """Within a transaction: out of the queue, but not out of its totals. False: it was not there."""
    if not database.execute("DELETE FROM queue WHERE position = ?", (entry.position,)).rowcount:
        return False
    database.execute(
        "INSERT INTO events_aside VALUES (?, ?, ?, ?, ?)",
        (entry.position, session_of(entry.request), entry.written, reason, now_ms),
    )
    return True


def bring_events_back(database: sqlite3.Connection, now_ms: int) -> int:
    """Within a transaction: each to its former place, and as if it were new. Returns how many."""
    database.execute(
        "INSERT INTO queue (position, request, queued_ms) SELECT position, request, ? FROM events_aside",
        (now_ms,),
    )
    return database.execute("DELETE FROM events_aside").rowcount


def end_old_events(database: sqlite3.Connection, before_ms: int, limit: int) -> list[tuple[int, bytes]]:
    """Within a transaction: whole sessions whose first event was set aside before then; position, request.

    At most `limit` events, and the sessions that they are of.
    """
    old = database.execute(
        "SELECT position, session FROM events_aside WHERE set_aside_ms < ? ORDER BY position LIMIT ?",
        (before_ms, limit),
    ).fetchall()
    ended: list[tuple[int, bytes]] = []
    for session in {session for _, session in old if session}:
        ended += database.execute(
            "DELETE FROM events_aside WHERE session = ? RETURNING position, request", (session,)
        ).fetchall()
    ended += _alone(database, [position for position, session in old if not session])
    count, size = len(ended), sum(len(request) for _, request in ended)
    database.execute("UPDATE totals SET entries = entries - ?, bytes = bytes - ?", (count, size))
    return ended


def _alone(database: sqlite3.Connection, positions: Sequence[int]) -> list[tuple[int, bytes]]:
    """Events of no session."""
    ended: list[tuple[int, bytes]] = []
    for position in positions:
        ended += database.execute(
            "DELETE FROM events_aside WHERE position = ? RETURNING position, request", (position,)
        ).fetchall()
    return ended
