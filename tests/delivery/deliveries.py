"""What sinks received, what was given up, and claims that break at a settle."""

from collections.abc import Callable, Sequence
from typing import Any

import redis

from tests.delivery.conftest import DispatcherDriver
from tests.harness.sinks import Received
from webrtc_events.core.errors import Unavailable
from webrtc_events.store.claims import Claims
from webrtc_events.store.keys import partition_of
from webrtc_events.store.settlements import Settlement, SettleOutcome

P = partition_of("r1", 64)
Make = Callable[..., DispatcherDriver]


def sequence(requests: Sequence[Received]) -> list[Any]:
    """The sequence numbers received, an end by its reason."""
    data = [request.json["data"] for request in requests]
    return [fields.get("sequenceNumber", fields.get("terminationReason")) for fields in data]


def dead_letters(raw_store: "redis.Redis") -> list[tuple[str, str]]:
    return [(dead_letter["reason"], dead_letter["detail"]) for _, dead_letter in raw_store.xrange(P.dead)]


class BreaksAtSettle(Claims):
    """The real claims, cut off around some settles: before they reach it, or before the answer.

    "node": only from the node that they are for.
    """

    cut: list[str]

    def settle(self, settlements: Sequence[Settlement]) -> list[SettleOutcome]:
        kind = self.cut.pop() if self.cut else ""
        if kind == "request":
            raise Unavailable
        if kind == "node":
            return [SettleOutcome.UNANSWERED] * len(settlements)
        results = super().settle(settlements)
        if kind == "answer":
            raise Unavailable
        return results
