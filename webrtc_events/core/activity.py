"""What a process does with events, as counts: the interface between who counts and who shows or exports."""

import threading
from dataclasses import dataclass, field, fields
from typing import Final

__all__ = ["COUNTS", "Activity"]


@dataclass(slots=True)
class Activity:
    """Counts since the process started. They only grow: what happened is the difference of two looks.

    Plain numbers: one thread adds to each, or several under a lock of theirs. Any thread may read.

    - `accepted`: network events that were accepted, for the first time, whether or not anybody subscribed.
    - `duplicates`: those that had been accepted before, by their source and id.
    - `rejected`: those that were refused for what they are: members of batches, and single events that cannot
      be kept. A request that was refused whole before that (no token, no JSON, no store) counts nowhere.
    - `delivered`: notifications that their sinks took, those of ends among them.
    - `retried`: attempts that failed and are made again.
    - `given_up`: notifications that were given up, which become dead letters: by a worker, or by the store
      itself, as an outbox had no room or a subscription ended. What its owner deletes does not count.
    - `ended`: subscriptions that are over: their last notification is settled.

    `given_up_by_reason`: the same by the reason of the dead letter; both grow by `give_up` alone.
    """

    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    delivered: int = 0
    retried: int = 0
    given_up: int = 0
    ended: int = 0
    given_up_by_reason: dict[str, int] = field(default_factory=dict, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    def give_up(self, reason: str, count: int = 1) -> None:
        """May be called by any thread."""
        with self._lock:
            self.given_up += count
            self.given_up_by_reason[reason] = self.given_up_by_reason.get(reason, 0) + count

    def values(self) -> dict[str, int]:
        """All of them by name, as they are now."""
        return {name: getattr(self, name) for name in COUNTS}


COUNTS: Final = tuple(field.name for field in fields(Activity) if field.type is int)
"""The names of the counts."""
