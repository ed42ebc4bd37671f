"""Requests of registrations that the service refuses though it takes others: kept beside the queue.

Of a registration only the latest is kept, since it says all. Once the service takes a later request of that
registration, what was set aside is of no more use, and would undo what came after it.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from webrtc_events.core.clock import Clock
from webrtc_events.gateways import events_aside
from webrtc_events.gateways.journal_entries import Entry, registration_of

__all__ = ["SCHEMA", "bring_back", "keep_aside", "supersede"]

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS set_aside (
  registration TEXT PRIMARY KEY, position INTEGER NOT NULL, request BLOB NOT NULL, reason TEXT NOT NULL,
  set_aside_ms INTEGER NOT NULL
)
"""
"""A release that does not know the table leaves it alone."""

_BUSY_S: Final = 10.0


def keep_aside(database: sqlite3.Connection, entry: Entry, reason: str, now_ms: int, limit: int) -> None:
    """Within a transaction. Above `limit` the oldest go."""
    database.execute(
        "INSERT OR REPLACE INTO set_aside VALUES (?, ?, ?, ?, ?)",
        (registration_of(entry.request), entry.position, entry.written, reason, now_ms),
    )
    database.execute(
        "DELETE FROM set_aside WHERE registration NOT IN "
        "(SELECT registration FROM set_aside ORDER BY position DESC LIMIT ?)",
        (limit,),
    )


def supersede(database: sqlite3.Connection, done: Entry) -> None:
    """Within a transaction: the service has taken `done`, so what is earlier of its registration goes.

    That may be in the queue again: `bring_back` does not wait for a request under way.
    """
    registration = registration_of(done.request)
    if registration is None:
        return
    earlier = (registration, done.position)
    database.execute("DELETE FROM set_aside WHERE registration = ? AND position < ?", earlier)
    count, size = database.execute(
        "SELECT count(*), total(length(request)) FROM queue WHERE registration = ? AND position < ?", earlier
    ).fetchone()
    if count:
        database.execute("DELETE FROM queue WHERE registration = ? AND position < ?", earlier)
        database.execute("UPDATE totals SET entries = entries - ?, bytes = bytes - ?", (count, round(size)))


def bring_back(path: Path, clock: Clock) -> int:
    """Into the queue again, each at its former place, from now on for as long as a new one. Returns how many.

    For any process: an adapter that runs with the queue goes on.

    Raises:
        sqlite3.Error: it is no queue, or cannot be written.
    """
    if not os.access(path, os.W_OK):
        raise sqlite3.OperationalError("it may not be written by this user")
    uri = f"{path.absolute().as_uri()}?mode=rw"
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_BUSY_S)) as database:
        # As the adapter has it: what this says is done is done.
        database.execute("PRAGMA synchronous = FULL")
        database.execute("BEGIN IMMEDIATE")
        for statement in (SCHEMA, *events_aside.SCHEMA):
            database.execute(statement)
        now_ms = round(clock.now() * 1000)
        events = events_aside.bring_events_back(database, now_ms)
        count, size = database.execute("SELECT count(*), total(length(request)) FROM set_aside").fetchone()
        database.execute(
            "INSERT INTO queue (position, request, queued_ms, registration) "
            "SELECT position, request, ?, registration FROM set_aside",
            (now_ms,),
        )
        database.execute("DELETE FROM set_aside")
        database.execute("UPDATE totals SET entries = entries + ?, bytes = bytes + ?", (count, round(size)))
        database.execute("COMMIT")
    return int(count) + events
