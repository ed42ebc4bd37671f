"""Settling: what became of finished tasks is written to the store, until the store has answered."""

import logging
from collections.abc import Iterable

from webrtc_events.core.clock import Clock
from webrtc_events.delivery.claim_schedule import ClaimSchedule
from webrtc_events.delivery.held_bytes import HeldBytes
from webrtc_events.delivery.store_calls import StoreAnswer, StoreCalls
from webrtc_events.delivery.tasks import DeliveryTask
from webrtc_events.store.settlements import SettleOutcome
from webrtc_events.store.store import Store

__all__ = ["Settler"]

log = logging.getLogger(__name__)


class Settler:
    """Keeps finished tasks until they are settled, or left to their leases."""

    def __init__(
        self, store: Store, calls: StoreCalls, held: HeldBytes, schedule: ClaimSchedule, clock: Clock
    ) -> None:
        self._store = store
        self._calls = calls
        self._held = held
        self._schedule = schedule
        self._clock = clock
        self._finished: list[DeliveryTask] = []
        self._under_way: list[DeliveryTask] = []
        self._unanswered: list[DeliveryTask] = []

    @property
    def idle(self) -> bool:
        """Nothing waits to be settled."""
        return not self._finished and not self._under_way and not self._unanswered

    @property
    def has_finished(self) -> bool:
        """Whether something waits that the store can be asked to settle at once."""
        return bool(self._finished) and not self._under_way

    def add(self, task: DeliveryTask) -> None:
        """The task is finished."""
        self._finished.append(task)

    def repeat_unanswered(self) -> None:
        """What the store did not answer is asked again with the next `settle`."""
        self._finished += self._unanswered
        self._unanswered = []

    def settle(self) -> None:
        """Asks the store to settle what is finished. What finishes meanwhile waits for its answer."""
        if not self.has_finished:
            return
        tasks, self._under_way, self._finished = self._finished, self._finished, []
        self._calls.start(
            lambda: self._store.claims.settle([task.settlement() for task in tasks]), self._settled
        )

    def _settled(self, answer: StoreAnswer[list[SettleOutcome]]) -> None:
        tasks, self._under_way = self._under_way, []
        try:
            results = answer.get()
        except Exception:
            # A bug, which would come back with every round: the leases take care of them.
            log.exception("%d claims could not be settled and are left to their leases", len(tasks))
            self._held.give(*tasks)
            return
        if results is None:
            self._unanswered += tasks
        else:
            self._take(zip(tasks, results, strict=True))

    def _take(self, results: Iterable[tuple[DeliveryTask, SettleOutcome]]) -> None:
        for task, result in results:
            if result is SettleOutcome.UNANSWERED:
                self._unanswered.append(task)
                continue
            self._held.give(task)
            if result is SettleOutcome.LOST:
                log.warning(
                    "lease lost subscription=%s fence=%d", task.claim.subscription_id, task.claim.fence
                )
            elif result in (SettleOutcome.ENDED, SettleOutcome.ACTIVE):
                log.info("%s subscription=%s", result, task.claim.subscription_id)
            elif result is SettleOutcome.DUE:
                self._ask_again(task)

    def _ask_again(self, task: DeliveryTask) -> None:
        number = task.partition.number
        if task.retry is None:
            self._schedule.ask([number])
        else:
            self._schedule.ask_later(number, task.retry.delay_ms / 1000, self._clock.monotonic())
