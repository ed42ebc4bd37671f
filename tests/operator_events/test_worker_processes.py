"""Real workers report to a real sink of operators what happens to real sinks."""

import signal
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from tests.harness.builders import append, created, invitation
from tests.harness.commands import Running, eventually, start
from tests.harness.sinks import Answer, RecordingSink
from tests.operator_events.received import event_of, kinds
from webrtc_events.core.settings import Settings
from webrtc_events.operator_events.cloud_events import OperatorEvents
from webrtc_events.operator_events.conditions import Kind, Occurrence
from webrtc_events.store.store import Store

__all__ = ["start"]

pytestmark = pytest.mark.slow

Workers = Callable[..., list[Running]]
TOKEN = "0perat0r"


@pytest.fixture
def sink() -> Iterator[RecordingSink]:
    with RecordingSink() as recording:
        yield recording


@pytest.fixture
def operator(sink: RecordingSink) -> Iterator[RecordingSink]:
    """Of the same CA as the sink of the subscriber."""
    with RecordingSink(authority=sink.authority) as recording:
        yield recording


@pytest.fixture
def workers(
    environ: dict[str, str], sink: RecordingSink, operator: RecordingSink, start: Callable[..., Running]
) -> Workers:
    def begin(count: int, **more: str) -> list[Running]:
        env = environ | {
            "WEBRTC_EVENTS_SINK_CA_FILE": str(sink.ca_file),
            "WEBRTC_EVENTS_OPERATOR_SINK": operator.url_of("/operators"),
            "WEBRTC_EVENTS_OPERATOR_SINK_TOKEN": TOKEN,
            "WEBRTC_EVENTS_SOURCE": "https://webrtc.operator.example/events",
        }
        env |= {f"WEBRTC_EVENTS_{name}": value for name, value in more.items()}
        begun = [start("worker", env=env) for _ in range(count)]
        for running in begun:
            running.await_output("Delivering.")
        return begun

    return begin


def test_three_workers_report_a_host_once_and_its_return_once(
    workers: Workers, store: Store, sink: RecordingSink, operator: RecordingSink
) -> None:
    for number in range(9):
        created(store, sink=sink.url_of(f"/{number}"), registration=f"r{number}")
    # A host that never answered, so that its first failure opens the circuit of each worker.
    name = f"https://localhost:{sink.port}"
    context = sink._context
    with RecordingSink() as untrusted:
        sink.use(untrusted._context)
    workers(3)
    for number in range(9):
        append(store, invitation(number, registration=f"r{number}"))
    opened = event_of(operator.wait_for(1, 30)[0])
    assert opened["type"] == "org.webrtc-events.operator.v0.sink-circuit-opened"
    assert opened["subject"] == opened["data"]["host"] == name
    assert opened["data"]["reason"] == "tls"
    assert opened["source"] == "https://webrtc.operator.example/events"
    assert operator.requests[0].header("authorization") == f"Bearer {TOKEN}"
    sink.use(context)
    assert len(sink.wait_for(9, 90)) == 9
    recovered = event_of(operator.wait_for(2, 90)[1])
    assert recovered["data"] | {"reportedBy": 0} == {
        "host": name,
        "since": opened["data"]["since"],
        "reason": "answered",
        "reportedBy": 0,
    }
    assert kinds(operator.requests) == ["sink-circuit-opened", "sink-recovered"]


def test_a_sink_that_fails_is_reported_at_half_of_its_time_and_its_end_too(
    workers: Workers, store: Store, sink: RecordingSink, operator: RecordingSink, settings: Settings
) -> None:
    # One alone may wait from before half of the time until after all of it: delays have full jitter.
    made = {created(store, sink=sink.url_of(f"/inbox/{number}")).id for number in range(12)}
    sink.answer = lambda received: Answer(500)  # noqa: ARG005
    workers(2, SINK_FAILURE_S="20", SESSION_INVITATION_DEADLINE_S="3600")
    # By settings of this process the deadline would be over before.
    append(Store.connect(replace(settings, session_invitation_deadline_s=3600)), invitation(1))
    failing, ended = map(event_of, operator.wait_for(2, 240)[:2])
    assert kinds(operator.requests)[:2] == ["sink-failing", "subscription-ended-for-failure"]
    assert made.issuperset(failing["data"]["subscriptionIds"] + ended["data"]["subscriptionIds"])
    assert failing["data"]["since"] < failing["time"] < ended["time"]


def test_a_killed_worker_and_a_sink_that_is_away_lose_nothing_and_keep_the_order(
    workers: Workers, store: Store, operator: RecordingSink, settings: Settings
) -> None:
    """Tests that somebody sends are events like all others."""
    operator.answer = lambda received: Answer(503)  # noqa: ARG005
    events = OperatorEvents(settings.source)
    [first] = workers(1)
    for number in range(20):
        occurrence = Occurrence(Kind.TEST, "operator-events", {"message": str(number)})
        store.operator_outbox.append(events.text(occurrence, 0))
    operator.wait_for(1, 20)
    assert first.stop(signal.SIGKILL) != 0
    workers(2)
    operator.answer = (204,)

    def messages() -> list[str]:
        taken = {event["id"]: event for event in map(event_of, operator.requests)}
        return [event["data"]["message"] for event in taken.values()]

    assert eventually(lambda: len(messages()) == 20, 60)
    assert messages() == [str(number) for number in range(20)]
    assert eventually(lambda: not store.operator_outbox.may_be_due(), 20)
