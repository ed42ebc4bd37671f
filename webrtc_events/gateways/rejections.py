"""What the service will never take, kept beside the queue to be looked at."""

import sqlite3
from collections.abc import Sequence

__all__ = ["keep_rejected"]


def keep_rejected(
    database: sqlite3.Connection, rejected: Sequence[tuple[int, bytes, str]], now_ms: int, limit: int
) -> None:
    """Within a transaction: position, request and reason of each. Above `limit` the oldest go."""
    if not rejected:
        return
    database.executemany(
        "INSERT OR REPLACE INTO rejected VALUES (?, ?, ?, ?)",
        [(position, request, reason, now_ms) for position, request, reason in rejected],
    )
    database.execute(
        "DELETE FROM rejected WHERE position NOT IN "
        "(SELECT position FROM rejected ORDER BY position DESC LIMIT ?)",
        (limit,),
    )
