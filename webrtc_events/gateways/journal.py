"""What an adapter must not lose, in one SQLite file: its queue, its state, which inputs it has seen.

A transaction is durable when it ends (WAL, synchronous=FULL), or nothing of it is there. So an adapter that
is killed at any moment either has worked on an input, with all that follows from it, or has not.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

from webrtc_events.core.clock import Clock
from webrtc_events.core.start_faults import CannotStart
from webrtc_events.gateways.clock_jumps import ClockJumps, follow_clock
from webrtc_events.gateways.events_aside import (
    FOLLOWS,
    any_aside,
    end_old_events,
    keep_event_aside,
    sessions_aside,
)
from webrtc_events.gateways.journal_entries import (
    Entry,
    Rejected,
    encoded,
    registration_of,
    session_of,
)
from webrtc_events.gateways.journal_file import hold, open_queue
from webrtc_events.gateways.network_requests import NetworkRequest, PutRegistration
from webrtc_events.gateways.rejections import keep_rejected
from webrtc_events.gateways.set_aside import keep_aside, supersede
from webrtc_events.gateways.waiting_reason import WaitingReason, write_reason

__all__ = ["DEFAULT_LIMITS", "Journal", "JournalLimits", "JournalUnwritable", "QueueFull", "Transaction"]

_LAST_CHARACTER: Final = chr(0x10FFFF)
_MAX_LOOKAHEAD: Final = 1_000
# Of 4 KiB each. With so few at once the write-ahead log stays small; a queue of 1 GiB is gone in two hours.
_PAGES_AT_ONCE: Final = 1_000
_MAX_FREED_PAGES: Final = 25_000
_DAY_MS: Final = 24 * 3600 * 1000
_MAX_ENDED: Final = 1_000


class QueueFull(Exception):
    """Nothing was kept: what waits for the service has reached a limit. The text says which."""


class JournalUnwritable(Exception):
    """Nothing was kept: the disk is full, or broken. The text says which."""


@dataclass(frozen=True, slots=True)
class JournalLimits:
    """`max_entries` and `max_bytes` bound the queue, with events of it that are set aside, and `aside_ms` how
    long those are; `seen_ms`: how long an input is remembered.

    `max_rejected` bounds what was rejected, of which the oldest go. `min_free_bytes` of the disk are left: on
    a disk that the queue itself has filled, what was sent could not be taken out of it any more.
    """

    max_entries: int = 1_000_000
    max_bytes: int = 1 << 30
    max_rejected: int = 10_000
    seen_ms: int = 2 * 3600 * 1000
    aside_ms: int = 7 * _DAY_MS
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
        self._jumps = ClockJumps(clock)
        self._held = hold(path)
        try:
            self._database = open_queue(path)
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
        with self._locked() as database:
            follow_clock(database, self._jumps)
            database.execute("BEGIN IMMEDIATE")
            yield Transaction(database, self._limits, round(self._clock.now() * 1000))
            database.execute("COMMIT")

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
        # Of one moment: another process may bring back what was set aside.
        with self._locked() as database:
            follow_clock(database, self._jumps)
            database.execute("BEGIN")
            rows = database.execute(
                "SELECT position, request, queued_ms FROM queue ORDER BY position LIMIT ?", (max_entries,)
            ).fetchall()
            entries = [Entry(*row) for row in rows]
            positions = {entry.position for entry in _following(database, entries)}
        if not positions:
            return entries
        return [replace(entry, follows=entry.position in positions) for entry in entries]

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self._locked() as database:
            return database.execute(query, values).fetchall()

    @contextmanager
    def _locked(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._database
            except sqlite3.Error as error:
                raise JournalUnwritable(f"{self._path}: {error}") from error
            finally:
                # What has been committed is no longer in a transaction.
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")

    def later_puts(self, entry: Entry) -> list[Entry]:
        """Renewals of the entry's registration that wait behind it, before its end or deletion.

        The last of them says what a PUT says now: one that has waited may have run out.
        """
        if not isinstance(entry.request, PutRegistration):
            return []
        rows = self._rows(
            "SELECT position, request, queued_ms FROM queue WHERE registration = ? AND position > ? "
            "ORDER BY position LIMIT ?",
            *(entry.request.registration_id, entry.position, _MAX_LOOKAHEAD),
        )
        return list(
            takewhile(lambda later: isinstance(later.request, PutRegistration), (Entry(*row) for row in rows))
        )

    def settle(self, done: list[Entry], rejected: list[Rejected]) -> None:
        """Takes what was answered out of the queue; what was rejected is kept beside it.

        Raises:
            JournalUnwritable: nothing was taken out.
        """
        with self._writing() as transaction:
            database = transaction._database
            _take_out(database, [*done, *(one.entry for one in rejected)])
            for entry in done:
                supersede(database, entry)
            keep_rejected(
                database,
                [(one.entry.position, one.entry.written, one.reason) for one in rejected],
                transaction.now_ms,
                self._limits.max_rejected,
            )

    def set_aside(self, entry: Entry, reason: str) -> None:
        """Takes a request out of the queue; it may be brought back.

        Raises:
            JournalUnwritable: it is still in the queue.
        """
        with self._writing() as transaction:
            database = transaction._database
            if registration_of(entry.request) is None:
                keep_event_aside(database, entry, reason, transaction.now_ms)
            else:
                _take_out(database, [entry])
                keep_aside(database, entry, reason, transaction.now_ms, self._limits.max_rejected)

    def set_followers_aside(self, entries: list[Entry]) -> int:
        """Those of which something before them is aside still. Returns how many went there.

        Raises:
            JournalUnwritable: all are still in the queue.
        """
        with self._writing() as transaction:
            database, now_ms = transaction._database, transaction.now_ms
            following = _following(database, entries)
            return sum(keep_event_aside(database, entry, FOLLOWS, now_ms) for entry in following)

    def explain(self, reason: WaitingReason | None) -> None:
        """Why the queue waits, for whoever looks at it; None: it does not.

        Raises:
            JournalUnwritable: it says what it said before.
        """
        with self._writing() as transaction:
            write_reason(transaction._database, reason, transaction.now_ms)

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
            self._end_old_events(transaction)
        for _ in range(_MAX_FREED_PAGES // _PAGES_AT_ONCE):
            if not self._rows("PRAGMA freelist_count")[0][0]:
                return
            self._free_pages()

    def _end_old_events(self, transaction: Transaction) -> None:
        """What is aside for so long that nobody has use for it any more is rejected."""
        database, now_ms = transaction._database, transaction.now_ms
        reason = f"was set aside for more than {self._limits.aside_ms // _DAY_MS} days"
        ended = end_old_events(database, now_ms - self._limits.aside_ms, _MAX_ENDED)
        rows = [(position, request, reason) for position, request in ended]
        keep_rejected(database, rows, now_ms, self._limits.max_rejected)

    def _free_pages(self) -> None:
        with self._locked() as database:
            # `execute` would free one page: it is a step each, and has no rows.
            database.executescript(f"PRAGMA incremental_vacuum({_PAGES_AT_ONCE})")


def _take_out(database: sqlite3.Connection, entries: list[Entry]) -> None:
    count = size = 0
    for entry in entries:
        # One of a registration may have gone with a later one.
        gone = database.execute("DELETE FROM queue WHERE position = ?", (entry.position,)).rowcount
        count, size = count + gone, size + gone * entry.size
    database.execute("UPDATE totals SET entries = entries - ?, bytes = bytes - ?", (count, size))


def _following(database: sqlite3.Connection, entries: list[Entry]) -> list[Entry]:
    """Those that follow what is aside of their session. Within a transaction."""
    if not any_aside(database):
        return []
    sessions = {session_of(entry.request) for entry in entries if entry.is_event}
    aside = sessions_aside(database, sessions)
    return [entry for entry in entries if entry.is_event and session_of(entry.request) in aside]
