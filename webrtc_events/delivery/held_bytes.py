"""The bytes of events that a worker holds: those claimed and not settled yet. Pure."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Self

from webrtc_events.core.model import Claim
from webrtc_events.core.settings import Settings

__all__ = ["HeldBytes", "HeldLimits"]


@dataclass(frozen=True, slots=True)
class HeldLimits:
    """Bytes: of all that is held, of what one partition is asked for at once, of one event."""

    worker: int
    claim: int
    event: int

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(settings.worker_bytes, settings.claim_bytes, settings.event_bytes)


class HeldBytes:
    """Who holds how much. A partition is asked for enough bytes that the largest event fits."""

    def __init__(self, limits: HeldLimits) -> None:
        self._limits = limits
        self._held: dict[Hashable, int] = {}
        self._total = 0

    def take(self, holder: Hashable, claim: Claim) -> None:
        self._held[holder] = _size_of(claim)
        self._total += self._held[holder]

    def give(self, *holders: Hashable) -> None:
        """May be repeated."""
        for holder in holders:
            self._total -= self._held.pop(holder, 0)

    @property
    def partitions(self) -> int:
        """How many partitions may be asked at once; one at least if nothing is held."""
        room = max(0, self._limits.worker - self._total) // self._limits.event
        return room if self._held else max(1, room)

    def share(self, partitions: int) -> int:
        """How many bytes each of the partitions is asked for."""
        return min(self._limits.claim, (self._limits.worker - self._total) // partitions)

    def may_be_cut(self, share: int, found: Iterable[Claim]) -> bool:
        """Whether a partition that was asked for `share` and gave these may have had more to give."""
        return sum(map(_size_of, found)) + self._limits.event > share


def _size_of(claim: Claim) -> int:
    """Payloads are ASCII, so a character is a byte."""
    return sum(len(item.payload) for item in claim.items)
