"""Log records as JSON: one valid object a line, whatever is logged."""

import json
import logging
import os
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webrtc_events.core.json_lines import RESERVED, JsonFormatter, json_members, json_string
from webrtc_events.core.log_config import RequestFields
from webrtc_events.core.log_fields import LogFields
from webrtc_events.core.log_masking import Masking, PersonalData
from webrtc_events.core.request_context import entered_request

FORMATTER = JsonFormatter("worker")
# What journald takes as one line.
LINE_MAX = 48 * 1024


def line(message: Any, *args: Any, exc_info: Any = None, masking: Masking | None = None) -> str:
    record = logging.LogRecord("webrtc_events.x", logging.WARNING, "", 0, message, args, exc_info)
    record.created = 1_773_133_200.1236
    RequestFields().filter(record)
    return FORMATTER.format(record if masking is None else masking.record(record))


def logged(message: Any, *args: Any, exc_info: Any = None) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(line(message, *args, exc_info=exc_info))
    return found


def test_a_line_has_time_level_logger_process_and_message() -> None:
    assert logged("lost %d", 3) == {
        "timestamp": "2026-03-10T09:00:00.124Z",
        "level": "WARNING",
        "logger": "webrtc_events.x",
        "process": "worker",
        "pid": os.getpid(),
        "message": "lost 3",
    }


def test_a_line_of_a_request_has_its_correlator_and_client() -> None:
    with entered_request("c-1") as context:
        context.client = 'a "client"'
        found = logged("lost")
    assert (found["correlator"], found["client"]) == ("c-1", 'a "client"')
    assert "correlator" not in logged("lost")


def test_what_a_message_names_is_a_member_with_its_type() -> None:
    found = logged("100%% of workers=%d share %s, after=%.1f s by=%s", 3, "all", 1.25, None)
    assert found["message"] == "100% of workers=3 share all, after=1.2 s by=None"
    assert (found["workers"], found["after"], found["by"]) == (3, 1.25, None)


def test_fields_are_members_and_not_in_the_message() -> None:
    found = logged("change %s", LogFields({"by": "al ice", "status": 200, "ok": True, "none": None}))
    assert found["message"] == "change"
    assert [found[name] for name in ("by", "status", "ok", "none")] == ["al ice", 200, True, None]


def test_no_field_takes_the_place_of_what_every_line_has() -> None:
    names = dict.fromkeys(RESERVED, "forged")
    assert logged("x %s", LogFields(names))["level"] == "WARNING"
    assert "forged" not in line("x %s level=%s", LogFields(names), "").replace('"message"', "")


def test_a_traceback_is_one_member() -> None:
    try:
        raise ZeroDivisionError("of nothing\nat all")
    except ZeroDivisionError:
        text = line("failed", exc_info=sys.exc_info())
    assert text.count("\n") == 0
    exception = json.loads(text)["exception"]
    assert exception.startswith("Traceback (most recent call last):\n")
    assert exception.endswith("ZeroDivisionError: of nothing\nat all")


def test_arguments_that_do_not_fit_are_said_to_do_so() -> None:
    assert logged("%d of %d", "x")["message"] == "'%d of %d' was logged with arguments that do not fit it"

    class Broken:
        def __str__(self) -> str:
            raise ValueError

    assert "do not fit" in logged("%s", Broken())["message"]


def test_a_mapping_of_arguments_is_shown() -> None:
    assert logged("%(a)s", {"a": 1})["message"] == "1"


def test_personal_data_is_masked_in_message_and_members() -> None:
    masking = Masking(b"\0" * 32, show=False)
    args = (
        PersonalData("r1"),
        LogFields({"detail": 'of "Al" <sip:al@ims.example>', "owner": PersonalData("r1")}),
    )
    text = line("subject=%s %s of %s", *args, "tel:+12025550100", masking=masking)
    found = json.loads(text)
    assert found["subject"] == found["owner"] == masking.pseudonym("r1")
    assert found["message"].endswith(f"of {masking.pseudonym('tel:+12025550100')}")
    for personal in ("al@ims", '"Al', "2025550100", "r1"):
        assert personal not in text


HOSTILE = [
    "a\nb\r\n\x00\x1b[2J\x7f\x85\u2028",
    '"}\n{"level":"forged"',
    "\ud800 half, and \udc80",
    "x" * (1 << 20),
    "\x00" * (1 << 20),
    "\U0001f600" * (1 << 20),
    "",
    10**5000,
    float("nan"),
    float("-inf"),
    object(),
    b"\xff",
]


def check(text: str) -> Mapping[str, Any]:
    assert text.isascii()
    assert text.isprintable()
    assert len(text) < LINE_MAX
    found: dict[str, Any] = json.loads(text, parse_constant=pytest.fail)
    for value in found.values():
        # Half characters are none to those that read UTF-8.
        json.dumps(value, ensure_ascii=False).encode()
    assert found["level"] == "WARNING"
    return found


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: ascii(type(value)))
def test_a_hostile_value_stays_one_valid_line(value: Any) -> None:
    check(line("of detail=%s %s", value, LogFields({f"name{number}": value for number in range(16)})))
    check(line(value))


VALUES = st.one_of(
    st.text(st.characters()), st.integers(), st.floats(), st.booleans(), st.none(), st.binary()
)


@given(
    message=st.text(st.characters()),
    args=st.lists(VALUES, max_size=4),
    fields=st.dictionaries(st.text(), VALUES),
)
def test_any_record_is_one_valid_line(message: str, args: list[Any], fields: dict[str, Any]) -> None:
    check(line(message, *args))
    check(line("x %s", LogFields(fields)))


def test_a_long_text_keeps_its_beginning_and_its_end() -> None:
    found = logged("%s", f"first {'x' * 100_000} last")["message"]
    assert found.startswith("first x")
    assert found.endswith("x last")
    assert " … " in found


@given(text=st.text(st.characters(), max_size=200))
def test_a_string_of_json_is_that_text(text: str) -> None:
    assert json.loads(json_string(text)) == text.encode("utf-8", "backslashreplace").decode()
    assert json.loads(f"{{{json_members({'a': text})}}}") == {"a": json.loads(json_string(text))}
