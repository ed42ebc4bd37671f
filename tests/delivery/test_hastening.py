"""A dispatcher asks the store to hasten retries. If the store is away, they wait as they would have."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest

from tests.delivery.claims import claim_of
from tests.harness.clocks import SteppedClock
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.outcomes import ScheduledRetry
from webrtc_events.delivery.claim_schedule import ClaimSchedule
from webrtc_events.delivery.hastening import Hastener
from webrtc_events.delivery.home_partitions import HomePartitions
from webrtc_events.delivery.host_limiter import HostLimiter
from webrtc_events.delivery.host_limits import HostLimits
from webrtc_events.delivery.host_requests import Permit
from webrtc_events.delivery.host_signals import Healthy
from webrtc_events.delivery.store_calls import StoreCalls
from webrtc_events.delivery.tasks import DeliveryTask
from webrtc_events.store.keys import Partition
from webrtc_events.store.retries import WaitingRetry

PARTITION = Partition(7)


class Retries:
    def __init__(self) -> None:
        self.asked: list[Sequence[WaitingRetry]] = []
        self.answer: Callable[[int], list[bool]] = lambda count: [True] * count

    def hasten(self, retries: Sequence[WaitingRetry]) -> list[bool]:
        self.asked.append(retries)
        return self.answer(len(retries))


class FakeStore:
    partitions = 64

    def __init__(self) -> None:
        self.retries = Retries()


class Hastening:
    """A hastener, of whose hosts one answers and has a limit of two."""

    def __init__(self) -> None:
        self.clock = SteppedClock()
        self.store = FakeStore()
        self.calls = StoreCalls()
        self.schedule = ClaimSchedule(64, 50, HomePartitions("me"))
        self.limiter: HostLimiter[DeliveryTask] = HostLimiter(HostLimits(), lambda: 0.5)
        self.of = Hastener(
            cast("Any", self.store),
            self.calls,
            limiter=self.limiter,
            schedule=self.schedule,
            clock=self.clock,
        )

    def settled(self, number: int) -> DeliveryTask:
        claim = claim_of(subscription_id=f"{number:032x}-{PARTITION.number:02x}", fence=number)
        task = DeliveryTask(claim, PARTITION, self.clock.monotonic())
        task.retry = ScheduledRetry(60_000, 0, 1)
        self.of.settled(task)
        return task

    def answers(self, task: DeliveryTask) -> None:
        now_s = self.clock.monotonic()
        permit = self.limiter.acquire(task.host, "app", task, now_s, path=task.path, accepted_ms=0)
        assert isinstance(permit, Permit)
        self.clock.sleep(0.01)
        self.limiter.release(permit, Healthy(), self.clock.monotonic())
        self.of.returns.replied(task.host, Healthy())

    def hasten(self) -> None:
        self.clock.sleep(0.01)
        self.calls.begin_round()
        self.of.hasten()

    def asked_partitions(self) -> list[int]:
        return self.schedule.next(100, self.clock.monotonic(), max_partitions=64)[0]


@pytest.fixture
def hastening() -> Hastening:
    return Hastening()


def test_what_is_due_now_is_asked_for(hastening: Hastening) -> None:
    tasks = [hastening.settled(number) for number in range(20)]
    hastening.hasten()
    assert hastening.store.retries.asked == []
    hastening.answers(tasks[0])
    hastening.hasten()
    # Four times its limit.
    assert hastening.store.retries.asked == [
        [WaitingRetry(task.claim.subscription_id, task.claim.fence) for task in tasks[:8]]
    ]
    assert hastening.asked_partitions() == [PARTITION.number]


def test_what_no_longer_waited_is_not_asked_for_and_leaves_its_room(hastening: Hastening) -> None:
    tasks = [hastening.settled(number) for number in range(20)]
    hastening.answers(tasks[0])
    hastening.store.retries.answer = lambda count: [False] * count
    hastening.hasten()
    assert hastening.asked_partitions() == []
    hastening.hasten()
    assert [len(asked) for asked in hastening.store.retries.asked] == [8, 8]


@pytest.mark.parametrize("error", [Unavailable(), KeyError("a bug")])
def test_what_the_store_did_not_hasten_waits_and_the_next_go_on(
    hastening: Hastening, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: int) -> list[bool]:
        raise error

    tasks = [hastening.settled(number) for number in range(12)]
    hastening.answers(tasks[0])
    hastening.store.retries.answer = fail
    hastening.hasten()
    assert (hastening.of.idle, hastening.asked_partitions()) == (True, [])
    # An outage is reported as any other call's.
    if isinstance(error, Unavailable):
        with pytest.raises(Unavailable):
            hastening.calls.check()
    else:
        assert "8 retries could not be hastened" in caplog.text
    hastening.store.retries.answer = lambda count: [True] * count
    hastening.hasten()
    assert [len(asked) for asked in hastening.store.retries.asked] == [8, 4]


def test_what_is_settled_after_its_host_is_back_is_hastened_too(hastening: Hastening) -> None:
    hastening.answers(hastening.settled(1))
    hastening.hasten()
    hastening.of.returns.came(f"{1:032x}-07")
    hastening.settled(2)
    hastening.hasten()
    assert [retry.fence for asked in hastening.store.retries.asked for retry in asked] == [1, 2]
