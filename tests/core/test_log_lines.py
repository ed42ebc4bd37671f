"""Lines that are written together are what the same records would be, one by one."""

import io
import json
import logging
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.harness.clocks import SteppedClock
from webrtc_events.core.json_lines import JsonFormatter
from webrtc_events.core.log_config import LineForm, LineFormatter, LineHandler, RequestFields
from webrtc_events.core.log_fields import LogFields
from webrtc_events.core.log_lines import LogLines
from webrtc_events.core.log_masking import Masking, mask_logs
from webrtc_events.core.settings import Settings


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    found = logging.getLogger("webrtc_events.lines")
    found.setLevel(logging.INFO)
    found.propagate = False
    yield found
    found.handlers.clear()
    found.filters.clear()
    found.propagate = True


def shown_by(handler: LineHandler, logger: logging.Logger) -> io.StringIO:
    """By this handler alone: pytest gives one to each logger that does not propagate."""
    stream = io.StringIO()
    logger.handlers.clear()
    handler.setStream(stream)
    handler.setFormatter(LineFormatter())
    handler.addFilter(RequestFields())
    logger.addHandler(handler)
    return stream


def without_time(text: str) -> list[str]:
    """In either form."""
    return [re.sub(r"[-\d]{10}T[\d:.]{12}Z ?", "", line, count=1) for line in text.splitlines()]


RECORDS = [
    (logging.INFO, {"event": "a.1", "outcome": "delivered", "status": 200}),
    (logging.WARNING, {"detail": "for sip:alice@ims.example", "status": None}),
    (logging.INFO, {"detail": 'forged\n2026-03-10 "line\x1b[2J'}),
    (logging.DEBUG, {"detail": "not shown"}),
    (logging.INFO, {"detail": "100% of %s"}),
    (logging.INFO, {"detail": '"Alice" <sip:alice@ims.example> \ud800 é \u2028'}),
]


@pytest.mark.parametrize("formatter", [LineFormatter(), JsonFormatter("worker")], ids=["console", "json"])
def test_lines_are_those_of_records(
    logger: logging.Logger, settings: Settings, formatter: logging.Formatter
) -> None:
    masking = Masking.of(replace(settings, log_personal_data=False))
    mask_logs(masking)
    handler = LineHandler()
    stream = shown_by(handler, logger)
    handler.setFormatter(formatter)
    lines = LogLines(logger, masking.text, SteppedClock())
    for level, fields in RECORDS:
        lines.add(level, "attempt", fields)
    assert stream.getvalue() == ""
    lines.flush()
    together = stream.getvalue()
    stream.truncate(0)
    stream.seek(0)
    for level, fields in RECORDS:
        logger.log(level, "%s %s", "attempt", LogFields(fields))
    assert without_time(together) == without_time(stream.getvalue())
    assert len(together.splitlines()) == 5
    assert "alice" not in together.lower()
    assert together.endswith("\n")
    lines.flush()
    assert stream.getvalue().count("\n") == 5


def test_lines_that_are_whole_are_written_as_they_are(logger: logging.Logger, settings: Settings) -> None:
    handler = LineHandler()
    stream = shown_by(handler, logger)
    lines = LogLines(logger, Masking.of(settings).text, SteppedClock())
    assert lines.form is LineForm.TEXT
    lines.add_whole(logging.INFO, "attempt event=a.1")
    # From the next flush on it is known.
    handler.setFormatter(JsonFormatter("worker"))
    lines.flush()
    assert json.loads(stream.getvalue())["message"] == "attempt event=a.1"
    assert lines.form is LineForm.JSON
    stream.truncate(0)
    stream.seek(0)
    lines.add_whole(logging.INFO, '"message":"attempt","event":"a.1","ms":3')
    lines.flush()
    shown = json.loads(stream.getvalue())
    assert {name: shown[name] for name in ("level", "process", "message", "event", "ms")} == {
        "level": "INFO",
        "process": "worker",
        "message": "attempt",
        "event": "a.1",
        "ms": 3,
    }
    assert shown["timestamp"].endswith("Z")


def test_whole_lines_let_no_control_of_another_through(logger: logging.Logger, settings: Settings) -> None:
    stream = shown_by(LineHandler(), logger)
    lines = LogLines(logger, Masking.of(settings).text, SteppedClock())
    for _ in range(2):
        lines.add_whole(logging.INFO, "attempt event=a.1")
        lines.add(logging.WARNING, "forged\nline\x1b[2J", {"status": 1})
        lines.add_whole(logging.INFO, "attempt event=a.2")
        lines.flush()
    written = [line.partition(": ")[2] for line in stream.getvalue().splitlines()]
    assert written == ["attempt event=a.1", r"forged\x0aline\x1b[2J status=1", "attempt event=a.2"] * 2


def test_a_filter_and_a_handler_of_others_get_records(logger: logging.Logger, settings: Settings) -> None:
    records: list[logging.LogRecord] = []

    class Keeps(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    stream = shown_by(LineHandler(), logger)
    logger.addFilter(lambda record: "hidden" not in record.getMessage())
    lines = LogLines(logger, Masking.of(settings).text, SteppedClock())
    lines.add(logging.INFO, "hidden", {})
    lines.add(logging.INFO, "seen", {"by": "all"})
    lines.flush()
    assert without_time(stream.getvalue()) == ["INFO webrtc_events.lines: seen by=all"]
    logger.filters.clear()
    logger.addHandler(Keeps())
    lines.add(logging.INFO, "kept", {"by": "two"})
    lines.flush()
    assert [record.getMessage() for record in records] == ["kept by=two"]


class Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps({"message": record.getMessage()})


def test_the_form_and_the_filters_of_an_operator_hold(logger: logging.Logger, settings: Settings) -> None:
    handler = LineHandler()
    stream = shown_by(handler, logger)
    handler.addFilter(lambda record: "hidden" not in record.getMessage())
    lines = LogLines(logger, Masking.of(settings).text, SteppedClock())
    for text in ("hidden", "seen"):
        lines.add(logging.INFO, text, {"n": 1})
    lines.flush()
    assert without_time(stream.getvalue()) == ["INFO webrtc_events.lines: seen n=1"]
    stream.truncate(0)
    stream.seek(0)
    handler.filters.clear()
    handler.setFormatter(Json())
    lines.add(logging.INFO, "seen", {"n": 1})
    lines.flush()
    assert stream.getvalue() == '{"message": "seen n=1"}\n'


def test_a_stream_that_takes_nothing_is_reported(
    logger: logging.Logger, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = shown_by(LineHandler(), logger)
    stream.close()
    lines = LogLines(logger, Masking.of(settings).text, SteppedClock())
    lines.add(logging.INFO, "x", {})
    lines.flush()
    assert "--- Logging error ---" in capsys.readouterr().err
