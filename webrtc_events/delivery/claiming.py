"""Claiming: what is due becomes the dispatcher's tasks, as much of it as there is room for."""

import logging
from collections.abc import Iterable, Mapping, Sequence

from webrtc_events.core.clock import Clock
from webrtc_events.core.model import Claim
from webrtc_events.delivery.claim_schedule import ClaimSchedule
from webrtc_events.delivery.held_bytes import HeldBytes
from webrtc_events.delivery.store_calls import REPEAT_S, StoreAnswer, StoreCalls
from webrtc_events.delivery.task_runner import TaskRunner
from webrtc_events.delivery.tasks import DeliveryTask
from webrtc_events.store.claims import ClaimRound
from webrtc_events.store.keys import Partition, partition_of_subscription
from webrtc_events.store.store import Store

__all__ = ["Claimer"]

log = logging.getLogger(__name__)


class Claimer:
    """Claims for one dispatcher, whose tasks `runner` begins. `events`: of one subscription at once."""

    def __init__(
        self,
        store: Store,
        calls: StoreCalls,
        *,
        schedule: ClaimSchedule,
        held: HeldBytes,
        runner: TaskRunner,
        clock: Clock,
        partitions: int,
        events: int,
    ) -> None:
        self._store = store
        self._calls = calls
        self._schedule = schedule
        self._held = held
        self._runner = runner
        self._clock = clock
        self._events = events
        self._under_way = self._looking = False
        self._partitions = [Partition(number) for number in range(partitions)]

    @property
    def idle(self) -> bool:
        """Nothing that was asked of the store is under way."""
        return not self._under_way and not self._looking

    def wait_s(self, now_s: float) -> float:
        """How long there is nothing to claim, or no room for it; infinite if that is not known."""
        if self._under_way or self._runner.room <= 0 or self._held.partitions <= 0:
            return float("inf")
        return self._schedule.wait_s(now_s)

    def look(self, numbers: Iterable[int]) -> None:
        """Has those of these partitions asked that may have something due."""
        wanted = [self._partitions[number] for number in numbers]
        self._looking = True
        self._calls.start(
            lambda: self._store.claims.look(wanted), lambda answer: self._looked_at(wanted, answer)
        )

    def _looked_at(self, wanted: Sequence[Partition], answer: StoreAnswer[list[int]]) -> None:
        self._looking = False
        found, now_s = answer.get(), self._clock.monotonic()
        if found is not None:
            self._schedule.ask(found, now_s)
            return
        for partition in wanted:
            self._schedule.ask_later(partition.number, REPEAT_S, now_s)

    def claim(self) -> None:
        """Claims what is due, and begins it once the store has answered; one claim at a time."""
        if self._under_way:
            return
        now_s = self._clock.monotonic()
        numbers, share = self._schedule.next(self._runner.room, now_s, max_partitions=self._held.partitions)
        if not numbers:
            return
        self._under_way = True
        wanted = [self._partitions[number] for number in numbers]
        size = self._held.share(len(numbers))
        claims, limits = self._store.claims, {"subscriptions": share, "events": self._events, "size": size}
        # The moment before it is asked: the store's time goes on from there at the earliest.
        asked_s = self._clock.monotonic()
        self._calls.step(
            lambda: claims.claiming(wanted, **limits),
            lambda answer: self._claimed(numbers, share, size, asked_s, answer),
        )

    def _claimed(
        self, numbers: list[int], share: int, size: int, asked_s: float, answer: StoreAnswer[ClaimRound]
    ) -> None:
        self._under_way = False
        found: dict[int, list[Claim]] = {}
        due_in_ms: Mapping[int, int] = {}
        deferred_before = self._runner.deferred
        claimed = answer.get()
        if claimed is None:
            # What was noticed is due all the same, and nobody says so again.
            for number in numbers:
                self._schedule.ask_later(number, REPEAT_S, self._clock.monotonic())
        else:
            found, due_in_ms = self._begin(claimed.claims, asked_s), claimed.due_in_ms
        self._schedule.asked(
            share,
            found={number: len(of_one) for number, of_one in found.items()},
            deferred=self._runner.deferred - deferred_before,
            now_s=self._clock.monotonic(),
        )
        # What is cut short by its bytes may have more as well.
        cut = [number for number, of_one in found.items() if self._held.may_be_cut(size, of_one)]
        cut += [number for number, ms in due_in_ms.items() if ms == 0]
        now_s = self._clock.monotonic()
        self._schedule.ask(cut, now_s)
        self._schedule.ask_soon({number: ms / 1000 for number, ms in due_in_ms.items() if ms}, now_s)

    def _begin(self, claims: Sequence[Claim], now_s: float) -> dict[int, list[Claim]]:
        """Begins each claim; returns them by partition."""
        found: dict[int, list[Claim]] = {}
        for claim in claims:
            partition = partition_of_subscription(claim.subscription_id, len(self._partitions))
            if partition is None:
                # Not written by this service. It is left to its lease, and holds nothing back.
                log.error("claimed %r, which is no subscription id", claim.subscription_id)
                continue
            found.setdefault(partition.number, []).append(claim)
            try:
                task = DeliveryTask(claim, partition, now_s)
            except ValueError:
                # The sink's address; the lease keeps it from coming back at once.
                log.exception("subscription=%s cannot be begun: damaged?", claim.subscription_id)
                continue
            self._runner.begin(task)
        return found
