"""Settling: what became of finished tasks is written to the store, until the store has answered."""

import logging
from collections.abc import Iterable
from typing import Final

from webrtc_events.core.activity import Activity
from webrtc_events.core.clock import Clock
from webrtc_events.delivery.channel_delivery import ChannelDelivery
from webrtc_events.delivery.claim_schedule import ClaimSchedule
from webrtc_events.delivery.hastening import Hastener
from webrtc_events.delivery.held_bytes import HeldBytes
from webrtc_events.delivery.store_calls import StoreAnswer, StoreCalls
from webrtc_events.delivery.tasks import DeliveryTask
from webrtc_events.store.keys import Partition
from webrtc_events.store.settlements import SettleOutcome
from webrtc_events.store.store import Store

__all__ = ["Settler"]

log = logging.getLogger(__name__)

_ENDS_OR_BEGINS: Final = (SettleOutcome.ENDED, SettleOutcome.GONE, SettleOutcome.ACTIVE)
# After which what the store had no room for is due again. Source: lua/settle.lua.
_FULL_DELAY_S: Final = 1.0


class Settler:
    """Keeps finished tasks until they are settled, or left to their leases.

    `activity` counts ends and lost leases. `channels` says what came of events for channels, once written.
    """

    def __init__(
        self,
        store: Store,
        calls: StoreCalls,
        hastener: Hastener,
        activity: Activity,
        channels: ChannelDelivery,
        *,
        held: HeldBytes,
        schedule: ClaimSchedule,
        clock: Clock,
    ) -> None:
        self._store = store
        self._calls = calls
        self._hastener = hastener
        self._held = held
        self._schedule = schedule
        self._clock = clock
        self._activity = activity
        self._channels = channels
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
        claims = self._store.claims
        self._calls.step(lambda: claims.settling([task.settlement() for task in tasks]), self._settled)

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
        away: set[int] = set()
        for task, result in results:
            if result is SettleOutcome.UNANSWERED:
                self._unanswered.append(task)
                continue
            self._held.give(task)
            if task.channel:
                self._channels.settled(task, result)
            if result is SettleOutcome.LOST:
                self._activity.leases_lost += 1
                log.warning(
                    "lease lost subscription=%s fence=%d", task.claim.subscription_id, task.claim.fence
                )
            elif result in _ENDS_OR_BEGINS:
                log.info("%s subscription=%s", result, task.claim.subscription_id)
                self._activity.ended += result is not SettleOutcome.ACTIVE
            elif result is SettleOutcome.FULL:
                self._schedule.ask_later(task.partition.number, _FULL_DELAY_S, self._clock.monotonic())
            elif result is SettleOutcome.DUE:
                self._ask_again(task)
                if task.retry is None and task.partition.number not in self._schedule.home:
                    away.add(task.partition.number)
        self._channels.flush()
        if away:
            # Where they are at home nobody knows yet that they have more.
            self._calls.start(lambda: self._store.claims.wake(map(Partition, sorted(away))), _woken)

    def _ask_again(self, task: DeliveryTask) -> None:
        number, now_s = task.partition.number, self._clock.monotonic()
        if task.retry is None:
            self._schedule.ask([number], now_s)
        else:
            self._schedule.ask_later(number, task.retry.delay_ms / 1000, now_s)
            if task.awaits_host:
                self._hastener.settled(task)


def _woken(answer: StoreAnswer[list[int]]) -> None:
    """In an outage nobody heard of it: they look by themselves."""
    answer.get()
