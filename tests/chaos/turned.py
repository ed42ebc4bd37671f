"""The store's time as processes see it, shifted while they run.

Every script gets `offset_ms`, which the service sets once, at its start, and to 0. In a process
that calls `turn_store` it follows a dial.
"""

import json
from typing import Any

from tests.chaos.dials import Dials
from webrtc_events.store.redis.scripts import Scripts

__all__ = ["turn_store"]


class _Options:
    """In place of the attribute that holds the scripts' options."""

    def __init__(self, dials: Dials) -> None:
        self._dials = dials

    def __set__(self, scripts: Scripts, options: str) -> None:
        scripts.__dict__["own_options"] = json.loads(options)

    def __get__(self, scripts: Scripts, _: Any = None) -> str:
        offset_ms = round(self._dials.time_s * 1000)
        return json.dumps({**scripts.__dict__["own_options"], "offset_ms": offset_ms})


def turn_store(dials: Dials) -> None:
    """For every store that this process opens from now on."""
    Scripts._options = _Options(dials)  # type: ignore[assignment]
