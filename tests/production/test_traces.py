"""Traces of gunicorn and a worker, as an operator starts them, at a collector and at a sink."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.harness.collector import Collector, ReceivedSpan
from tests.harness.sinks import Answer, RecordingSink
from tests.harness.valkeys import eventually
from tests.production.service import Make, Service, event, processes
from webrtc_events.telemetry.spans import SPANS

pytestmark = pytest.mark.slow

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
GATEWAY = "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{GATEWAY}-01"
OTHER = f"00-{'a' * 32}-{'b' * 16}-01"
PUBLISH = "POST /network/v0/events"


@dataclass(frozen=True)
class Traced:
    service: Service
    collector: Collector
    sink: RecordingSink

    def publish(self, *events: dict[str, Any], **headers: str) -> requests.Response:
        return requests.post(
            f"{self.service.url}/network/v0/events",
            json=list(events),
            headers=self.service.headers | {"Content-Type": "application/cloudevents-batch+json"} | headers,
            timeout=30,
        )

    def end(self) -> None:
        """As an operator ends them: they send what is left."""
        self.service.worker.terminate(30)
        self.service.api.terminate(30)


MakeTraced = Callable[..., Traced]


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture
def traced(service: Make, tmp_path: Path, collector: Collector) -> MakeTraced:
    """A running one, with further settings of OpenTelemetry."""

    def make(settings: dict[str, str] | None = None, workers: int = 1, **otel: str) -> Traced:
        made, _ = service({}, **(settings or {}))
        made.environ |= {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        made.environ |= {f"OTEL_{name}": value for name, value in otel.items()}
        made.api, made.worker = processes(tmp_path, made.environ, made.url, api_processes=2)
        made.worker._command = (*made.worker._command, "--processes", str(workers))
        made.start()
        return Traced(made, collector, made._sink)

    return make


def named(spans: list[ReceivedSpan], name: str) -> list[ReceivedSpan]:
    return [span for span in spans if span.name == name]


def numbered(number: int, **more: Any) -> dict[str, Any]:
    return event() | {"id": f"e{number}"} | more


def test_an_event_is_followed_from_the_gateway_to_each_of_three_sinks(traced: MakeTraced) -> None:
    running = traced()
    for _ in range(3):
        assert running.service.subscribe().status_code == 201
    answer = running.publish(
        numbered(1), traceparent=TRACEPARENT, tracestate="vendor=1", **{"x-correlator": "c-1"}
    )
    assert answer.status_code == 202
    received = running.sink.wait_for(3)
    posts = running.collector.wait_for(3, "POST")
    claims = running.collector.wait_for(3, "claim")
    running.collector.wait_for(1, PUBLISH)
    spans = [span for span in running.collector.spans if span.trace == TRACE]
    assert len(spans) == 8
    (request,) = named(spans, PUBLISH)
    (append,) = named(spans, "append")
    assert (request.parent, append.parent) == (GATEWAY, request.id)
    assert {claim.parent for claim in claims} == {append.id}
    assert {post.parent for post in posts} == {claim.id for claim in claims}
    # Each sink is given the span of its request.
    assert sorted(found.header("traceparent") or "" for found in received) == sorted(
        f"00-{TRACE}-{post.id}-01" for post in posts
    )
    assert {found.header("tracestate") for found in received} == {"vendor=1"}
    assert {span.kind for span in spans} == {"server", "producer", "consumer", "client"}
    assert request["webrtc_events.correlator"] == "c-1"
    assert append["webrtc_events.outboxes"] == 3
    assert {post["webrtc_events.correlator"] for post in posts} == {
        found.header("x-correlator") for found in received
    }
    # Times agree between the processes of one machine.
    assert request.began_ns <= append.began_ns <= min(claim.began_ns for claim in claims) + 50_000_000
    assert all(claim.began_ns <= claim.ended_ns for claim in claims)
    assert {span.resource["service.name"] for span in spans} == {"webrtc-events"}
    assert len({span.resource["service.instance.id"] for span in spans}) == 2
    # The notification itself is what the contract says.
    assert {frozenset(found.json) for found in received} == {
        frozenset({"id", "source", "specversion", "type", "time", "datacontenttype", "data"})
    }


def test_what_a_span_says_is_in_the_table_and_names_nobody(traced: MakeTraced) -> None:
    running = traced(TRACES_SAMPLER="always_on")
    subscription = running.service.subscribe().json()["id"]
    running.sink.answer = (500, 204)
    assert running.publish(numbered(1), numbered(1), {"bad": True}).status_code == 202
    running.collector.wait_for(2, "POST")
    running.end()
    spans = running.collector.spans
    families = [SPANS.REQUEST, SPANS.APPEND, SPANS.CLAIM, SPANS.NOTIFICATION]
    by_kind = {family.kind.value: family for family in families}
    for span in spans:
        assert set(span.attributes) <= {attribute.value for attribute in by_kind[span.kind].attributes}
    said = json.dumps([[span.name, dict(span.attributes), dict(span.resource)] for span in spans])
    for secret in (subscription, "r1", "s1", "+1202555", "12025550100", running.sink.url + "x"):
        assert f'"{secret}' not in said
    assert named(spans, "append")[0]["webrtc_events.duplicates"] == 1


def test_attempts_that_are_made_again_are_spans_of_one_trace(traced: MakeTraced) -> None:
    running = traced({"SESSION_INVITATION_DEADLINE_S": "60"})
    assert running.service.subscribe().status_code == 201
    running.sink.answer = (503, 429, 204)
    assert running.publish(numbered(1, traceparent=TRACEPARENT, tracestate='v="q\\"')).status_code == 202
    claims = running.collector.wait_for(3, "claim", 60)
    posts = running.collector.wait_for(3, "POST")
    assert [post["http.response.status_code"] for post in posts] == [503, 429, 204]
    assert [post.failed for post in posts] == [True, True, False]
    assert [post["http.request.resend_count"] for post in posts] == [None, 1, 2]
    assert [claim["webrtc_events.attempt"] for claim in claims] == [1, 2, 3]
    assert [claim["webrtc_events.outcome"] for claim in claims] == ["retry", "retry", "delivered"]
    # To be made again is no failure of the event.
    assert not any(claim.failed for claim in claims)
    assert {span.trace for span in (*claims, *posts)} == {TRACE}
    assert len({claim.parent for claim in claims}) == 1
    assert {found.header("tracestate") for found in running.sink.requests} == {'v="q\\"'}


def test_an_event_that_is_given_up_has_the_status_error(traced: MakeTraced) -> None:
    running = traced()
    assert running.service.subscribe().status_code == 201
    running.sink.answer = (400,)
    assert running.publish(numbered(1), traceparent=TRACEPARENT).status_code == 202
    (claim,) = running.collector.wait_for(1, "claim")
    assert claim.failed
    assert claim["webrtc_events.outcome"] in ("drop", "end")
    assert claim["error.type"]


def test_the_own_trace_of_an_event_wins_and_the_request_is_linked(traced: MakeTraced) -> None:
    running = traced()
    assert running.service.subscribe().status_code == 201
    answer = running.publish(
        numbered(1), numbered(2, traceparent=OTHER), numbered(3, traceparent=7), traceparent=TRACEPARENT
    )
    assert answer.status_code == 202
    running.sink.wait_for(3)
    running.collector.wait_for(3, "POST")
    (request,) = running.collector.wait_for(1, PUBLISH)
    of_request, own = sorted(running.collector.wait_for(2, "append"), key=lambda span: span.trace == "a" * 32)
    assert (of_request.trace, of_request.parent, of_request.links) == (TRACE, request.id, ())
    assert (own.trace, own.parent, own.links) == ("a" * 32, "b" * 16, (request.id,))
    # What is no traceparent is none: the event is of the request's trace.
    assert of_request["messaging.batch.message_count"] == 2
    found = [request.header("traceparent") or "" for request in running.sink.requests]
    assert [text[3:35] for text in found] == [TRACE, "a" * 32, TRACE]


def test_a_trace_that_the_gateway_does_not_record_passes_through_as_it_is(traced: MakeTraced) -> None:
    running = traced()
    assert running.service.subscribe().status_code == 201
    unsampled = TRACEPARENT.removesuffix("01") + "00"
    assert running.publish(numbered(1), traceparent=unsampled, tracestate="a=1").status_code == 202
    (received,) = running.sink.wait_for(1)
    assert received.header("traceparent") == unsampled
    assert received.header("tracestate") == "a=1"
    running.end()
    assert TRACE not in {span.trace for span in running.collector.spans}


def test_a_part_of_all_traces_is_recorded_and_of_the_others_nothing(traced: MakeTraced) -> None:
    running = traced(TRACES_SAMPLER="parentbased_traceidratio", TRACES_SAMPLER_ARG="0.5")
    assert running.service.subscribe().status_code == 201
    for number in range(40):
        assert running.service.publish(number).status_code == 202
    received = running.sink.wait_for(40, 30)
    recorded = [found for found in received if found.header("traceparent")]
    assert 2 < len(recorded) < 38
    assert len(running.collector.wait_for(len(recorded), "POST")) == len(recorded)
    running.end()
    assert len(named(running.collector.spans, "append")) == len(recorded)


def test_an_end_has_a_trace_of_all_its_attempts(traced: MakeTraced) -> None:
    running = traced()
    subscription = running.service.subscribe().json()["id"]
    running.sink.answer = (503, 204)
    deleted = requests.delete(
        f"{running.service.url}/network/v0/subscriptions/{subscription}",
        headers=running.service.headers,
        timeout=10,
    )
    assert deleted.status_code == 204
    claims = running.collector.wait_for(2, "claim", 60)
    assert {claim["webrtc_events.event_type"] for claim in claims} == {"subscription-ended"}
    assert len({claim.trace for claim in claims}) == 1
    assert {claim.parent for claim in claims} == {""}


def test_what_a_killed_worker_had_in_hand_is_sent_by_the_next_in_the_same_trace(traced: MakeTraced) -> None:
    running = traced()
    assert running.service.subscribe().status_code == 201
    answers = iter([Answer(never=True)])
    running.sink.answer = lambda _: next(answers, Answer())
    assert running.publish(numbered(1), traceparent=TRACEPARENT).status_code == 202
    running.sink.wait_for(1)
    os.killpg(os.getpgid(running.service.worker.pid), signal.SIGKILL)
    eventually(lambda: not running.service.worker.running, "it is gone")
    running.service.worker.start()
    first, second = running.sink.wait_for(2, 90)
    (post,) = running.collector.wait_for(1, "POST", 60)
    assert second.header("traceparent") == f"00-{TRACE}-{post.id}-01"
    assert first.header("traceparent") != second.header("traceparent")
    (append,) = running.collector.wait_for(1, "append")
    (claim,) = running.collector.wait_for(1, "claim")
    assert (claim.parent, post.parent) == (append.id, claim.id)


def test_a_collector_that_is_away_loses_spans_and_nothing_else(traced: MakeTraced) -> None:
    running = traced(EXPORTER_OTLP_TIMEOUT="1")
    running.collector.status = 503
    assert running.service.subscribe().status_code == 201
    for number in range(20):
        assert running.service.publish(number).status_code == 202
    running.sink.wait_for(20, 20)
    eventually(lambda: "traces lack spans" in running.service.worker.output, "it is said", 60)
    assert running.service.worker.output.count("traces lack spans") == 1
    assert " opentelemetry." not in running.service.worker.output
    running.collector.status = 200
    assert running.service.publish(21).status_code == 202
    eventually(lambda: named(running.collector.spans, "POST"), "they come again", 60)


def test_a_stop_sends_what_is_left_and_waits_for_no_collector(traced: MakeTraced) -> None:
    running = traced()
    assert running.service.subscribe().status_code == 201
    assert running.service.publish(1).status_code == 202
    running.sink.wait_for(1)
    running.service.worker.terminate(30)
    assert named(running.collector.spans, "POST")
    running.collector.gate.clear()
    running.service.publish(2)
    # It waits 3 s at most for what has no answer.
    running.service.api.terminate(30)


def test_each_process_of_a_worker_sends_its_spans(traced: MakeTraced) -> None:
    running = traced(workers=2)
    registrations = [f"r{number}" for number in range(40)]
    for registration in registrations:
        config = {"subscriptionDetail": {"registrationId": registration}}
        assert running.service.subscribe(config=config).status_code == 201
    for turn in range(10):
        events = [event() | {"id": f"{turn} {name}", "subject": name} for name in registrations]
        assert running.publish(*events).status_code == 202
    # Each has partitions at home with it.
    posts = running.collector.wait_for(400, "POST", 90)
    assert len({post.resource["service.instance.id"] for post in posts}) == 2
    assert {post["http.response.status_code"] for post in posts} == {204}
