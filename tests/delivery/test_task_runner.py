"""What becomes of tasks that wait for their hosts, or the store, and of those whose hosts do not answer."""

from collections import Counter
from typing import Any, cast

import pytest

from tests.delivery.claims import claim_of, item_of
from tests.harness.clocks import SteppedClock
from webrtc_events.core.activity import Activity
from webrtc_events.core.channel_urls import ChannelUrls
from webrtc_events.core.outcomes import SinkAnswer, SinkFailure, SinkRequest
from webrtc_events.delivery.attempts import AttemptLog, Attempts
from webrtc_events.delivery.channel_delivery import ChannelDelivery
from webrtc_events.delivery.held_bytes import HeldBytes, HeldLimits
from webrtc_events.delivery.host_limiter import HostLimiter
from webrtc_events.delivery.host_limits import HostLimits
from webrtc_events.delivery.host_returns import HostReturns
from webrtc_events.delivery.notifications import Notification
from webrtc_events.delivery.rate_limit import RateLimiter, SlotAt, SlotNow
from webrtc_events.delivery.sink_tokens import SinkTokens
from webrtc_events.delivery.task_runner import TaskRunner
from webrtc_events.delivery.tasks import DeliveryTask
from webrtc_events.sinks.limits import SinkLimits
from webrtc_events.store.keys import Partition

LIMITS = HostLimits(in_flight=4, connections=4, permits=8, waiting=1024, hosts=100)
STEP_S = 0.02


class Sink:
    proxied = None

    def __init__(self) -> None:
        self.sent: list[DeliveryTask] = []

    def submit(self, task: DeliveryTask, request: SinkRequest) -> None:
        assert request.url == task.claim.sink
        self.sent.append(task)


class Writer:
    def write(self, claim: Any, item: Any, now_ms: int, token: str | None) -> Notification:
        assert token is None
        assert now_ms < item.deadline_ms
        return Notification(SinkRequest(claim.sink, (), b"{}", client=claim.client), "x.y", "c")


class Runs:
    """A runner without a store: what it sent, and what it is done with."""

    def __init__(self, rate_limiter: Any = None, limits: HostLimits = LIMITS) -> None:
        self.clock = SteppedClock()
        self.sink = Sink()
        self.done: list[DeliveryTask] = []
        attempts = Attempts(self.clock, Activity(), AttemptLog(lambda text: text, 0), lambda: 0.5)
        writer = cast("Any", Writer())
        self.runner = TaskRunner(
            sink=cast("Any", self.sink),
            writer=writer,
            limiter=HostLimiter(limits, lambda: 0.5),
            returns=HostReturns(),
            rate_limiter=cast("RateLimiter", rate_limiter),
            attempts=attempts,
            channels=ChannelDelivery(ChannelUrls(None), writer, attempts, self.clock),
            tokens=SinkTokens(None, Activity(), lambda: 0.5, lambda text: text),
            held=HeldBytes(HeldLimits(10**9, 10**6, 10**6)),
            clock=self.clock,
            exchange_ms=SinkLimits().total_ms,
            finished=self.done.append,
        )

    def begin(self, host: str, name: str, **values: Any) -> DeliveryTask:
        items = values.pop("items", (item_of(),))
        claim = claim_of(*items, sink=f"https://{host}.example/", subscription_id=name, **values)
        task = DeliveryTask(claim, Partition(1), self.clock.monotonic())
        self.runner.begin(task)
        return task

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds / STEP_S)):
            self.clock.sleep(STEP_S)
            self.runner.resume()

    def reply(self, task: DeliveryTask) -> None:
        self.runner.replied(task, SinkAnswer(204, None, elapsed_ms=100))

    def time_out(self, task: DeliveryTask) -> None:
        self.runner.replied(task, SinkFailure("timeout", "", elapsed_ms=100))


@pytest.fixture
def runs() -> Runs:
    return Runs()


def test_what_waits_for_new_hosts_in_vain_is_deferred(runs: Runs) -> None:
    for number in range(40):
        runs.begin(f"h{number}", f"s-{number}")
    assert len(runs.sink.sent) + len(runs.done) < 40
    runs.wait(3)
    assert len(runs.sink.sent) + len(runs.done) == 40
    # Due at once, they would be claimed again and again.
    assert all(task.retry is not None and task.retry.delay_ms >= 100 for task in runs.done)
    assert runs.runner.deferred == len(runs.done)


def test_what_waits_for_a_known_host_in_vain_is_deferred(runs: Runs) -> None:
    first, waits = runs.begin("h", "s-1"), runs.begin("h", "s-2")
    runs.wait(5)
    assert (runs.sink.sent, runs.done) == ([first], [])
    runs.reply(first)
    assert runs.sink.sent == [first]
    assert Counter(task.retry is None for task in runs.done) == {True: 1, False: 1}
    assert waits.retry is not None
    assert (waits.retry.delay_ms >= 100, waits.retry.failed_attempts) == (True, 0)
    assert runs.runner.deferred == 1


def test_what_waits_for_the_first_answer_of_a_host_goes_once_that_is_late() -> None:
    """No reply comes in between."""
    runs = Runs(limits=HostLimits())
    first, second, third = (runs.begin("h", f"s-{number}") for number in range(3))
    assert runs.sink.sent == [first]
    assert runs.runner.wait_s(runs.clock.monotonic()) == pytest.approx(0.25)
    runs.wait(0.3)
    assert runs.sink.sent == [first, second]
    assert runs.runner.wait_s(runs.clock.monotonic()) <= 0.5
    runs.reply(second)
    assert runs.sink.sent == [first, second, third]


def test_what_is_deferred_because_the_first_answer_is_late_awaits_the_host() -> None:
    runs = Runs(limits=HostLimits())
    runs.begin("h", "s-0")
    runs.wait(0.3)
    tasks = [runs.begin("h", f"s-{number}") for number in range(1, 60)]
    assert runs.done
    assert all(task.awaits_host for task in runs.done)
    runs.reply(runs.sink.sent[-1])
    runs.begin("h", "s-60")
    assert tasks[0] in runs.sink.sent


def test_what_has_used_its_lease_to_send_goes_on_at_once(runs: Runs) -> None:
    task = runs.begin("h", "s-1", items=(item_of(1), item_of(2)))
    runs.wait(5)
    runs.reply(task)
    assert runs.done == [task]
    assert (task.index, task.retry, runs.runner.deferred) == (1, None, 0)


class Slots:
    """What the store answers of slots, one after the other, and how many seconds each answer takes."""

    def __init__(self, *answers: tuple[float, SlotNow | SlotAt]) -> None:
        self.answers = list(answers)
        self.runs = Runs(self)

    def slot(self, task: DeliveryTask, now_s: float) -> SlotNow | SlotAt:
        assert task.now_ms(now_s) < task.claim.lease_until_ms
        seconds, answer = self.answers.pop(0)
        self.runs.clock.sleep(seconds)
        return answer


def test_no_exchange_begins_that_the_store_left_no_time_for() -> None:
    slots = Slots((4.0, SlotNow()), (0.0, SlotNow()))
    runs = slots.runs
    late = runs.begin("h", "s-1", rate=60)
    assert (runs.sink.sent, runs.done) == ([], [late])
    # Its permit is free again.
    assert late.permit is None
    punctual = runs.begin("h", "s-2", rate=60)
    assert runs.sink.sent == [punctual]


def test_each_task_of_one_round_goes_by_its_own_time() -> None:
    slots = Slots((0.0, SlotAt(0.1)), (0.0, SlotAt(0.1)), (3.0, SlotNow()), (0.0, SlotNow()))
    runs = slots.runs
    first, second = (runs.begin(f"h{number}", f"s-{number}", rate=60) for number in range(2))
    runs.clock.sleep(1)
    # The store takes three seconds to answer the first, which leaves no time for either.
    runs.runner.resume()
    assert (runs.sink.sent, runs.done) == ([], [first, second])
    # The second did not ask for a slot that it cannot use.
    assert len(slots.answers) == 1


def test_who_waits_because_the_host_is_unreachable_awaits_it(runs: Runs) -> None:
    probe, behind = runs.begin("h", "s-1"), runs.begin("h", "s-2")
    runs.time_out(probe)
    assert runs.done == [probe, behind]
    assert [task.awaits_host for task in runs.done] == [True, True]
    # While the circuit is open, and while a probe is under way.
    assert runs.begin("h", "s-3").awaits_host
    runs.clock.sleep(1)
    probe = runs.begin("h", "s-4")
    for number in range(5, 40):
        runs.begin("h", f"s-{number}")
    assert runs.sink.sent[-1] is probe
    assert all(task.awaits_host for task in runs.done)


def test_a_path_that_hangs_on_a_host_that_answers_waits_for_its_own_retry(runs: Runs) -> None:
    runs.reply(runs.begin("h", "s-1"))
    hangs = runs.begin("h", "s-2")
    runs.time_out(hangs)
    assert hangs.retry is not None
    assert not hangs.awaits_host


def test_who_waits_because_the_host_asked_for_a_pause_does_not_await_its_return(runs: Runs) -> None:
    asked = runs.begin("h", "s-1")
    runs.runner.replied(asked, SinkAnswer(503, "30", elapsed_ms=100))
    behind = runs.begin("h", "s-2")
    assert [task.retry is None for task in (asked, behind)] == [False, False]
    assert [task.awaits_host for task in (asked, behind)] == [False, False]
