"""What an entry says, and how an event keeps its number in another one."""

import json

import pytest

from webrtc_events.core.model import OutboxKind
from webrtc_events.core.trace_context import TraceContext
from webrtc_events.store.outbox_entries import (
    keep_event_number,
    parse_entry,
    payload_with_trace,
    referred_payload,
    trace_of,
)

PAYLOAD = '{"type":"t","data":{"status":"{\\"number\\":9,"}}'
HEAD = "7 0 1000 2000 3"


def test_an_entry_has_its_own_number() -> None:
    item = parse_entry(f"{HEAD}\n{PAYLOAD}")
    assert (item.number, item.end, item.accepted_ms, item.deadline_ms, item.sequence) == (
        7,
        False,
        1000,
        2000,
        3,
    )
    assert item.event_number == 7


def test_a_redelivered_event_keeps_its_number_however_often() -> None:
    payload = keep_event_number(parse_entry(f"{HEAD}\n{PAYLOAD}"))
    assert json.loads(payload) == {"number": 7, **json.loads(PAYLOAD)}
    again = parse_entry(f"12 0 5000 6000 3\n{payload}")
    assert (again.number, again.event_number) == (12, 7)
    assert keep_event_number(again) == payload


@pytest.mark.parametrize("entry", ["", "7 0 1000\n{}", "x 0 1 1 1\n{}", "7 0 1 1 1 1\n{}"])
def test_what_is_no_entry_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="does not begin"):
        parse_entry(entry)


def test_an_entry_may_refer_to_a_payload() -> None:
    sha = "0123456789abcdef" * 2 + "01234567"
    assert referred_payload(f"{HEAD}\n@{sha} 70000") == sha


@pytest.mark.parametrize(
    "payload",
    [PAYLOAD, "", "@", "@12 70000", f"@{'0' * 40}", f"@{'0' * 40} 7 ", f"@{'0' * 40} 7" + "0" * 200],
)
def test_what_has_its_payload_or_none_refers_to_nothing(payload: str) -> None:
    assert referred_payload(f"{HEAD}\n{payload}") is None


@pytest.mark.parametrize("kind", OutboxKind)
def test_an_entry_says_what_it_stands_for(kind: OutboxKind) -> None:
    assert parse_entry(f"7 {kind:d} 1000 2000 3\n{PAYLOAD}").kind is kind


def test_the_head_ends_with_the_first_line() -> None:
    assert parse_entry(f"{HEAD}\n{{\n}}").payload == "{\n}"
    assert referred_payload(f"{HEAD}\nx\n@{'0' * 40} 9") is None


def test_a_head_is_69_characters_long_at_most() -> None:
    head = "7 0 1000 2000 "
    assert parse_entry(f"{head}{'1' * (69 - len(head))}\n{PAYLOAD}").number == 7
    with pytest.raises(ValueError, match="does not begin"):
        parse_entry(f"{head}{'1' * (70 - len(head))}\n{PAYLOAD}")


def test_a_reference_is_in_an_entry_of_160_characters_at_most() -> None:
    reference = f"\n@{'5d' * 20} 1234"
    assert referred_payload("1" * (160 - len(reference)) + reference) == "5d" * 20
    assert referred_payload("1" * (161 - len(reference)) + reference) is None


TRACE = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", 1)
WITH_STATE = TraceContext(TRACE.trace_id, TRACE.span_id, 0, 'v="q\\",w=/')


@pytest.mark.parametrize("trace", [TRACE, WITH_STATE])
def test_an_event_keeps_its_trace_however_often_it_is_redelivered(trace: TraceContext) -> None:
    payload = payload_with_trace(PAYLOAD, trace)
    assert trace_of(parse_entry(f"{HEAD}\n{payload}")) == trace
    # What a release reads that knows nothing of it.
    assert json.loads(PAYLOAD).items() <= json.loads(payload).items()
    for _ in range(2):
        payload = keep_event_number(parse_entry(f"{HEAD}\n{payload}"))
    again = parse_entry(f"12 0 5000 6000 3\n{payload}")
    assert (again.event_number, trace_of(again)) == (7, trace)


@pytest.mark.parametrize(
    "payload",
    [
        PAYLOAD,
        "NETWORK_TERMINATED",
        "",
        '{"traceparent":"',
        f'{{"traceparent":"{"0" * 55}","type":"t"}}',
        f'{{"traceparent":"{TRACE.traceparent}\\u000d","type":"t"}}',
        f'{{"type":"t","traceparent":"{TRACE.traceparent}"}}',
        f'{{"number":7,"type":"t","data":{{"traceparent":"{TRACE.traceparent}"}}}}',
    ],
)
def test_what_is_damaged_or_stands_elsewhere_is_no_trace(payload: str) -> None:
    assert trace_of(parse_entry(f"{HEAD}\n{payload}")) is None


@pytest.mark.parametrize("state", ["a=\\u000d\\u000aX: y", "A=1", "a=\\ud800"])
def test_a_damaged_state_reaches_no_header(state: str) -> None:
    payload = f'{{"traceparent":"{TRACE.traceparent}","tracestate":"{state}","type":"t"}}'
    assert trace_of(parse_entry(f"{HEAD}\n{payload}")) == TRACE
