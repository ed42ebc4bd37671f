"""Which slot is used now, waited for, or left to a later claim."""

from math import ceil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.delivery.claims import claim_of
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.model import Claim
from webrtc_events.delivery.claim_schedule import ClaimSchedule
from webrtc_events.delivery.dispatcher import DispatcherOptions
from webrtc_events.delivery.home_partitions import HomePartitions
from webrtc_events.delivery.rate_limit import RateLimiter, SlotAt, SlotLater, SlotNow
from webrtc_events.delivery.tasks import DeliveryTask
from webrtc_events.store.keys import Partition


class Slots:
    """In the store's place: what it says of each slot, in ms; None for an outage."""

    def __init__(self, *waits_ms: int | None) -> None:
        self.asked: list[tuple[Claim, int, int]] = []
        self._waits_ms = list(waits_ms)

    @property
    def rate_limits(self) -> "Slots":
        return self

    def take_slot(self, claim: Claim, rate: int, patience_ms: int) -> int:
        self.asked.append((claim, rate, patience_ms))
        wait_ms = self._waits_ms.pop(0)
        if wait_ms is None:
            raise Unavailable
        return wait_ms


def limited(*waits_ms: int | None, rate: int | None = 60) -> tuple[RateLimiter, DeliveryTask, Slots]:
    slots: Any = Slots(*waits_ms)
    return RateLimiter(slots), DeliveryTask(claim_of(rate=rate), Partition(0), 0.0), slots


def test_where_the_sink_named_no_rate_no_slot_is_asked_for() -> None:
    limiter, task, slots = limited(rate=None)
    assert limiter.slot(task, 5.0) == SlotNow()
    assert slots.asked == []


def test_a_slot_that_is_free_is_used_now() -> None:
    limiter, task, slots = limited(0, 0)
    assert limiter.slot(task, 0.0) == SlotNow()
    # And not again for the next.
    assert limiter.slot(task, 0.05) == SlotNow()
    assert slots.asked == [(task.claim, 60, 1_000)] * 2


@pytest.mark.parametrize("wait_ms", [1, 1_000])
def test_a_slot_within_a_second_is_waited_for_and_used_once(wait_ms: int) -> None:
    limiter, task, slots = limited(wait_ms, 0)
    assert limiter.slot(task, 5.0) == SlotAt(5.0 + wait_ms / 1000)
    assert limiter.slot(task, 5.0 + wait_ms / 1000) == SlotNow()
    assert len(slots.asked) == 1
    limiter.slot(task, 5.0 + wait_ms / 1000)
    assert len(slots.asked) == 2


def test_a_slot_that_was_missed_is_lost() -> None:
    limiter, task, slots = limited(500, 700)
    limiter.slot(task, 5.0)
    assert limiter.slot(task, 5.7) == SlotAt(6.4)
    assert len(slots.asked) == 2


def test_a_slot_lasts_for_100_ms() -> None:
    limiter, task, slots = limited(500, 0)
    # Its slot is at 0.0, so that the difference is exact.
    limiter.slot(task, -0.5)
    limiter.slot(task, 0.1)
    assert len(slots.asked) == 2


def test_a_later_slot_is_claimed_for_ahead_of_it() -> None:
    limiter, task, slots = limited(1_001, 0)
    assert limiter.slot(task, 5.0) == SlotLater(501)
    assert task.slot_at_s is None
    limiter.slot(task, 5.01)
    assert len(slots.asked) == 2


@pytest.mark.parametrize(("wait_ms", "delay_ms"), [(10_000, 9_500), (10_001, 6_501), (60_000, 56_500)])
def test_a_slot_that_is_far_off_is_claimed_for_further_ahead(wait_ms: int, delay_ms: int) -> None:
    limiter, task, _ = limited(wait_ms)
    assert limiter.slot(task, 5.0) == SlotLater(delay_ms)


@given(st.floats(0, 300), st.floats(0, DispatcherOptions().poll_s))
def test_no_slot_is_missed_although_partitions_are_asked_now_and_then(slot_s: float, phase_s: float) -> None:
    """A slot that is missed goes to others, and its subscription waits behind all of them."""
    poll_s = DispatcherOptions().poll_s
    now_s = 0.0
    for _ in range(5):
        wait_ms = ceil((slot_s - now_s) * 1000)
        assert wait_ms >= 0
        limiter, task, _ = limited(wait_ms)
        found = limiter.slot(task, now_s)
        if not isinstance(found, SlotLater):
            return
        due_s = now_s + found.delay_ms / 1000
        schedule = ClaimSchedule(64, 50, HomePartitions("one"))
        schedule.ask_later(0, found.delay_ms / 1000, now_s)
        all_asked_s = phase_s + poll_s * ceil((due_s - phase_s) / poll_s)
        now_s = min(now_s + schedule.wait_s(now_s), all_asked_s)
    raise AssertionError("it is claimed over and over")


def test_in_an_outage_the_store_is_asked_once_a_second() -> None:
    limiter, task, slots = limited(None, 0)
    assert limiter.slot(task, 5.0) == SlotLater(1_000)
    assert limiter.slot(task, 5.9) == SlotLater(1_000)
    assert len(slots.asked) == 1
    assert limiter.slot(task, 6.0) == SlotNow()
