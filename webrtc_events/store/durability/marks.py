"""Finds out whether the store lost what it had: whether marks that were seen are still there.

A mark is written behind what is kept, about once a second while something is, and all processes look at each
other's. A node of the store that is emptied has none of them any more; one that comes back without its latest
writes (an old snapshot, a file that was not synced, a replica that had fallen behind) lacks the latest.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from webrtc_events.core.clock import format_time
from webrtc_events.core.errors import Unavailable
from webrtc_events.store.keys import Partition
from webrtc_events.store.redis.scripts import Call, store_errors
from webrtc_events.store.store import Store

__all__ = ["Loss", "LossKind", "Mark", "Marks", "find_loss"]


class LossKind(StrEnum):
    EMPTIED = "emptied"
    ROLLED_BACK = "rolled back"


@dataclass(frozen=True, slots=True, order=True)
class MarkId:
    """`ms` by the store's time when it was written; `number` among those of that ms."""

    ms: int
    number: int

    @classmethod
    def parse(cls, text: str) -> "MarkId":
        return cls(*map(int, text.split("-")))

    def __str__(self) -> str:
        return f"{self.ms}-{self.number}"


@dataclass(frozen=True, slots=True)
class Mark:
    """`stream` is the random name of the stream that it is in: one that was begun anew has another."""

    stream: str
    id: MarkId


@dataclass(frozen=True, slots=True)
class Answer:
    """What mark.lua returns."""

    latest: Mark
    still_there: bool
    before: MarkId | None
    written: bool
    epoch: str

    @classmethod
    def parse(cls, raw: Sequence[Any]) -> "Answer":
        latest, stream, there, before, written, epoch = raw
        return cls(
            Mark(stream, MarkId.parse(latest)),
            there == 1,
            MarkId.parse(before) if before else None,
            written == 1,
            epoch,
        )


@dataclass(frozen=True, slots=True)
class Loss:
    """A node lost what it had. Of one that was rolled back, what was written by `kept_ms` is there."""

    kind: LossKind
    address: str
    kept_ms: int = 0

    def __str__(self) -> str:
        if self.kind is LossKind.EMPTIED:
            return (
                f"the store was emptied at {self.address}: the subscriptions and events that it held are "
                "gone; subscriptions made from now on work"
            )
        return (
            f"the store at {self.address} came back without its latest writes: subscriptions and events that "
            f"it took after {format_time(self.kept_ms)} may be lost, and deliveries be repeated. Let "
            "gateways publish again what they sent since"
        )


def find_loss(seen: Mark | None, answer: Answer, address: str) -> Loss | None:
    """What was lost if the mark that was seen last is not there. None also if that is not known any more."""
    if seen is None:
        return None
    # First: a mark of the new stream may have been written in the ms of the one that was seen.
    if answer.latest.stream != seen.stream:
        return Loss(LossKind.EMPTIED, address)
    if answer.still_there or answer.before is None:
        # Later marks have pushed it out, and those before it too.
        return None
    return Loss(LossKind.ROLLED_BACK, address, answer.before.ms)


class Marks:
    """For one thread at a time.

    `epochs` change when a node was started anew or another has its place. `refused` are the addresses of
    nodes that do not permit marks, `failing` of those that could not be reached or took no writes: a script
    that may write is refused by a node that takes none, whether it has something to write or not.
    """

    def __init__(self, store: Store) -> None:
        self._client = store.client
        self._scripts = store.scripts
        self._tags = {partition.marks: partition.tag for partition in map(Partition, range(store.partitions))}
        self.epochs: frozenset[tuple[str, str]] = frozenset()
        self.refused: frozenset[str] = frozenset()
        self.failing: frozenset[str] = frozenset()
        self._seen: dict[str, Mark] = {}
        # What `Scripts.kept` was when a node was last marked by this process.
        self._marked = dict.fromkeys(self._tags, store.scripts.kept)

    def check(self) -> list[Loss]:
        """Looks at each node that can be reached, and marks it if this process has had something kept since.

        Raises:
            Unavailable: none can be.
        """
        kept = self._scripts.kept
        with store_errors():
            places = self._client.first_on_each(self._tags)
        calls = [self._call(key, kept) for key in places.values()]
        found = dict(zip(places.items(), self._scripts.run_some(calls), strict=True))
        self.failing = frozenset(
            address for (address, _), raw in found.items() if isinstance(raw, Unavailable)
        )
        reached = {place: raw for place, raw in found.items() if not isinstance(raw, Unavailable)}
        if not reached:
            raise next(iter(found.values()), Unavailable("No node of the store can be reached."))
        self.refused = frozenset(address for (address, _), raw in reached.items() if not raw)
        answers = {place: Answer.parse(raw) for place, raw in reached.items() if raw}
        self.epochs = frozenset((address, answer.epoch) for (address, _), answer in answers.items())
        losses = [
            find_loss(self._seen.get(key), answer, address) for (address, key), answer in answers.items()
        ]
        self._marked |= {key: kept for (_, key), answer in answers.items() if answer.written}
        self._seen |= {key: answer.latest for (_, key), answer in answers.items()}
        return [loss for loss in losses if loss is not None]

    def _call(self, key: str, kept: int) -> Call:
        """Source: lua/mark.lua."""
        seen = "" if key not in self._seen else str(self._seen[key].id)
        wanted = int(kept != self._marked[key])
        return Call("mark", [key], self._tags[key], [seen, wanted, secrets.token_hex(8)])
