"""The store's time as processes see it, shifted while they run.

Every script gets `offset_ms`, which the service sets once, at its start, and to 0. In a process
that calls `turn_store` it follows a dial.
"""

from typing import Any

from tests.chaos.dials import Dials
from webrtc_events.store.redis.scripts import Scripts

__all__ = ["turn_store"]


class _Offset:
    """In place of the attribute that holds the scripts' offset."""

    def __init__(self, dials: Dials) -> None:
        self._dials = dials

    def __set__(self, scripts: Scripts, offset_ms: int) -> None:
        pass

    def __get__(self, scripts: Scripts, _: Any = None) -> int:
        return round(self._dials.time_s * 1000)


def turn_store(dials: Dials) -> None:
    """For every store that this process opens from now on."""
    Scripts.offset_ms = _Offset(dials)  # type: ignore[assignment]
