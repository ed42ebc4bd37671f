"""The file of an adapter's queue: its tables, and that one process alone has it open."""

import fcntl
import os
import sqlite3
from pathlib import Path
from typing import IO, Final

from webrtc_events.core.start_faults import CannotStart
from webrtc_events.gateways import events_aside, set_aside

__all__ = ["hold", "open_queue"]

_FORMAT: Final = 1
_SCHEMA: Final = """
CREATE TABLE queue (
  position INTEGER PRIMARY KEY AUTOINCREMENT, request BLOB NOT NULL, queued_ms INTEGER NOT NULL,
  registration TEXT
);
CREATE INDEX queue_by_registration ON queue (registration, position) WHERE registration IS NOT NULL;
CREATE TABLE state (
  kind TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, changed_ms INTEGER NOT NULL,
  PRIMARY KEY (kind, key)
) WITHOUT ROWID;
CREATE INDEX state_by_age ON state (kind, changed_ms);
CREATE TABLE seen (fingerprint BLOB PRIMARY KEY, seen_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX seen_by_age ON seen (seen_ms);
CREATE TABLE rejected (
  position INTEGER PRIMARY KEY, request BLOB NOT NULL, reason TEXT NOT NULL, rejected_ms INTEGER NOT NULL
);
CREATE TABLE totals (
  one INTEGER PRIMARY KEY CHECK (one = 1), entries INTEGER NOT NULL, bytes INTEGER NOT NULL
);
INSERT INTO totals VALUES (1, 0, 0)
"""
_BUSY_MS: Final = 5_000


def hold(path: Path) -> IO[bytes]:
    """A lock that ends with the process, so that no two adapters send one queue."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(
            path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
    except OSError as error:
        raise CannotStart(f"--queue {path}: {error.strerror}") from error
    held = os.fdopen(descriptor, "r+b")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        held.close()
        raise CannotStart(
            f"--queue {path}: another adapter runs with this queue; stop it, or name another file"
        ) from error
    return held


def open_queue(path: Path) -> sqlite3.Connection:
    try:
        # People's addresses are in it.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        database.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
        # Of a new file, before anything is in it.
        database.execute("PRAGMA auto_vacuum = INCREMENTAL")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        found = database.execute("PRAGMA user_version").fetchone()[0]
        if found > _FORMAT:
            raise CannotStart(f"--queue {path}: a newer release keeps it; run the adapter of that release")
        if found == 0:
            database.execute("BEGIN IMMEDIATE")
            for statement in _SCHEMA.split(";"):
                database.execute(statement)
            database.execute(f"PRAGMA user_version = {_FORMAT}")
            database.execute("COMMIT")
        for statement in (set_aside.SCHEMA, *events_aside.SCHEMA):
            database.execute(statement)
    except OSError as error:
        raise CannotStart(f"--queue {path}: {error.strerror}") from error
    except sqlite3.Error as error:
        raise CannotStart(f"--queue {path}: {error}; is it a queue of an adapter?") from error
    return database
