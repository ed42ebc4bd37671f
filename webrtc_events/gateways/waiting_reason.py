"""Why a queue waits, in its file, so that an operator reads it beside the adapter."""

import json
import sqlite3
from dataclasses import dataclass
from typing import Final

__all__ = ["WaitingReason", "read_reason", "write_reason"]

_KIND: Final = "publisher"
_KEY: Final = "waits"


@dataclass(frozen=True, slots=True)
class WaitingReason:
    """`todo`: what to do about it. `since_ms`: since when the service takes nothing, since the epoch."""

    reason: str
    todo: str
    since_ms: int


def write_reason(database: sqlite3.Connection, reason: WaitingReason | None, now_ms: int) -> None:
    """Within a transaction. None: it does not wait."""
    if reason is None:
        database.execute("DELETE FROM state WHERE kind = ? AND key = ?", (_KIND, _KEY))
        return
    written = json.dumps([reason.reason, reason.todo, reason.since_ms]).encode()
    database.execute("INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?)", (_KIND, _KEY, written, now_ms))


def read_reason(database: sqlite3.Connection) -> WaitingReason | None:
    """
    Raises:
        ValueError: it is damaged.
    """
    row = database.execute("SELECT value FROM state WHERE kind = ? AND key = ?", (_KIND, _KEY)).fetchone()
    return None if row is None else WaitingReason(*json.loads(row[0]))
