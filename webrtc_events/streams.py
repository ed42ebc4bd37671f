"""Reads the entries of a stream page by page. A key of another type has none; the sweep sets it aside."""

from collections.abc import Iterator
from typing import Any

from webrtc_events.scripts import Client, WrongType, store_errors

__all__ = ["Entry", "newest_first", "oldest_first"]

Entry = tuple[str, dict[str, str]]
"""An entry's id, and its fields."""

PAGE = 100


def newest_first(client: Client, stream: str, since_ms: int = 0) -> Iterator[list[Entry]]:
    last = "+"
    while True:
        page = _entries(client, "xrevrange", stream, last, since_ms, count=PAGE)
        if not page:
            return
        yield page
        last = f"({page[-1][0]}"


def oldest_first(client: Client, stream: str, since_ms: int = 0) -> Iterator[list[Entry]]:
    """Up to the entry that is the last at the start."""
    newest = _entries(client, "xrevrange", stream, count=1)
    if not newest:
        return
    until = newest[0][0]
    first: int | str = since_ms
    while True:
        page = _entries(client, "xrange", stream, first, until, count=PAGE)
        if not page:
            return
        yield page
        first = f"({page[-1][0]}"


def _entries(client: Client, command: str, *args: Any, **options: Any) -> list[Entry]:
    try:
        with store_errors():
            found: list[Entry] = getattr(client, command)(*args, **options)
    except WrongType:
        return []
    return found
