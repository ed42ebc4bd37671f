"""Reads names of keys, and entries of streams, page by page, so that others are not held up."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from webrtc_events.store.redis.scripts import Client, WrongType, store_errors

__all__ = ["Entry", "newest_first", "oldest_first", "pages_of_keys"]

Entry = tuple[str, dict[str, str]]
"""An entry of a stream: its id, and its fields."""

# How many keys the store looks at in one step, which is some 0.2 ms of its time.
_STEP = 500
PAGE = 100


def pages_of_keys(client: Client, pattern: str) -> Iterator[list[str]]:
    """The keys that are there from start to end and match a glob-style pattern; some may come twice.

    Others are not held up: the store walks in small steps. On a cluster, of every node.
    """
    found = iter(client.scan_iter(match=pattern, count=_STEP))
    while True:
        with store_errors():
            page = list(islice(found, _STEP))
        if not page:
            return
        yield page


def newest_first(
    client: Client, stream: str, since_ms: int = 0, until_ms: int | None = None
) -> Iterator[list[Entry]]:
    """The entries of a stream. A key of another type has none; the sweep sets it aside."""
    last = "+" if until_ms is None else str(until_ms)
    while True:
        page = _entries(client, "xrevrange", stream, last, since_ms, count=PAGE)
        if not page:
            return
        yield page
        last = f"({page[-1][0]}"


def oldest_first(
    client: Client, stream: str, since_ms: int = 0, until_ms: int | None = None
) -> Iterator[list[Entry]]:
    """Up to the entry that is the last at the start."""
    last = "+" if until_ms is None else str(until_ms)
    newest = _entries(client, "xrevrange", stream, last, since_ms, count=1)
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
