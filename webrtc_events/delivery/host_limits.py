"""How much one host, and all hosts together, may have of a dispatcher. Pure."""

from dataclasses import dataclass
from typing import Self

from webrtc_events.delivery.shares import SHARE

__all__ = ["HostLimits"]

_PERMITS = 2048


@dataclass(frozen=True, slots=True)
class HostLimits:
    """`in_flight` and `connections` are of one host; `permits`, `waiting` and `hosts` of all together."""

    in_flight: int = 64
    connections: int = 64
    permits: int = _PERMITS
    waiting: int = 1024
    hosts: int = 20_000

    @classmethod
    def of(cls, in_flight: int, connections: int, descriptors: int) -> Self:
        """With enough permits for one host to have `in_flight`, in a process with that many descriptors."""
        wanted = max(_PERMITS, 2 * SHARE * in_flight)
        return cls(in_flight, connections, permits=max(1, min(wanted, descriptors // 2)))
