"""What the inbox keeps and shows, whatever was sent."""

import json
import re
from typing import Any

import pytest

from webrtc_events.core.clock import SystemClock
from webrtc_events.local.sink.inbox import Inbox
from webrtc_events.local.sink.page_view import full_text, row
from webrtc_events.local.sink.received import Received
from webrtc_events.local.sink.terminal_view import describe

_EVENT = {
    "id": "s-1.1",
    "type": "org.camaraproject.webrtc-events.v0.session-status",
    "data": {"status": "Hold"},
}


def _inbox() -> Inbox:
    return Inbox(SystemClock(), lambda _: None)


def _take(inbox: Inbox, event: Any = _EVENT, *, path: str = "/x", fault: str | None = None) -> Received:
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    return inbox.take(path, None, body, fault, 204 if fault is None else 400)


def _numbers(inbox: Inbox, after: int | None) -> list[int]:
    return [received.number for received in inbox.after(after)]


def test_numbers_rise_through_a_clearing_and_who_reads_on_misses_nothing() -> None:
    inbox = _inbox()
    for _ in range(3):
        _take(inbox)
    inbox.clear()
    assert _take(inbox).number == 4
    assert _numbers(inbox, None) == [4]
    assert _numbers(inbox, 1) == [2, 3, 4]
    assert _numbers(inbox, 0) == [1, 2, 3, 4]
    inbox.clear()
    inbox.clear()
    assert _numbers(inbox, None) == []


def test_last_thousand_are_kept() -> None:
    inbox = _inbox()
    for _ in range(1001):
        _take(inbox)
    assert _numbers(inbox, 0) == list(range(2, 1002))
    assert inbox.body(1) is None
    assert inbox.body(2) == json.dumps(_EVENT).encode()


def test_large_bodies_are_kept_for_64_mib() -> None:
    inbox = _inbox()
    body = b"x" * (4 * 1024 * 1024)
    for _ in range(20):
        _take(inbox, body)
    assert _numbers(inbox, 0) == list(range(5, 21))


def test_row_is_small_whatever_was_sent() -> None:
    long = "<b>" * 100_000
    data = {"status": long, "subscriptionId": long, "sequenceNumber": [long]}
    shown = row(_take(_inbox(), {"type": long, "data": data}, path=f"/{long}", fault=long))
    assert all(len(str(value)) <= 300 for value in shown.values())
    assert shown["type"].endswith("…")


_CONTROL = "\x1b[2Jred\r\n\x00\u202edne\u2028"


@pytest.mark.parametrize(
    "event",
    [
        {
            "type": _CONTROL,
            "data": {"status": _CONTROL, "subscriptionId": _CONTROL, "sequenceNumber": _CONTROL},
        },
        {"type": {"a": _CONTROL}, "data": {"status": [_CONTROL], "sequenceNumber": {"a": 1}}},
        {"type": "x" * 1_000_000, "data": {"status": "x" * 1_000_000}},
        {"type": None, "data": "text"},
        {"data": None},
        [],
        b"\xff\xfe",
    ],
    ids=["control characters", "no strings", "long", "no type", "no data", "no object", "no text"],
)
def test_line_for_a_terminal_is_one_short_line_that_can_be_printed(event: Any) -> None:
    line = describe(_take(_inbox(), event, fault=f"{_CONTROL}{'y' * 10_000}"))
    assert line.isprintable()
    assert len(line) < 520


def test_whole_text_has_the_order_and_the_numbers_that_were_sent() -> None:
    body = b'{"b": 12345678901234567890123, "a": [1.0, {}], "\xc3\xa9": "\\u00e9"}'
    assert full_text(body) == (
        '{\n  "b": 12345678901234567890123,\n  "a": [\n    1.0,\n    {}\n  ],\n  "é": "é"\n}'
    )


@pytest.mark.parametrize(
    "body",
    [b"", b"{broken", b"\xff\xfe<script>", b'{"a": NaN}', b'{"a": 1, "a": 2}', b"[" * 50_000 + b"]" * 50_000],
    ids=["empty", "broken", "no text", "NaN", "repeated name", "deep"],
)
def test_what_is_no_json_is_shown_as_it_is(body: bytes) -> None:
    inbox = _inbox()
    received = _take(inbox, body, fault="no")
    assert received.event is None
    assert row(received)["type"] == "unreadable"
    assert full_text(body) == body.decode(errors="replace")
    json.dumps(received.as_json())


def test_whole_text_is_escaped_where_it_would_deceive() -> None:
    text = full_text(json.dumps({"a": "\u202ex\x7f\U000e0001"}).encode())
    assert text == '{\n  "a": "\\u202ex\\u007f\\udb40\\udc01"\n}'
    assert json.loads(text) == {"a": "\u202ex\x7f\U000e0001"}
    assert full_text(b"\x1b[31m\xe2\x80\xae") == "\\u001b[31m\\u202e"


def test_deepest_json_that_the_service_sends_can_be_shown_and_fed() -> None:
    body = b'{"x": ' + b"[" * 99 + b"]" * 99 + b"}"
    received = _take(_inbox(), body)
    assert json.loads(json.dumps(received.as_json()))["event"] == json.loads(body)
    assert len(re.findall(r"\[", full_text(body))) == 99
