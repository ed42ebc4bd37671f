"""Hastening: the retries of a host that answers again are made due in the store, as it can take them."""

import logging

from webrtc_events.core.clock import Clock
from webrtc_events.delivery.claim_schedule import ClaimSchedule
from webrtc_events.delivery.host_limiter import HostLimiter
from webrtc_events.delivery.host_returns import HostReturns
from webrtc_events.delivery.store_calls import StoreAnswer, StoreCalls
from webrtc_events.delivery.tasks import DeliveryTask
from webrtc_events.store.keys import partition_of_subscription
from webrtc_events.store.retries import WaitingRetry
from webrtc_events.store.store import Store

__all__ = ["Hastener"]

log = logging.getLogger(__name__)


class Hastener:
    """For one dispatcher; one call is under way at most. What is not hastened waits until its moment.

    `returns`: the retries that it knows of.
    """

    def __init__(
        self,
        store: Store,
        calls: StoreCalls,
        *,
        limiter: HostLimiter[DeliveryTask],
        schedule: ClaimSchedule,
        clock: Clock,
    ) -> None:
        self._store = store
        self._calls = calls
        self.returns = HostReturns()
        self._limiter = limiter
        self._schedule = schedule
        self._now_s = clock.monotonic
        self._under_way = False

    @property
    def idle(self) -> bool:
        """No call is under way."""
        return not self._under_way

    def wait_s(self, now_s: float) -> float:
        """How long there is nothing to hasten; infinite if that depends on replies."""
        return float("inf") if self._under_way else self.returns.wait_s(now_s)

    def settled(self, task: DeliveryTask) -> None:
        """The task was settled with a retry that waits for its host."""
        if task.retry is None:
            return
        now_s = self._now_s()
        self.returns.keep(
            task.host,
            task.claim.client,
            WaitingRetry(task.claim.subscription_id, task.claim.fence),
            now_s + task.retry.delay_ms / 1000,
            now_s,
            # It may have come back while the store was settling.
            answers=self._limiter.room_of(task.host, now_s) > 0,
        )

    def hasten(self) -> None:
        """Asks the store to make due what may come now."""
        if self._under_way:
            return
        now_s = self._now_s()
        retries = self.returns.next(now_s, lambda host: self._limiter.room_of(host, now_s))
        if retries:
            self._under_way = True
            self._calls.start(
                lambda: self._store.retries.hasten(retries), lambda answer: self._hastened(retries, answer)
            )

    def _hastened(self, retries: list[WaitingRetry], answer: StoreAnswer[list[bool]]) -> None:
        self._under_way = False
        try:
            hastened = answer.get()
        except Exception:
            # A bug. They are due at their own moments.
            log.exception("%d retries could not be hastened and wait as they did", len(retries))
            hastened = None
        for retry, is_due in zip(retries, hastened or [False] * len(retries), strict=True):
            partition = partition_of_subscription(retry.subscription_id, self._store.partitions)
            if is_due and partition is not None:
                self._schedule.notice(partition.number)
            else:
                self.returns.came(retry.subscription_id)
