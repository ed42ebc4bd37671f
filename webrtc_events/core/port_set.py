"""A set of TCP ports, kept as ranges: one that has nearly all of them is as small as any."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

__all__ = ["PortSet"]


@dataclass(frozen=True, slots=True)
class PortSet:
    """`spans` are the first and the last port of each range, in order, with gaps between them."""

    spans: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, *spans: int | tuple[int, int]) -> Self:
        """Single ports, and ranges of ports, both ends included."""
        return cls(tuple(_merged((span, span) if isinstance(span, int) else span for span in spans)))

    def __contains__(self, port: int) -> bool:
        return any(first <= port <= last for first, last in self.spans)

    def __str__(self) -> str:
        """Such as `443, 1024-65535`."""
        return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in self.spans)


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged
