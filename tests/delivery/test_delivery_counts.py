"""What a worker counts of its deliveries, and says of its hosts."""

from collections.abc import Callable, Iterator

import pytest
import redis

from tests.delivery.asking import agreeing, allowing, asked
from tests.delivery.conftest import DispatcherDriver
from tests.delivery.deliveries import nonzero
from tests.delivery.test_worker import build
from tests.harness.builders import append, created, invitation
from tests.harness.sinks import Answer, RecordingSink
from tests.harness.valkeys import eventually
from webrtc_events.core.activity import Activity
from webrtc_events.core.model import EventType, Status, TerminationReason
from webrtc_events.core.process_report import HostState
from webrtc_events.store.erasure import Erasure
from webrtc_events.store.store import Store
from webrtc_events.worker import Worker

__all__ = ["build"]

Make = Callable[..., DispatcherDriver]


@pytest.fixture
def activity() -> Activity:
    return Activity()


@pytest.fixture
def driver(make_driver: Make, activity: Activity) -> DispatcherDriver:
    return make_driver(activity=activity)


@pytest.fixture
def answers(sink: RecordingSink) -> Callable[..., None]:
    """Sets the statuses that the sink answers; the last of them from then on."""

    def set_to(*statuses: int) -> None:
        left: Iterator[int] = iter(statuses)
        sink.answer = lambda _: Answer(next(left, statuses[-1]))

    return set_to


def test_what_is_delivered_is_counted(
    store: Store, sink: RecordingSink, driver: DispatcherDriver, activity: Activity
) -> None:
    created(store, sink=sink.url)
    append(store, invitation(1), invitation(2))
    driver.run()
    assert nonzero(activity) == {"delivered": 2}
    assert activity.deliveries == {EventType.SESSION_INVITATION: 2}
    assert sum(activity.delivery_s.counts) == sum(activity.attempt_s.counts) == 2


def test_each_failed_attempt_that_is_made_again_is_counted(
    store: Store,
    sink: RecordingSink,
    driver: DispatcherDriver,
    activity: Activity,
    answers: Callable[..., None],
) -> None:
    answers(500, 500, 204)
    created(store, sink=sink.url)
    append(store, invitation(1))
    driver.run()
    assert nonzero(activity) == {"delivered": 1, "retried": 2}
    assert activity.retries == {"http_500": 2}


def test_what_is_given_up_is_counted(
    store: Store,
    sink: RecordingSink,
    driver: DispatcherDriver,
    activity: Activity,
    answers: Callable[..., None],
) -> None:
    answers(400, 204)
    created(store, sink=sink.url)
    append(store, invitation(1), invitation(2))
    driver.run()
    assert nonzero(activity) == {"delivered": 1, "given_up": 1}
    assert activity.drops == {"refused": 1}
    assert store.backlog.read().dead_letters == 1


def test_what_sinks_say_that_are_asked_is_counted(
    store: Store, sink: RecordingSink, driver: DispatcherDriver, activity: Activity
) -> None:
    sink.answer = agreeing()
    asked(store, sink)
    driver.run()
    sink.answer = allowing(status=404)
    asked(store, sink)
    driver.run()
    assert activity.validations == {"agreed": 1, "refused": 1}
    assert nonzero(activity) == {"ended": 1}


def test_a_lease_that_was_lost_is_counted(
    store: Store, sink: RecordingSink, driver: DispatcherDriver, activity: Activity
) -> None:
    made = created(store, sink=sink.url)
    append(store, invitation(1))

    def erase(_: object) -> Answer:
        erasure = Erasure(store)
        erasure.erase(erasure.find(made.registration))
        return Answer(204)

    sink.answer = erase
    driver.run()
    assert activity.leases_lost == 1


def test_an_end_is_counted_when_its_last_notification_is_settled(
    store: Store, sink: RecordingSink, driver: DispatcherDriver, activity: Activity
) -> None:
    made = created(store, sink=sink.url)
    append(store, invitation(1))
    reason = TerminationReason.NETWORK_TERMINATED
    store.subscriptions.end(made.id, reason, Status.EXPIRED, drop_pending=False)
    assert activity.ended == 0
    driver.run()
    assert nonzero(activity) == {"delivered": 2, "ended": 1}


def test_a_sink_that_is_gone_ends_its_subscription_and_gives_up_an_event(
    store: Store,
    sink: RecordingSink,
    driver: DispatcherDriver,
    activity: Activity,
    answers: Callable[..., None],
) -> None:
    answers(410)
    created(store, sink=sink.url)
    store.connection.given_up.tell(activity, None)
    append(store, *(invitation(number) for number in range(1, 20)))
    driver.run()
    assert (activity.delivered, activity.ended) == (0, 1)
    # One by the worker, which asked; those behind it by the store.
    assert activity.drops == {"refused": 1, "subscription_ended": 18}
    assert store.backlog.read().dead_letters == 19


def test_a_worker_says_which_of_its_hosts_do_not_answer_and_leaves_when_it_stops(
    store: Store, sink: RecordingSink, build: Callable[..., Worker], raw_store: "redis.Redis"
) -> None:
    sink.answer = _hang_up
    created(store, sink=sink.url)
    append(store, invitation(1))
    worker = build()

    def unreachable() -> bool:
        reports = [report.worker for report in store.processes.read().reports.values()]
        hosts = [host for report in reports if report is not None for host in report.hosts]
        return [(host.host, host.state) for host in hosts] == [(sink.url.rstrip("/"), HostState.OPEN)]

    eventually(unreachable, "the worker says that the host does not answer")
    worker.stop()
    assert store.processes.read().reports == {}


def _hang_up(_: object) -> Answer:
    raise ConnectionError
