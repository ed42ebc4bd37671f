"""Logs of channels that were set aside, as keys of another type: which of them name a registration."""

from collections.abc import Collection, Iterator
from typing import Any

from webrtc_events.store.keys import Partition, set_aside_key
from webrtc_events.store.redis.scripts import Client, WrongType, store_errors
from webrtc_events.store.scans import PAGE, oldest_first, pages_of_keys

__all__ = ["set_aside_logs"]

_STEP_BYTES = 65_536


def set_aside_logs(client: Client, partition: Partition, names: Collection[str]) -> list[str]:
    """The keys in which one of these stands anywhere: what is in such a key has no form that is known."""
    pages = pages_of_keys(client, set_aside_key(partition.channel_log("*")))
    keys = sorted({key for page in pages for key in page})
    return [key for key in keys if any(name in text for text in _texts(client, key) for name in names)]


def _texts(client: Client, key: str) -> Iterator[str]:
    """All that is in it, some at once, so that others are not held up. Of another type nothing is known."""
    try:
        with store_errors():
            kind = client.type(key)
        match kind:
            case "string":
                yield from _of_string(client, key)
            case "list":
                yield from _of_list(client, key)
            case "set" | "zset" | "hash":
                yield from _of_scan(client, key, f"{kind[0]}scan")
            case "stream":
                for page in oldest_first(client, key):
                    yield from (text for _, fields in page for pair in fields.items() for text in pair)
    except WrongType:
        # It was dropped, and made anew, meanwhile.
        return


def _of_string(client: Client, key: str) -> Iterator[str]:
    """Each with the end of the one before, so that no name is cut."""
    start, before = 0, ""
    while True:
        with store_errors():
            text: str = client.getrange(key, start, start + _STEP_BYTES - 1)
        if not text:
            return
        yield before + text
        start, before = start + _STEP_BYTES, text[-_STEP_BYTES // 64 :]


def _of_list(client: Client, key: str) -> Iterator[str]:
    start = 0
    while True:
        with store_errors():
            texts: list[str] = client.lrange(key, start, start + PAGE - 1)
        if not texts:
            return
        yield from texts
        start += PAGE


def _of_scan(client: Client, key: str, command: str) -> Iterator[str]:
    cursor = 0
    while True:
        with store_errors():
            cursor, found = getattr(client, command)(key, cursor, count=PAGE)
        yield from _flat(found)
        if not cursor:
            return


def _flat(found: Any) -> Iterator[str]:
    """Members of a set; fields and values of a hash; members of a sorted set, with their scores."""
    if isinstance(found, dict):
        for field, value in found.items():
            yield from (field, value)
    else:
        for member in found:
            yield member if isinstance(member, str) else str(member[0])
