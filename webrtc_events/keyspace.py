"""Walks over the names of keys, for the few commands that look at the whole store."""

from collections.abc import Iterator
from itertools import islice

from webrtc_events.scripts import Client, store_errors

__all__ = ["pages_of_keys"]

# How many keys the store looks at in one step, which is some 0.2 ms of its time.
_STEP = 500


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
