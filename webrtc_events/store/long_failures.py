"""Subscriptions whose sinks have failed for long, as settles say, until somebody takes them."""

import threading
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

__all__ = ["LongFailure", "LongFailures", "SinkNews"]

# Between two takes, which are a second or two apart.
_MAX_KEPT: Final = 20_000


class SinkNews(StrEnum):
    """Source: lua/settle.lua. FAILING: for half of SINK_FAILURE_S or longer. DELIVERED: that is over.

    ENDED: the subscription was ended by it.
    """

    FAILING = "failing"
    DELIVERED = "delivered"
    ENDED = "ended"


class LongFailure(NamedTuple):
    """Of one subscription. `since_ms`: when its sink began to fail. `sink`: its URL."""

    subscription_id: str
    news: SinkNews
    since_ms: int
    sink: str


class LongFailures:
    """May be used by any thread. Nothing is kept before `keep`, which is for who takes them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: list[LongFailure] | None = None

    def keep(self) -> None:
        """From now on somebody takes them."""
        with self._lock:
            self._kept = self._kept or []

    def report(self, rows: Iterable[Sequence[str]]) -> None:
        """Source: lua/settle.lua. What was said in an answer that was lost is not said again."""
        with self._lock:
            if self._kept is not None and len(self._kept) < _MAX_KEPT:
                self._kept += [LongFailure(row[0], SinkNews(row[1]), int(row[2]), row[3]) for row in rows]

    def take(self) -> list[LongFailure]:
        """All since the last time, in their order."""
        with self._lock:
            taken, self._kept = self._kept or [], [] if self._kept is not None else None
            return taken
