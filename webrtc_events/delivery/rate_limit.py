"""When a sink's rate allows the next notification: the rate-limit slots of tasks.

A sink may name a rate when it agrees (WebHook-Allowed-Rate). All workers share its slots, so the store
hands them out.
"""

from dataclasses import dataclass

from webrtc_events.core.errors import Unavailable
from webrtc_events.delivery.claim_schedule import HORIZON_S
from webrtc_events.delivery.tasks import DeliveryTask
from webrtc_events.store.store import Store

__all__ = ["RateLimiter", "SlotAt", "SlotLater", "SlotNow"]

# A task waits this long at most for its slot; for a later one its subscription is claimed again, this
# much ahead of it: what is further off than a dispatcher keeps in mind (claim_schedule.py) is found when all
# partitions are asked, which may be 2 s late, and then has a shorter way to go.
_MAX_WAIT_MS = 1_000
_AHEAD_MS = 500
_FAR_MS = round(1000 * HORIZON_S)
_FAR_AHEAD_MS = 3_500
# A slot that was missed by this much is lost: the next may have been taken.
_SLOT_LASTS_S = 0.1
# After an outage no slot is asked for this long.
_OUTAGE_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True)
class SlotNow:
    """The next notification may go now."""


@dataclass(frozen=True, slots=True)
class SlotAt:
    """The task has a slot at that moment of the monotonic clock, and waits for it."""

    moment_s: float


@dataclass(frozen=True, slots=True)
class SlotLater:
    """The slot is too far off to wait for: the subscription is to be claimed again after `delay_ms`."""

    delay_ms: int


_NOW = SlotNow()


class RateLimiter:
    """Asks the store for slots. Belongs to one thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._paused_until_s = float("-inf")

    def slot(self, task: DeliveryTask, now_s: float) -> SlotNow | SlotAt | SlotLater:
        """When the task's next notification may go. A slot is used at once or not at all."""
        held_s, task.slot_at_s = task.slot_at_s, None
        rate = task.claim.rate
        if rate is None or (held_s is not None and now_s - held_s < _SLOT_LASTS_S):
            return _NOW
        wait_ms = self._wait_ms(task, rate, now_s)
        if wait_ms <= 0:
            return _NOW
        if wait_ms > _MAX_WAIT_MS:
            return SlotLater(wait_ms - (_AHEAD_MS if wait_ms <= _FAR_MS else _FAR_AHEAD_MS))
        task.slot_at_s = now_s + wait_ms / 1000
        return SlotAt(task.slot_at_s)

    def _wait_ms(self, task: DeliveryTask, rate: int, now_s: float) -> int:
        if now_s >= self._paused_until_s:
            try:
                return self._store.rate_limits.take_slot(task.claim, rate, _MAX_WAIT_MS)
            except Unavailable:
                # The task waits for the store anyway, to be settled; the others need not find out one by one.
                self._paused_until_s = now_s + _OUTAGE_PAUSE_S
        return _MAX_WAIT_MS + _AHEAD_MS
