"""Spans of attempts, by the dispatcher: what ends without a request, a channel's, an end's, a question's."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan

from tests.delivery.asking import agreeing, asked
from tests.delivery.deliveries import BreaksAtSettle, Make
from tests.harness.builders import append, created, invitation, with_claims
from tests.harness.channels import BASE, listening, new_channel
from tests.harness.recorded_spans import RecordedSpans
from tests.harness.sinks import RecordingSink
from tests.harness.valkeys import free_port
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.log_masking import Masking
from webrtc_events.core.model import NetworkEvent, Status, TerminationReason
from webrtc_events.core.settings import Settings
from webrtc_events.core.trace_context import TraceContext
from webrtc_events.delivery.attempt_spans import AttemptSpans
from webrtc_events.store.outbox_entries import payload_with_trace
from webrtc_events.store.store import Store

SAMPLED = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", 1)


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    return environ | {"WEBRTC_EVENTS_CHANNELS_URL": BASE}


@pytest.fixture
def recorded(settings: Settings) -> Iterator[RecordedSpans]:
    spans = RecordedSpans(settings)
    yield spans
    spans.tracing.stop()


@pytest.fixture
def masking(settings: Settings) -> Masking:
    return Masking.of(settings)


@pytest.fixture
def run(make_driver: Make, recorded: RecordedSpans, masking: Masking) -> Callable[..., None]:
    """Delivers all there is."""

    def deliver(**options: Any) -> None:
        spans = AttemptSpans(recorded.tracing, SystemClock(), masking.text, masking.pseudonym)
        make_driver(spans=spans, **options).run()

    return deliver


def traced(number: int, flags: int = 1, **changes: Any) -> NetworkEvent:
    event = invitation(number)
    trace = TraceContext(SAMPLED.trace_id, SAMPLED.span_id, flags)
    payload = changes.pop("payload", event.payload)
    return dataclasses.replace(event, payload=payload_with_trace(payload, trace), **changes)


def of(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_each_event_of_a_claim_has_its_attempt(
    store: Store, sink: RecordingSink, recorded: RecordedSpans, masking: Masking, run: Callable[..., None]
) -> None:
    made = created(store, sink=sink.url_of("/secret/path?user=alice"))
    append(store, traced(1), invitation(2), traced(3), traced(4, flags=0))
    run()
    headers = [request.header("traceparent") for request in sink.requests]
    claims, posts = recorded.named("claim"), recorded.named("POST")
    assert headers == [
        f"00-{SAMPLED.trace_id}-{posts[0].context.span_id:016x}-01",
        None,
        f"00-{SAMPLED.trace_id}-{posts[1].context.span_id:016x}-01",
        f"00-{SAMPLED.trace_id}-{SAMPLED.span_id}-00",
    ]
    by_id = {claim.context.span_id: claim for claim in claims}
    for post in posts:
        assert post.parent is not None
        claim = by_id.pop(post.parent.span_id)
        assert claim.parent is not None
        assert f"{claim.parent.span_id:016x}" == SAMPLED.span_id
        # The sink's request lies within.
        assert (
            (claim.start_time or 0) <= (post.start_time or 0) <= (post.end_time or 0) <= (claim.end_time or 0)
        )
    assert of(claims[0]) == {
        "messaging.system": "webrtc-events",
        "messaging.operation.name": "claim",
        "messaging.operation.type": "process",
        "webrtc_events.event_type": "session-invitation",
        "webrtc_events.subscription": masking.pseudonym(made.id),
        "webrtc_events.attempt": 1,
        "webrtc_events.outcome": "delivered",
    }
    assert of(posts[0]) == {
        "http.request.method": "POST",
        "server.address": "localhost",
        "server.port": sink.port,
        "http.response.status_code": 204,
        "webrtc_events.correlator": sink.requests[0].header("x-correlator"),
    }


def test_a_sink_that_does_not_answer_is_an_error_by_its_reason(
    store: Store, sink: RecordingSink, recorded: RecordedSpans, run: Callable[..., None]
) -> None:
    created(store, sink=f"https://127.0.0.1:{free_port()}/")
    append(store, traced(1, payload=invitation(1).payload))
    with pytest.raises(AssertionError, match="still busy"):
        run()
    posts, claims = recorded.named("POST"), recorded.named("claim")
    assert {(of(post)["error.type"], of(post).get("http.response.status_code")) for post in posts} == {
        ("connect", None)
    }
    assert of(claims[0])["webrtc_events.outcome"] == "retry"
    assert not any(post.status.is_ok or post.status.is_unset for post in posts)
    assert all(claim.status.is_unset for claim in claims)


def test_an_event_that_is_given_up_without_a_request_is_an_error(
    store: Store, sink: RecordingSink, recorded: RecordedSpans, run: Callable[..., None]
) -> None:
    created(store, sink=sink.url)
    append(store, traced(1, payload=invitation(1).payload.replace("Initial", "Nowhere")), traced(2))
    run()
    # Both began with the claim.
    second, first = sorted(recorded.named("claim"), key=lambda span: of(span)["webrtc_events.outcome"])
    assert (of(first)["error.type"], of(first)["webrtc_events.outcome"]) == ("invalid_event", "drop")
    assert not (first.status.is_ok)
    assert not (first.status.is_unset)
    # The reason alone: the detail may repeat what is in the event.
    assert first.status.description == "invalid_event"
    assert second.status.is_unset
    assert len(recorded.named("POST")) == 1


@pytest.mark.parametrize("flags", [0, 1])
def test_headers_of_a_subscription_give_way_to_a_trace(
    store: Store, sink: RecordingSink, run: Callable[..., None], flags: int
) -> None:
    created(store, sink=sink.url, headers={"Traceparent": "mine", "X-Own": "1"})
    append(store, traced(1, flags), invitation(2))
    run()
    first, second = sink.requests
    assert [name.lower() for name, _ in first.headers].count("traceparent") == 1
    assert (first.header("traceparent") or "")[3:35] == SAMPLED.trace_id
    assert (second.header("traceparent"), second.header("x-own")) == ("mine", "1")


def test_an_end_is_a_trace_by_itself_and_a_question_too(
    store: Store, sink: RecordingSink, recorded: RecordedSpans, run: Callable[..., None]
) -> None:
    sink.answer = agreeing()
    made = asked(store, sink)
    run()
    store.subscriptions.end(made.id, TerminationReason.NETWORK_TERMINATED, Status.EXPIRED, drop_pending=False)
    run()
    question, end = recorded.named("claim")
    assert [of(span)["webrtc_events.event_type"] for span in (question, end)] == [
        "handshake",
        "subscription-ended",
    ]
    assert (question.parent, end.parent) == (None, None)
    assert question.context.trace_id != end.context.trace_id
    assert of(question)["webrtc_events.outcome"] == "agreed"
    (options,) = recorded.named("OPTIONS")
    assert of(options)["http.request.method"] == "OPTIONS"
    assert [(request.header("traceparent") or "")[3:35] for request in sink.requests] == [
        f"{span.context.trace_id:032x}" for span in (question, end)
    ]


def test_a_channel_has_attempts_without_requests_once_they_are_written(
    store: Store, recorded: RecordedSpans, run: Callable[..., None]
) -> None:
    listening(store, new_channel(store))
    # Its first settle does not reach the store.
    with_claims(store, BreaksAtSettle).cut = ["request"]
    append(store, traced(1), traced(2))
    run()
    assert [of(span)["webrtc_events.outcome"] for span in recorded.named("claim")] == ["delivered"] * 2
    assert recorded.named("POST") == []


def test_the_same_end_has_the_same_trace_whoever_sends_it(
    store: Store, sink: RecordingSink, recorded: RecordedSpans, run: Callable[..., None]
) -> None:
    made = created(store, sink=sink.url)
    sink.answer = (503, 503, 204)
    store.subscriptions.end(made.id, TerminationReason.NETWORK_TERMINATED, Status.EXPIRED, drop_pending=False)
    run()
    claims = recorded.named("claim")
    assert [of(span)["webrtc_events.attempt"] for span in claims] == [1, 2, 3]
    assert len({span.context.trace_id for span in claims}) == 1
