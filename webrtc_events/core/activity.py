"""What a process does with events, as counts: the interface between who counts and who shows or exports."""

import threading
from dataclasses import dataclass, field
from typing import Final

from webrtc_events.core.histogram import Histogram

__all__ = ["ATTEMPT_BOUNDS_S", "COUNTS", "DELIVERY_BOUNDS_S", "Activity", "Counts"]

DELIVERY_BOUNDS_S: Final = (
    *(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
    # The deadlines: of an invitation, of a session's status, of an end.
    *(60.0, 120.0, 600.0, 3600.0, 86400.0),
)
"""From the moment at which an event was accepted to its receipt."""

ATTEMPT_BOUNDS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""An exchange with a sink takes 10 s at most, see sinks/limits.py."""


class Counts(dict[str, int]):
    """How many of each of a few names; 0 of those that did not come yet. One thread counts."""

    def __missing__(self, name: str) -> int:
        return 0

    @property
    def total(self) -> int:
        # As one step, so that another thread may add a name meanwhile.
        return sum(self.copy().values())


@dataclass(slots=True)
class Activity:
    """Counts since the process started. They only grow: what happened is the difference of two looks.

    Plain numbers: one thread adds to each, or several under a lock of theirs. Any thread may read.

    - `accepted`: network events that were accepted, for the first time, whether or not anybody subscribed.
    - `matched`: outboxes that took one of these: an event may match many subscriptions, or none.
    - `duplicates`: those that had been accepted before, by their source and id.
    - `rejected`: those that were refused for what they are: members of batches, and single events that cannot
      be kept. A request that was refused whole before that (no token, no JSON, no store) counts nowhere.
    - `deliveries`: notifications that their sinks took, those of ends among them, by type.
    - `retries`: attempts that failed and are made again, by reason.
    - `drops`: notifications that were given up, which become dead letters, by reason: by a worker, or by the
      store itself, as an outbox had no room or a subscription ended. What its owner deletes does not count.
      They grow by `give_up` alone.
    - `validations`: what sinks said when they were asked whether they agree, once that is known, by outcome.
    - `token_requests`: what came of requests for tokens of sinks: `issued`, `refused`, `unavailable`, or how
      the egress proxy failed.
    - `ended`: subscriptions that are over: their last notification is settled.
    - `leases_lost`: claims that were settled too late: another worker has them.
    - `operator_events`: what became of events for operators: `written`, `delivered`, `retried`, `given_up`.
      They count nowhere else: the sink of operators is no subscriber's. They grow by `count_operator_events`.
    - `delivery_s`: how long it took from the moment at which an event was accepted until its sink took it.
    - `attempt_s`: how long requests to sinks took, however they ended.
    """

    accepted: int = 0
    matched: int = 0
    duplicates: int = 0
    rejected: int = 0
    deliveries: Counts = field(default_factory=Counts)
    retries: Counts = field(default_factory=Counts)
    drops: Counts = field(default_factory=Counts)
    validations: Counts = field(default_factory=Counts)
    token_requests: Counts = field(default_factory=Counts)
    ended: int = 0
    leases_lost: int = 0
    operator_events: Counts = field(default_factory=Counts)
    delivery_s: Histogram = field(default_factory=lambda: Histogram(DELIVERY_BOUNDS_S))
    attempt_s: Histogram = field(default_factory=lambda: Histogram(ATTEMPT_BOUNDS_S))
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    @property
    def delivered(self) -> int:
        return self.deliveries.total

    @property
    def retried(self) -> int:
        return self.retries.total

    @property
    def given_up(self) -> int:
        return self.drops.total

    def give_up(self, reason: str, count: int = 1) -> None:
        """May be called by any thread."""
        with self._lock:
            self.drops[reason] += count

    def count_operator_events(self, outcome: str, count: int = 1) -> None:
        """Of events for operators. May be called by any thread."""
        with self._lock:
            self.operator_events[outcome] += count

    def values(self) -> dict[str, int]:
        """Those that processes report, by name, as they are now."""
        return {name: getattr(self, name) for name in COUNTS}


COUNTS: Final = ("accepted", "duplicates", "rejected", "delivered", "retried", "given_up", "ended")
"""The names of the counts that processes report, each a number."""
