"""What one request to a sink may take."""

from dataclasses import dataclass

__all__ = ["SinkLimits"]


@dataclass(frozen=True, slots=True)
class SinkLimits:
    """`total_ms` runs from name resolution to the last byte of the answer.

    `body_ms` is what a body may take to end once the head of the final answer is there.
    """

    connect_ms: int = 3_000
    total_ms: int = 10_000
    body_ms: int = 250
    head_bytes: int = 16_384
    body_bytes: int = 65_536
