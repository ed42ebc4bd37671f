"""What waits to be delivered, in figures that take the store a moment, however much there is."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final

from webrtc_events.core.errors import Unavailable
from webrtc_events.store.connection import Connection
from webrtc_events.store.keys import Partition
from webrtc_events.store.redis.scripts import Call, is_wrong_type, store_errors

__all__ = ["MAX_LOOKED_AT", "Backlog", "HostWaiting", "Waiting", "shared_out"]

MAX_LOOKED_AT: Final = 1000
"""Of how many subscriptions the outboxes are looked at."""


_MEANWHILE: Final = 16
_AT_ONCE: Final = 120
_PORT = re.compile(r":[0-9]+$")


@dataclass(frozen=True, slots=True)
class HostWaiting:
    """What waits for a host of sinks.

    `oldest_ms`: how long ago the oldest of the events that were looked at was accepted; None: not known.
    """

    subscriptions: int
    events: int
    oldest_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """`subscriptions` have something in their outbox. `events`: how many wait, at least; `exact`: no more do.

    `oldest_ms`: how long ago the oldest of the events that were looked at was accepted. `late_ms`: for how
    long the first of the subscriptions could have been claimed and was not. Both None: nothing waits,
    nothing is late. `bytes`: of the events that were looked at. `hosts`: for whose sinks these wait.
    `dead_letters`: how many are kept. `unreached`: partitions whose node does not answer, of which nothing
    is in the figures; `damaged`: partitions where a key is of another type.
    """

    subscriptions: int = 0
    events: int = 0
    exact: bool = True
    bytes: int = 0
    oldest_ms: int | None = None
    late_ms: int | None = None
    dead_letters: int = 0
    hosts: Mapping[str, HostWaiting] = field(default_factory=dict)
    unreached: int = 0
    damaged: int = 0


class Backlog:
    """Reads only."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def subscriptions(self) -> int:
        """How many have something in their outbox, in the partitions that can be reached.

        Raises:
            Unavailable: none can be.
        """
        return sum(size.due for size in self._sizes() if isinstance(size, _Size))

    def read(self) -> Waiting:
        """
        Raises:
            Unavailable: no partition can be reached.
        """
        sizes = self._sizes()
        known = {number: size for number, size in enumerate(sizes) if isinstance(size, _Size)}
        # A few more may have become due meanwhile.
        wanted = {number: size.due + _MEANWHILE for number, size in known.items() if size.due}
        looked = self._looks(shared_out(MAX_LOOKED_AT, wanted))
        looks = [look for of_partition in looked.values() for look in of_partition]
        subscriptions = sum(
            looked[number][-1].due if number in looked else size.due for number, size in known.items()
        )
        looked_at = sum(look.looked_at for look in looks)
        late_ms = max((look.now_ms - look.first_ms for look in looks if look.first_ms is not None), default=0)
        oldest_ms = [look.now_ms - look.oldest_ms for look in looks if look.oldest_ms is not None]
        return Waiting(
            subscriptions=subscriptions,
            # Whoever was not looked at has one at least.
            events=sum(look.events for look in looks) + max(0, subscriptions - looked_at),
            exact=subscriptions <= looked_at,
            bytes=sum(look.bytes for look in looks),
            oldest_ms=max(0, *oldest_ms) if oldest_ms else None,
            late_ms=late_ms if late_ms > 0 else None,
            dead_letters=sum(size.dead for size in known.values()),
            hosts=_by_host(looks),
            unreached=sum(size is _Missing.UNREACHED for size in sizes),
            damaged=sum(size is _Missing.DAMAGED for size in sizes),
        )

    def _looks(self, shares: Mapping[int, int]) -> "dict[int, list[_Look]]":
        """At that many subscriptions of each partition, of those that can be reached.

        A server runs what comes in one batch before it serves others: a batch takes it a ms or two.
        """
        steps = [
            (number, first, min(_AT_ONCE, share - first))
            for number, share in shares.items()
            for first in range(0, share, _AT_ONCE)
        ]
        found: dict[int, list[_Look]] = {}
        while steps:
            batch, size = [], 0
            while steps and size + steps[0][2] <= _AT_ONCE:
                batch.append(steps.pop(0))
                size += batch[-1][2]
            calls = [
                Call("backlog", [Partition(number).due], "", [first, count]) for number, first, count in batch
            ]
            for (number, *_), raw in zip(batch, self._connection.scripts.run_some(calls), strict=True):
                if not isinstance(raw, Unavailable):
                    found.setdefault(number, []).append(_Look.parse(raw))
        return found

    def _sizes(self) -> "list[_Size | _Missing]":
        """Of each partition, in order."""
        partitions = self._connection.partitions
        pipe = self._connection.client.pipeline()
        for partition in partitions:
            pipe.zcard(partition.due)
            pipe.xlen(partition.dead)
        with store_errors():
            answers = pipe.execute(raise_on_error=False)
            found = [_size(*pair) for pair in zip(answers[::2], answers[1::2], strict=True)]
            if all(size is _Missing.UNREACHED for size in found):
                raise answers[0]
        return found


def shared_out(total: int, wanted: Mapping[int, int]) -> dict[int, int]:
    """What each gets of `total`: what it wants, or as much as any other that wants more."""
    found: dict[int, int] = {}
    left = total
    for place, (number, size) in enumerate(sorted(wanted.items(), key=lambda pair: pair[1])):
        share = min(size, left // (len(wanted) - place))
        found[number] = share
        left -= share
    return {number: share for number, share in found.items() if share}


class _Missing(Enum):
    """Why a partition is in no figure."""

    UNREACHED = auto()
    DAMAGED = auto()


@dataclass(frozen=True, slots=True)
class _Size:
    """How many subscriptions are due in a partition, and how many dead letters it keeps."""

    due: int
    dead: int


def _size(due: Any, dead: Any) -> _Size | _Missing:
    errors = [answer for answer in (due, dead) if isinstance(answer, Exception)]
    if not errors:
        return _Size(due, dead)
    return _Missing.DAMAGED if all(map(is_wrong_type, errors)) else _Missing.UNREACHED


@dataclass(frozen=True, slots=True)
class _Look:
    """What backlog.lua returned of a partition."""

    now_ms: int
    due: int
    first_ms: int | None
    looked_at: int
    events: int
    bytes: int
    oldest_ms: int | None
    hosts: Sequence[Any]

    @classmethod
    def parse(cls, raw: Sequence[Any]) -> "_Look":
        now_ms, due, first_ms, looked_at, events, size, oldest_ms, hosts = raw
        return cls(
            now_ms,
            due,
            first_ms if first_ms >= 0 else None,
            looked_at,
            events,
            size,
            oldest_ms if oldest_ms >= 0 else None,
            hosts,
        )


def _by_host(looks: Sequence[_Look]) -> dict[str, HostWaiting]:
    """By scheme, name and port, as the host limiter of a worker names them."""
    found: dict[str, HostWaiting] = {}
    for look in looks:
        for written, subscriptions, events, accepted_ms in zip(*[iter(look.hosts)] * 4, strict=True):
            host = f"https://{written.lower()}"
            if not _PORT.search(host):
                host += ":443"
            former = found.get(host, HostWaiting(0, 0))
            oldest_ms = former.oldest_ms
            if accepted_ms >= 0:
                oldest_ms = max(oldest_ms or 0, look.now_ms - accepted_ms, 0)
            found[host] = HostWaiting(former.subscriptions + subscriptions, former.events + events, oldest_ms)
    return found
