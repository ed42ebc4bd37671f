"""What the trace of a call says of attempts: each outcome in its words, and no more than is to be kept."""

import dataclasses
import json
from collections.abc import Callable

import pytest
import redis

from tests.delivery.asking import agreeing, allowing, asked
from tests.delivery.conftest import DispatcherDriver
from tests.delivery.deliveries import P
from tests.harness.builders import append, created, invitation, session_status
from tests.harness.sinks import Answer, RecordingSink
from tests.store.call_notes import recorder_of
from webrtc_events.core.call_trace import AttemptEntry, TraceLevel
from webrtc_events.core.model import EventType, Status, TerminationReason
from webrtc_events.delivery.attempt_notes import AttemptNotes
from webrtc_events.store.call_traces import CallFilter
from webrtc_events.store.keys import call_trace_key
from webrtc_events.store.store import Store

STATUS = EventType.SESSION_STATUS
Attempts = Callable[..., list[AttemptEntry]]


@pytest.fixture
def run(store: Store, make_driver: Callable[..., DispatcherDriver]) -> Attempts:
    """Delivers all that is due; the attempts that the trace of the session then has."""

    def deliver(session: str = "s1", level: TraceLevel = TraceLevel.FULL) -> list[AttemptEntry]:
        recorder = recorder_of(store, level=level)
        make_driver(notes=AttemptNotes(recorder)).run()
        recorder.flush()
        entries = store.call_traces.read(session).entries
        assert all(isinstance(entry, AttemptEntry) for entry in entries)
        return entries  # type: ignore[return-value]

    return deliver


def words(entries: list[AttemptEntry]) -> list[tuple[str, int | None]]:
    return [(entry.outcome, entry.http) for entry in entries]


def test_a_delivery_is_in_the_trace_with_all_that_is_known_of_it(
    store: Store, sink: RecordingSink, run: Attempts
) -> None:
    made = created(store, sink=sink.url_of("/hook?a=b"), event_type=STATUS, session="s1")
    append(store, session_status(3, registration="r1", status="Ringing"))
    (entry,) = run()
    assert entry.ms is not None
    assert entry.at >= entry.accepted_at
    body = sink.requests[0].json
    assert json.loads(entry.body or "") == body
    assert entry == AttemptEntry(
        at=entry.at,
        session="s1",
        subscription=made.id,
        event=f"{made.id}.1",
        type="session-status",
        status="Ringing",
        sequence=3,
        accepted_at=entry.accepted_at,
        attempt=1,
        outcome="delivered",
        http=204,
        ms=entry.ms,
        host=sink.url_of("").rstrip("/"),
        client="app",
        sink=sink.url_of("/hook?a=b"),
        body=entry.body,
    )


def test_metadata_has_nothing_of_what_was_said(
    store: Store, sink: RecordingSink, run: Attempts, raw_store: "redis.Redis"
) -> None:
    created(store, sink=sink.url_of("/s3cret"))
    append(store, invitation(1))
    (entry,) = run(level=TraceLevel.METADATA)
    assert (entry.sink, entry.body, entry.status) == (None, None, "Initial")
    stored = repr(raw_store.hgetall(call_trace_key("s1")))
    assert "s3cret" not in stored
    assert "2025550100" not in stored


def test_a_500_is_tried_again_and_delivered(store: Store, sink: RecordingSink, run: Attempts) -> None:
    sink.answer = [500, 204]
    created(store, sink=sink.url_of("/"))
    append(store, invitation(1))
    first, second = run()
    assert (first.outcome, first.http, first.attempt, first.reason) == ("retry", 500, 1, "http_500")
    assert first.delay_ms is not None
    assert (second.outcome, second.http, second.attempt, second.delay_ms) == ("delivered", 204, 2, None)
    assert first.at <= second.at


def test_a_410_ends_the_subscription(store: Store, sink: RecordingSink, run: Attempts) -> None:
    sink.answer = [410]
    created(store, sink=sink.url_of("/"), event_type=STATUS, session="s1")
    append(store, session_status(1, registration="r1"), session_status(2, registration="r1"))
    entries = run()
    assert words(entries)[0] == ("end", 410)
    summary = store.call_traces.summary("s1")
    assert summary is not None
    assert (summary.ended, summary.outcome) == (1, "failed")


def test_the_end_of_a_subscription_to_the_session_is_the_last_of_its_entries(
    store: Store, sink: RecordingSink, run: Attempts
) -> None:
    made = created(store, sink=sink.url_of("/"), event_type=STATUS, session="s1")
    append(store, session_status(1, registration="r1"))
    store.subscriptions.end(
        made.id, TerminationReason.SUBSCRIPTION_EXPIRED, Status.EXPIRED, drop_pending=False
    )
    event, end = run()
    assert (event.last, end.last) == (False, True)
    assert (end.type, end.event, end.outcome) == ("subscription-ended", f"{made.id}.2", "delivered")
    assert json.loads(end.body or "")["data"]["terminationReason"] == "SUBSCRIPTION_EXPIRED"


def test_the_end_of_a_subscription_to_no_session_is_no_matter_of_a_call(
    store: Store, sink: RecordingSink, run: Attempts, raw_store: "redis.Redis"
) -> None:
    made = created(store, sink=sink.url_of("/"))
    store.subscriptions.end(
        made.id, TerminationReason.SUBSCRIPTION_EXPIRED, Status.EXPIRED, drop_pending=False
    )
    assert run() == []
    assert len(sink.requests) == 1
    assert raw_store.keys("session:*") == []


def test_what_is_given_up_without_a_try_has_no_time_and_no_answer(
    store: Store, sink: RecordingSink, run: Attempts, raw_store: "redis.Redis"
) -> None:
    created(store, sink=sink.url_of("/"))
    append(store, invitation(1))
    outbox = raw_store.keys(f"{P.tag}:outbox:*")[0]
    head, _, payload = raw_store.lindex(outbox, 0).partition("\n")
    number, kind, accepted, _, sequence = head.split(" ")
    raw_store.lset(outbox, 0, f"{number} {kind} {accepted} {accepted} {sequence}\n{payload}")
    (entry,) = run()
    assert (entry.outcome, entry.reason) == ("drop", "deadline_exceeded")
    assert (entry.ms, entry.http, entry.body) == (None, None, None)
    assert (entry.sequence, entry.attempt) == (1, 1)
    assert sink.requests == []


def test_a_sink_that_cannot_be_reached_is_a_retry_with_its_reason(
    store: Store, sink: RecordingSink, run: Attempts
) -> None:
    answers = iter([Answer(never=True), Answer()])
    sink.answer = lambda _: next(answers)
    created(store, sink=sink.url_of("/"))
    append(store, invitation(1))
    first, second = run()
    assert (first.outcome, first.reason, first.http) == ("retry", "timeout", None)
    assert first.detail
    assert (second.outcome, second.http) == ("delivered", 204)


def test_sequence_numbers_that_the_service_counts_are_those_that_were_sent(
    store: Store, sink: RecordingSink, run: Attempts
) -> None:
    created(store, sink=sink.url_of("/"))
    event = invitation(1)
    payload = json.loads(event.payload)
    del payload["data"]["sequenceNumber"]
    append(store, dataclasses.replace(event, payload=json.dumps(payload), numbered=False))
    (entry,) = run()
    assert entry.sequence == sink.requests[0].json["data"]["sequenceNumber"]


def test_the_question_whether_a_sink_agrees_is_in_the_trace_of_the_session(
    store: Store, sink: RecordingSink, run: Attempts
) -> None:
    made = asked(store, sink, event_type=STATUS, session="s1")
    sink.answer = agreeing()
    (entry,) = run()
    assert (entry.type, entry.outcome, entry.http, entry.last) == ("handshake", "agreed", 200, False)
    assert (entry.subscription, entry.body, entry.status) == (made.id, None, None)


def test_a_sink_that_does_not_agree_has_refused(store: Store, sink: RecordingSink, run: Attempts) -> None:
    asked(store, sink, event_type=STATUS, session="s1")
    sink.answer = allowing(status=403)
    (entry,) = run()
    assert (entry.outcome, entry.http) == ("refused", 403)
    assert entry.reason


def test_a_registration_is_involved_in_the_calls_of_its_subscriptions(
    store: Store, sink: RecordingSink, run: Attempts
) -> None:
    created(store, sink=sink.url_of("/"), event_type=STATUS, session="s1")
    append(store, session_status(1), to=P.number)
    run()
    page = store.call_traces.recent(wanted=CallFilter(registration="r1"))
    assert [call.session for call in page.calls] == ["s1"]


def test_an_entry_that_cannot_be_read_is_of_no_call(
    store: Store, sink: RecordingSink, run: Attempts, raw_store: "redis.Redis"
) -> None:
    created(store, sink=sink.url_of("/"))
    append(store, invitation(1), invitation(2))
    outbox = raw_store.keys(f"{P.tag}:outbox:*")[0]
    head, _, _ = raw_store.lindex(outbox, 0).partition("\n")
    raw_store.lset(outbox, 0, f"{head}\n{{")
    assert words(run()) == [("delivered", 204)]
