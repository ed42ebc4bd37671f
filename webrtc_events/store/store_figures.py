"""What waits in the store and how full it is, read now and then by one process for its metrics."""

from collections.abc import Mapping
from typing import Final

from webrtc_events.core.clock import Clock
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.loops import Loop
from webrtc_events.store.node_memory import fullest_node
from webrtc_events.store.store import Store

__all__ = ["StoreFigures"]

# Prometheus scrapes every 15 s or less often, mostly. However often it does, the store is asked this often.
_ROUND_S: Final = 15.0


class StoreFigures:
    """`loop` is to be started, and stopped before the store is closed. `watermark`: percent of maxmemory.

    `values`: as the metrics have them, by the name of the family; none while the store does not answer.
    """

    def __init__(self, store: Store, watermark: int, clock: Clock) -> None:
        self.loop = Loop("store figures", self._round, clock)
        self.values: Mapping[str, float] = {}
        self._store = store
        self._watermark = watermark

    def step(self) -> None:
        """
        Raises:
            Unavailable: no partition can be reached.
        """
        try:
            self.values = self._waiting() | self._memory()
        except Unavailable:
            # What was so before the outage is no news.
            self.values = {}
            raise

    def _round(self) -> None:
        self.step()
        self.loop.pause(_ROUND_S)

    def _waiting(self) -> dict[str, float]:
        waiting = self._store.backlog.read()
        return {
            "outbox_events": waiting.events,
            "outbox_subscriptions": waiting.subscriptions,
            "outbox_oldest_seconds": (waiting.oldest_ms or 0) / 1000,
            "outbox_late_seconds": (waiting.late_ms or 0) / 1000,
            "dead_letters": waiting.dead_letters,
        }

    def _memory(self) -> dict[str, float]:
        """Of the node that is nearest to its watermark; nothing of it where the nodes may not say."""
        node = fullest_node(self._store.client, self._watermark)
        if node is None:
            return {}
        found: dict[str, float] = {"store_memory_bytes": node.used}
        return found | {"store_memory_watermark_bytes": node.watermark} if node.watermark else found
