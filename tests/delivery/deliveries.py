"""What sinks received, what was given up, and claims that break at a settle."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import redis

from tests.delivery.conftest import DispatcherDriver
from tests.harness.sinks import Received
from webrtc_events.core.activity import Activity
from webrtc_events.core.errors import Unavailable
from webrtc_events.store.claims import Claims
from webrtc_events.store.keys import partition_of
from webrtc_events.store.redis.begun import Begun
from webrtc_events.store.script_steps import ScriptStep
from webrtc_events.store.settlements import Settlement, SettleOutcome

P = partition_of("r1", 64)
Make = Callable[..., DispatcherDriver]


def sequence(requests: Sequence[Received]) -> list[Any]:
    """The sequence numbers received, an end by its reason."""
    data = [request.json["data"] for request in requests]
    return [fields.get("sequenceNumber", fields.get("terminationReason")) for fields in data]


def nonzero(activity: Activity) -> dict[str, int]:
    """What was counted, by name."""
    return {name: count for name, count in activity.values().items() if count}


def dead_letters(raw_store: "redis.Redis") -> list[tuple[str, str]]:
    return [(dead_letter["reason"], dead_letter["detail"]) for _, dead_letter in raw_store.xrange(P.dead)]


T = TypeVar("T")


class WaitedFor(ScriptStep[T]):
    """A step that cannot be begun: `do` is done in place of it, by who waits for it."""

    def __init__(self, do: Callable[[], T]) -> None:
        self._do = do

    def begin(self) -> None:
        return None

    def run(self, begun: Begun | None = None) -> T:  # noqa: ARG002 (there is none)
        return self._do()

    def keep(self) -> None:
        """It has no connection."""


class BreaksAtSettle(Claims):
    """The real claims, cut off around some settles: before they reach it, or before the answer.

    "node": only from the node that they are for.
    """

    cut: list[str]

    def settling(self, settlements: Sequence[Settlement]) -> ScriptStep[list[SettleOutcome]]:
        step = super().settling(settlements)
        kind = self.cut.pop() if self.cut else ""

        def run() -> list[SettleOutcome]:
            if kind == "request":
                raise Unavailable
            if kind == "node":
                return [SettleOutcome.UNANSWERED] * len(settlements)
            results = step.run()
            if kind == "answer":
                raise Unavailable
            return results

        return WaitedFor(run) if kind else step
