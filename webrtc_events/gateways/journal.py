"""What an adapter must not lose, in one SQLite file: its queue, its state, which inputs it has seen.

A transaction is durable when it ends (WAL, synchronous=FULL), or nothing of it is there. So an adapter that
is killed at any moment either has worked on an input, with all that follows from it, or has not.
"""

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from webrtc_events.core.clock import Clock
from webrtc_events.core.start_faults import CannotStart
from webrtc_events.gateways.journal_entries import Entry, Rejected, decoded, encoded, registration_of
from webrtc_events.gateways.network_requests import NetworkRequest, PutRegistration
from webrtc_events.gateways.set_aside import SCHEMA, keep_aside, supersede

__all__ = ["DEFAULT_LIMITS", "Journal", "JournalLimits", "JournalUnwritable", "QueueFull", "Transaction"]

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
_LAST_CHARACTER: Final = chr(0x10FFFF)
_MAX_LOOKAHEAD: Final = 1_000
# Of 4 KiB each. With so few at once the write-ahead log stays small; a queue of 1 GiB is gone in two hours.
_PAGES_AT_ONCE: Final = 1_000
_MAX_FREED_PAGES: Final = 25_000


class QueueFull(Exception):
    """Nothing was kept: what waits for the service has reached a limit. The text says which."""


class JournalUnwritable(Exception):
    """Nothing was kept: the disk is full, or broken. The text says which."""


@dataclass(frozen=True, slots=True)
class JournalLimits:
    """`max_entries` and `max_bytes` bound the queue; `seen_ms`: how long an input is remembered.

    `max_rejected` bounds what was rejected, of which the oldest go. `min_free_bytes` of the disk are left: on
    a disk that the queue itself has filled, what was sent could not be taken out of it any more.
    """

    max_entries: int = 1_000_000
    max_bytes: int = 1 << 30
    max_rejected: int = 10_000
    seen_ms: int = 2 * 3600 * 1000
    min_free_bytes: int = 16 << 20


DEFAULT_LIMITS: Final = JournalLimits()


class Transaction:
    """What a `Journal.transaction` may do; not to be used after its end."""

    def __init__(self, database: sqlite3.Connection, limits: JournalLimits, now_ms: int) -> None:
        self._database = database
        self._limits = limits
        self.now_ms = now_ms

    def append(self, requests: "list[NetworkRequest] | tuple[NetworkRequest, ...]") -> None:
        """To the end of the queue.

        Raises:
            QueueFull: there is no room for all of them; the transaction must end by it.
        """
        if not requests:
            return
        rows = [(encoded(request), self.now_ms, registration_of(request)) for request in requests]
        size = sum(len(row[0]) for row in rows)
        limits, execute = self._limits, self._database.execute
        entries, size_before = execute("SELECT entries, bytes FROM totals").fetchone()
        if entries + len(rows) > limits.max_entries:
            raise QueueFull(f"{entries} requests wait for the service; the limit is {limits.max_entries}")
        if size_before + size > limits.max_bytes:
            raise QueueFull(f"{size_before} bytes wait for the service; the limit is {limits.max_bytes}")
        self._database.executemany(
            "INSERT INTO queue (request, queued_ms, registration) VALUES (?, ?, ?)", rows
        )
        execute("UPDATE totals SET entries = entries + ?, bytes = bytes + ?", (len(rows), size))

    def is_new(self, fingerprint: bytes) -> bool:
        """Whether no transaction has asked for this input before; from now on one has."""
        done = self._database.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (fingerprint, self.now_ms))
        return done.rowcount == 1

    def get(self, kind: str, key: str) -> bytes | None:
        """A record of the adapter's state; None: there is none."""
        row = self._database.execute(
            "SELECT value FROM state WHERE kind = ? AND key = ?", (kind, key)
        ).fetchone()
        return None if row is None else bytes(row[0])

    def put(self, kind: str, key: str, value: bytes) -> None:
        self._database.execute(
            "INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?)", (kind, key, value, self.now_ms)
        )

    def remove(self, kind: str, key: str) -> None:
        self._database.execute("DELETE FROM state WHERE kind = ? AND key = ?", (kind, key))

    def items(self, kind: str, prefix: str = "") -> list[tuple[str, bytes]]:
        """All records of a kind whose keys begin so, by key."""
        rows = self._database.execute(
            "SELECT key, value FROM state WHERE kind = ? AND key >= ? AND key < ? ORDER BY key",
            (kind, prefix, prefix + _LAST_CHARACTER),
        )
        return [(key, bytes(value)) for key, value in rows]

    def untouched(self, kind: str, for_ms: int, limit: int = 1000) -> list[tuple[str, bytes]]:
        """Records that nobody has put for so long, the oldest first."""
        rows = self._database.execute(
            "SELECT key, value FROM state WHERE kind = ? AND changed_ms <= ? ORDER BY changed_ms LIMIT ?",
            (kind, self.now_ms - for_ms, limit),
        )
        return [(key, bytes(value)) for key, value in rows]


class Journal:
    """One file, and one process that has it open. Safe for threads: one transaction at a time."""

    def __init__(self, path: Path, clock: Clock, limits: JournalLimits | None = None) -> None:
        """
        Raises:
            CannotStart: the file cannot be opened, is that of a newer release, or of a process that runs.
        """
        self._path = path
        self._clock = clock
        self._limits = JournalLimits() if limits is None else limits
        self._lock = threading.Lock()
        self._held = _hold(path)
        try:
            self._database = _open(path)
        except BaseException:
            self._held.close()
            raise
        self.appended = threading.Event()
        """Set after each transaction: there may be something to send."""

    def belong_to(self, adapter: str) -> None:
        """From now on only that kind of adapter reads the state.

        Raises:
            CannotStart: the state is that of another kind.
        """
        try:
            with self._writing() as transaction:
                found = transaction.get("adapter", "name")
                if found is None:
                    transaction.put("adapter", "name", adapter.encode())
        except JournalUnwritable as error:
            raise CannotStart(f"--queue {error}") from error
        if found is not None and found.decode() != adapter:
            raise CannotStart(
                f"--queue {self._path}: it is that of gateway {found.decode()}; name another file"
            )

    def close(self) -> None:
        with self._lock:
            self._database.close()
            self._held.close()

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Durable when the block has ended; an exception undoes all of it.

        Raises:
            QueueFull: see `Transaction.append`.
            JournalUnwritable: of whatever the block did, nothing is kept.
        """
        self._leave_room()
        with self._writing() as transaction:
            yield transaction
        self.appended.set()

    @contextmanager
    def _writing(self) -> Iterator[Transaction]:
        """A transaction that may use the last of the disk."""
        with self._lock:
            try:
                self._database.execute("BEGIN IMMEDIATE")
                yield Transaction(self._database, self._limits, round(self._clock.now() * 1000))
                self._database.execute("COMMIT")
            except sqlite3.Error as error:
                raise JournalUnwritable(f"{self._path}: {error}") from error
            finally:
                # What has been committed is no longer in a transaction.
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")

    def _leave_room(self) -> None:
        disk = os.statvfs(self._path)
        free = disk.f_bavail * disk.f_frsize
        if free < self._limits.min_free_bytes:
            raise JournalUnwritable(
                f"{self._path}: the disk has {free >> 20} MiB free; "
                f"the last {self._limits.min_free_bytes >> 20} are left for taking out what was sent"
            )

    def head(self, max_entries: int) -> list[Entry]:
        """The oldest requests of the queue, in order.

        Raises:
            JournalUnwritable: the file cannot be read either.
        """
        rows = self._rows(
            "SELECT position, request, queued_ms FROM queue ORDER BY position LIMIT ?", max_entries
        )
        return [
            Entry(position, decoded(request), queued_ms, len(request))
            for position, request, queued_ms in rows
        ]

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock:
            try:
                return self._database.execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise JournalUnwritable(f"{self._path}: {error}") from error

    def newest_put(self, entry: Entry) -> PutRegistration | None:
        """What the queue's last PUT of the entry's registration says, before its end or deletion.

        None: the entry is the last. A PUT that has waited may have run out, though it was renewed since.
        """
        if not isinstance(entry.request, PutRegistration):
            return None
        newest = None
        rows = self._rows(
            "SELECT request FROM queue WHERE registration = ? AND position > ? ORDER BY position LIMIT ?",
            *(entry.request.registration_id, entry.position, _MAX_LOOKAHEAD),
        )
        for (written,) in rows:
            request = decoded(written)
            if not isinstance(request, PutRegistration):
                break
            newest = request
        return newest

    def settle(self, done: list[Entry], rejected: list[Rejected]) -> None:
        """Takes what was answered out of the queue; what was rejected is kept beside it.

        Raises:
            JournalUnwritable: nothing was taken out.
        """
        with self._writing() as transaction:
            database = transaction._database
            for entry in (*done, *(one.entry for one in rejected)):
                _take_out(database, entry)
            for entry in done:
                supersede(database, entry)
            for one in rejected:
                database.execute(
                    "INSERT OR REPLACE INTO rejected VALUES (?, ?, ?, ?)",
                    (one.entry.position, encoded(one.entry.request), one.reason, transaction.now_ms),
                )
            if rejected:
                database.execute(
                    "DELETE FROM rejected WHERE position NOT IN "
                    "(SELECT position FROM rejected ORDER BY position DESC LIMIT ?)",
                    (self._limits.max_rejected,),
                )

    def set_aside(self, entry: Entry, reason: str) -> None:
        """Takes a request of a registration out of the queue; it may be brought back.

        Raises:
            JournalUnwritable: it is still in the queue.
        """
        with self._writing() as transaction:
            database = transaction._database
            _take_out(database, entry)
            keep_aside(database, entry, reason, transaction.now_ms, self._limits.max_rejected)

    def forget_inputs(self) -> None:
        """Drops what is known of inputs that no gateway repeats any more. To be called now and then.

        What became empty of the file goes back to the disk, some at a time.

        Raises:
            JournalUnwritable: the next call does it.
        """
        with self._writing() as transaction:
            transaction._database.execute(
                "DELETE FROM seen WHERE seen_ms < ?", (transaction.now_ms - self._limits.seen_ms,)
            )
        for _ in range(_MAX_FREED_PAGES // _PAGES_AT_ONCE):
            if not self._rows("PRAGMA freelist_count")[0][0]:
                return
            self._free_pages()

    def _free_pages(self) -> None:
        with self._lock:
            try:
                # `execute` would free one page: it is a step each, and has no rows.
                self._database.executescript(f"PRAGMA incremental_vacuum({_PAGES_AT_ONCE})")
            except sqlite3.Error as error:
                raise JournalUnwritable(f"{self._path}: {error}") from error


def _take_out(database: sqlite3.Connection, entry: Entry) -> None:
    gone = database.execute("DELETE FROM queue WHERE position = ?", (entry.position,)).rowcount
    database.execute("UPDATE totals SET entries = entries - ?, bytes = bytes - ?", (gone, gone * entry.size))


def _hold(path: Path) -> IO[bytes]:
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


def _open(path: Path) -> sqlite3.Connection:
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
        database.execute(SCHEMA)
    except OSError as error:
        raise CannotStart(f"--queue {path}: {error.strerror}") from error
    except sqlite3.Error as error:
        raise CannotStart(f"--queue {path}: {error}; is it a queue of an adapter?") from error
    return database
