"""A memory in a file, for the processes of one machine: it outlives them."""

import sqlite3
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from webrtc_events_client.consumer.memory import Claim, ClaimState, Event, check_times

__all__ = ["SqliteMemory"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS webrtc_events_seen (
    key TEXT PRIMARY KEY, at REAL NOT NULL, ticket TEXT NOT NULL, is_done INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS webrtc_events_seen_at ON webrtc_events_seen (at);
CREATE TABLE IF NOT EXISTS webrtc_events_newest (
    line TEXT PRIMARY KEY, at REAL NOT NULL, number TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS webrtc_events_newest_at ON webrtc_events_newest (at);
"""
_PURGE_S = 60
_BUSY_S = 5


class SqliteMemory:
    """A separate database, or one that you have: its tables begin with `webrtc_events_`.

    Errors of the database, as of a disk that is full, are raised: the service then sends the event again.

    Args:
        path: of the file, on a local file system: SQLite's write-ahead log does not work over a network.
        remember_s, lease_s: see `InMemory`.

    Raises:
        ValueError: `remember_s` is so short that a signature holds for longer.
        sqlite3.Error: it cannot be opened, or is no database.
    """

    def __init__(self, path: str | Path, *, remember_s: float = 172_800, lease_s: float = 60) -> None:
        check_times(remember_s)
        self._remember_s = remember_s
        self._lease_s = lease_s
        self._purged_at = float("-inf")
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            self._database.execute("PRAGMA journal_mode = WAL")
            # A power failure may forget the last moments, after which the service repeats nothing.
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.executescript(_SCHEMA)
        except BaseException:
            self._database.close()
            raise

    def close(self) -> None:
        with self._lock:
            self._database.close()

    def begin(self, event: Event, now: float) -> Claim:
        with self._transaction() as run:
            self._purge(run, now)
            row = run.execute(
                "SELECT at, is_done FROM webrtc_events_seen WHERE key = ?", (event.key,)
            ).fetchone()
            if row is not None:
                at, is_done = row
                if is_done and now - at < self._remember_s:
                    return Claim(event, ClaimState.DONE)
                if not is_done and at + self._lease_s > now:
                    return Claim(event, ClaimState.RUNNING)
            ticket = uuid.uuid4().hex
            run.execute(
                "INSERT OR REPLACE INTO webrtc_events_seen VALUES (?, ?, ?, 0)", (event.key, now, ticket)
            )
            newest = _newest(run, event.line)
            return Claim(event, ClaimState.NEW, ticket, newest is not None and event.number < newest)

    def done(self, claim: Claim, now: float) -> None:
        event = claim.event
        with self._transaction() as run:
            run.execute(
                "INSERT OR REPLACE INTO webrtc_events_seen VALUES (?, ?, ?, 1)",
                (event.key, now, claim.ticket),
            )
            if event.line:
                newest = _newest(run, event.line)
                number = event.number if newest is None else max(newest, event.number)
                # As text: a sequence number may be larger than SQLite's.
                run.execute(
                    "INSERT OR REPLACE INTO webrtc_events_newest VALUES (?, ?, ?)",
                    (event.line, now, str(number)),
                )

    def abandon(self, claim: Claim) -> None:
        with self._transaction() as run:
            run.execute(
                "DELETE FROM webrtc_events_seen WHERE key = ? AND ticket = ? AND is_done = 0",
                (claim.event.key, claim.ticket),
            )

    def _purge(self, run: sqlite3.Connection, now: float) -> None:
        # Seldom, and by an index. Claims of the dead go with the rest.
        if now - self._purged_at < _PURGE_S:
            return
        before = now - self._remember_s
        run.execute("DELETE FROM webrtc_events_seen WHERE at < ?", (before,))
        run.execute("DELETE FROM webrtc_events_newest WHERE at < ?", (before,))
        self._purged_at = now

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            # At once for writing: two that read first would have to give way to each other.
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")


def _newest(run: sqlite3.Connection, line: str) -> int | None:
    if not line:
        return None
    row = run.execute("SELECT number FROM webrtc_events_newest WHERE line = ?", (line,)).fetchone()
    return None if row is None else int(row[0])
