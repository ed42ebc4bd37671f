"""Lines that are written together are what the same records would be, one by one."""

import io
import json
import logging
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.harness.clocks import SteppedClock
from webrtc_events.core.log_config import LineFormatter, LineHandler, RequestFields
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
    stream = io.StringIO()
    handler.setStream(stream)
    handler.setFormatter(LineFormatter())
    handler.addFilter(RequestFields())
    logger.addHandler(handler)
    return stream


def without_time(text: str) -> list[str]:
    return [line.partition("Z ")[2] for line in text.splitlines()]


TEXTS = [
    (logging.INFO, "attempt event=a.1 outcome=delivered"),
    (logging.WARNING, 'attempt detail="for sip:alice@ims.example"'),
    (logging.INFO, "forged\n2026-03-10 line\x1b[2J"),
    (logging.DEBUG, "not shown"),
    (logging.INFO, "100% of %s"),
]


def test_lines_are_those_of_records(logger: logging.Logger, settings: Settings) -> None:
    masking = Masking.of(replace(settings, log_personal_data=False))
    mask_logs(masking)
    stream = shown_by(LineHandler(), logger)
    lines = LogLines(logger, masking.text, SteppedClock())
    for level, text in TEXTS:
        lines.add(level, text)
    assert stream.getvalue() == ""
    lines.flush()
    together = stream.getvalue()
    stream.truncate(0)
    stream.seek(0)
    for level, text in TEXTS:
        logger.log(level, "%s", text)
    assert without_time(together) == without_time(stream.getvalue())
    assert len(together.splitlines()) == 4
    assert "alice" not in together
    assert together.endswith("\n")
    lines.flush()
    assert stream.getvalue().count("\n") == 4


def test_a_filter_and_a_handler_of_others_get_records(logger: logging.Logger, settings: Settings) -> None:
    records: list[logging.LogRecord] = []

    class Keeps(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    stream = shown_by(LineHandler(), logger)
    lines = LogLines(logger, Masking.of(settings).text, SteppedClock())
    logger.addFilter(lambda record: "hidden" not in record.getMessage())
    lines.add(logging.INFO, "hidden")
    lines.add(logging.INFO, "seen")
    lines.flush()
    assert without_time(stream.getvalue()) == ["INFO webrtc_events.lines: seen"]
    logger.filters.clear()
    logger.addHandler(Keeps())
    lines.add(logging.INFO, "kept")
    lines.flush()
    assert [record.getMessage() for record in records] == ["kept"]


class Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps({"message": record.getMessage()})


def test_the_form_and_the_filters_of_an_operator_hold(logger: logging.Logger, settings: Settings) -> None:
    handler = LineHandler()
    stream = shown_by(handler, logger)
    handler.addFilter(lambda record: "hidden" not in record.getMessage())
    lines = LogLines(logger, Masking.of(settings).text, SteppedClock())
    for text in ("hidden", "seen"):
        lines.add(logging.INFO, text)
    lines.flush()
    assert without_time(stream.getvalue()) == ["INFO webrtc_events.lines: seen"]
    stream.truncate(0)
    stream.seek(0)
    handler.filters.clear()
    handler.setFormatter(Json())
    lines.add(logging.INFO, "seen")
    lines.flush()
    assert stream.getvalue() == '{"message": "seen"}\n'


def test_a_stream_that_takes_nothing_is_reported(
    logger: logging.Logger, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = shown_by(LineHandler(), logger)
    stream.close()
    lines = LogLines(logger, Masking.of(settings).text, SteppedClock())
    lines.add(logging.INFO, "x")
    lines.flush()
    assert "--- Logging error ---" in capsys.readouterr().err
