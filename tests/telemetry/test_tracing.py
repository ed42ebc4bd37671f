"""Spans on their way to a collector: sampled, bounded, counted, and never waited for."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.harness.collector import Collector
from tests.harness.valkeys import eventually, free_port
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.settings import Settings
from webrtc_events.core.trace_context import TraceContext
from webrtc_events.telemetry.spans import SPANS, Attribute, SpanFamily
from webrtc_events.telemetry.trace_start import start_tracing
from webrtc_events.telemetry.tracing import Tracing

SAMPLED = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", 1, "1digit=x")
UNSAMPLED = TraceContext(SAMPLED.trace_id, SAMPLED.span_id, 0)
CLOCK = SystemClock()

Make = Callable[..., Tracing]


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture
def tracing_with(settings: Settings, collector: Collector) -> Iterator[Make]:
    """One that sends to the collector, unless it is to send elsewhere."""
    made: list[Tracing] = []

    def make(**otel: Any) -> Tracing:
        given = {"otel_exporter_otlp_endpoint": collector.url} | {f"otel_{name}": otel[name] for name in otel}
        found = start_tracing(replace(settings, **given), CLOCK)
        assert found is not None
        made.append(found)
        return found

    yield make
    collector.gate.set()
    for tracing in made:
        tracing.stop()


def end(tracing: Tracing, count: int = 1, family: SpanFamily = SPANS.APPEND) -> None:
    for _ in range(count):
        span = tracing.start(family, None)
        assert span is not None
        span.end()


def test_a_span_says_what_was_noted_and_whose_child_it_is(tracing_with: Make, collector: Collector) -> None:
    tracing = tracing_with(
        service_name="mine", resource_attributes=(("a", "1"),), exporter_otlp_headers=(("api-key", "k"),)
    )
    began_s = CLOCK.monotonic() - 10
    span = tracing.start(
        SPANS.REQUEST, SAMPLED, began_s=began_s, attributes={Attribute.METHOD: "GET"}, link=UNSAMPLED
    )
    assert span is not None
    assert (span.context.trace_id, span.context.sampled, span.context.state) == (
        SAMPLED.trace_id,
        True,
        "1digit=x",
    )
    span.rename("GET /x")
    span.note(Attribute.STATUS, 503)
    span.note(Attribute.CORRELATOR, "c" * 1000)
    span.fail("503")
    span.end()
    (found,) = collector.wait_for(1)
    assert (found.name, found.kind, found.trace, found.parent) == (
        "GET /x",
        "server",
        SAMPLED.trace_id,
        SAMPLED.span_id,
    )
    assert (found.id, found.links, found.failed) == (span.context.span_id, (SAMPLED.span_id,), True)
    assert (found["http.request.method"], found["http.response.status_code"]) == ("GET", 503)
    assert len(found["webrtc_events.correlator"]) == 256
    assert 10 <= (found.ended_ns - found.began_ns) / 1e9 < 60
    assert (found.resource["service.name"], found.resource["a"]) == ("mine", "1")
    assert found.resource["service.version"]
    assert collector.headers[0]["api-key"] == "k"


def test_a_span_that_is_never_ended_is_forgotten(tracing_with: Make, collector: Collector) -> None:
    tracing = tracing_with()
    assert tracing.start(SPANS.CLAIM, None) is not None
    end(tracing)
    tracing.stop()
    assert [span.name for span in collector.spans] == ["append"]


@pytest.mark.parametrize(
    ("sampler", "argument", "of_none", "of_sampled", "of_unsampled"),
    [
        ("always_on", 1.0, True, True, True),
        ("always_off", 1.0, False, False, False),
        ("parentbased_always_on", 1.0, True, True, False),
        ("parentbased_always_off", 1.0, False, True, False),
        ("traceidratio", 0.0, False, False, False),
        ("traceidratio", 1.0, True, True, True),
        ("parentbased_traceidratio", 0.0, False, True, False),
        ("parentbased_traceidratio", 1.0, True, True, False),
    ],
)
def test_a_sampler_does_what_its_name_says(
    tracing_with: Make, sampler: str, argument: float, of_none: bool, of_sampled: bool, of_unsampled: bool
) -> None:
    tracing = tracing_with(traces_sampler=sampler, traces_sampler_arg=argument)
    found = [tracing.start(SPANS.REQUEST, parent) is not None for parent in (None, SAMPLED, UNSAMPLED)]
    assert found == [of_none, of_sampled, of_unsampled]


def test_a_share_of_all_is_recorded_and_one_trace_as_a_whole(tracing_with: Make) -> None:
    tracing = tracing_with(traces_sampler="parentbased_traceidratio", traces_sampler_arg=0.25)
    recorded = sum(tracing.start(SPANS.REQUEST, None) is not None for _ in range(2000))
    assert 350 < recorded < 650
    # Whoever asks for one with a given id gets the same answer.
    ids = [f"{number * 0x9E3779B97F4A7C15 % 2**128 + 1:032x}" for number in range(200)]
    answers = [
        [tracing.start(SPANS.CLAIM, None, trace_id=trace_id) is not None for trace_id in ids]
        for _ in range(2)
    ]
    assert answers[0] == answers[1]
    assert 0 < sum(answers[0]) < 200


def test_a_span_may_be_of_a_trace_that_others_know(tracing_with: Make) -> None:
    tracing = tracing_with()
    spans = [tracing.start(SPANS.CLAIM, None, trace_id="a" * 32) for _ in range(2)]
    assert {span.context.trace_id for span in spans if span is not None} == {"a" * 32}
    other = tracing.start(SPANS.CLAIM, None)
    assert other is not None
    assert other.context.trace_id != "a" * 32


def test_of_more_than_may_wait_those_that_come_are_lost_and_counted(
    tracing_with: Make, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    collector.gate.clear()
    tracing = tracing_with()
    began_s = CLOCK.monotonic()
    end(tracing, 6000)
    # The collector would have had 10 s.
    assert CLOCK.monotonic() - began_s < 9
    assert tracing.counts["lost"] >= 6000 - 2048 - 2 * 512
    collector.gate.set()
    eventually(lambda: tracing.counts["exported"] + tracing.counts["lost"] == 6000, "all are counted", 30)
    assert len(collector.spans) == tracing.counts["exported"] >= 2048
    lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(lines) == 1
    assert lines[0].startswith("traces lack spans, 1 until now: the collector http://127.0.0.1:")


@pytest.mark.parametrize("status", [400, 503])
def test_a_collector_that_refuses_costs_spans_and_a_line(
    tracing_with: Make,
    collector: Collector,
    status: int,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    collector.status = status
    tracing = tracing_with(exporter_otlp_headers=(("authorization", "s3cret"),))
    end(tracing, 3)
    eventually(lambda: tracing.counts["lost"] == 3, "they are lost", 30)
    end(tracing, 2)
    eventually(lambda: tracing.counts["lost"] == 5, "these too", 30)
    collector.status = 200
    end(tracing)
    eventually(lambda: tracing.counts["exported"] == 1, "it is back", 30)
    warned = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warned) == 1
    # And why.
    assert {400: "code: 400", 503: "export"}[status] in warned[0].rpartition("not take them: ")[2]
    assert "s3cret" not in caplog.text


def test_a_collector_that_is_not_there_costs_spans_alone(
    tracing_with: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    tracing = tracing_with(exporter_otlp_endpoint=f"http://127.0.0.1:{free_port()}/base/")
    end(tracing)
    eventually(lambda: tracing.counts["lost"] == 1, "it is lost", 30)


def test_a_stop_sends_what_is_left(tracing_with: Make, collector: Collector) -> None:
    tracing = tracing_with()
    end(tracing, 5)
    tracing.stop()
    assert len(collector.spans) == 5
    # A second time, and what comes too late.
    tracing.stop()


def test_a_stop_does_not_wait_for_a_collector_that_hangs(
    tracing_with: Make, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    collector.gate.clear()
    tracing = tracing_with()
    end(tracing, 600)
    began_s = CLOCK.monotonic()
    tracing.stop()
    # Its library would wait for 30 s.
    assert CLOCK.monotonic() - began_s < 20
    assert "traces lack the last spans of this process" in caplog.text


@pytest.mark.parametrize("name", ["EXPORTER_OTLP_TIMEOUT", "EXPORTER_OTLP_COMPRESSION", "BSP_MAX_QUEUE_SIZE"])
def test_nonsense_in_what_the_library_reads_itself_stops_nothing(
    tracing_with: Make, collector: Collector, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(f"OTEL_{name}", "nonsense")
    end(tracing_with())
    collector.wait_for(1)
