"""The dead letters of a store, as a verdict takes them."""

import json
from collections.abc import Iterable, Mapping

import redis

from tests.chaos.verdict import END
from webrtc_events.store.keys import Partition

__all__ = ["by_event", "dead_letter_fields"]


def dead_letter_fields(client: "redis.Redis", partitions: int) -> list[Mapping[str, str]]:
    """The fields of all dead letters."""
    streams = [client.xrange(Partition(number).dead) for number in range(partitions)]
    return [fields for stream in streams for _, fields in stream]


def by_event(fields_of_all: Iterable[Mapping[str, str]]) -> dict[tuple[str, int], str]:
    """The reason of each, by subscription and event."""
    return {
        (fields["subscription"], _event_of(fields["entry"])): fields["reason"] for fields in fields_of_all
    }


def _event_of(entry: str) -> int:
    """Of an entry in an outbox, see lua/shared/common.lua."""
    head, _, payload = entry.partition("\n")
    is_end = head.split(" ")[1] == "1"
    return END if is_end else int(json.loads(payload)["data"]["sequenceNumber"])
