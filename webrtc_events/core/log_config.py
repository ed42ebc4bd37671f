"""How this service logs: one line a record on standard error, with the request that it belongs to.

    2026-03-10T09:00:00.123Z WARNING webrtc_events.api.failures: ... correlator=3f2a... client=softphone

An operator who logs otherwise gives gunicorn a `--log-config` of their own; `RequestFields`
is the filter that gives its records `correlator` and `client`.
"""

import logging
import logging.config
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, TextIO

from webrtc_events.core.clock import format_time
from webrtc_events.core.one_line import key_values
from webrtc_events.core.request_context import current_request

__all__ = ["LineFormatter", "LineHandler", "RequestFields", "log_config", "log_to_stderr"]

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
# A line break in what somebody sent must not begin a line of the log, nor an escape sequence move the cursor.
_CONTROLS = {
    code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\t"
} | {0x2028: "\\u2028", 0x2029: "\\u2029"}


class RequestFields(logging.Filter):
    """Gives every record `correlator` and `client`, empty outside of a request."""

    def filter(self, record: logging.LogRecord) -> bool:
        context = current_request()
        record.correlator = "" if context is None else context.correlator
        record.client = "" if context is None else context.client
        return True


class LineFormatter(logging.Formatter):
    """One line a record, times in UTC; the lines of a traceback follow it."""

    def __init__(self) -> None:
        super().__init__(_FORMAT)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802
        return format_time(round(record.created * 1000))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        line = super().formatMessage(record).translate(_CONTROLS)
        fields = {name: value for name in ("correlator", "client") if (value := getattr(record, name, ""))}
        return f"{line} {key_values(fields)}" if fields else line


class LineHandler(logging.StreamHandler[TextIO]):
    """Writes records, and lines that are whole already, to standard error."""

    @property
    def is_plain(self) -> bool:
        """Whether a record without a request is shown as its line, and none is left out: see `log_config`."""
        return (
            type(self) is LineHandler
            and not self.level
            and type(self.formatter) is LineFormatter
            and all(type(found) is RequestFields for found in self.filters)
        )

    def write_lines(self, lines: Sequence[str]) -> None:
        """Their times and names stand in them."""
        joined = "".join(lines)
        if not joined.isprintable():
            lines = [line.translate(_CONTROLS) for line in lines]
        with self.lock or nullcontext():
            try:
                self.stream.write("\n".join([*lines, ""]))
                self.flush()
            except Exception:  # noqa: BLE001 (as logging does: a log call never fails)
                self.handleError(logging.makeLogRecord({"msg": "%d lines", "args": (len(lines),)}))


def log_config() -> dict[str, Any]:
    """For `logging.config.dictConfig`: warnings of all, and from INFO on what this service says."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"request": {"()": RequestFields}},
        "formatters": {"line": {"()": LineFormatter}},
        "handlers": {"stderr": {"()": LineHandler, "formatter": "line", "filters": ["request"]}},
        "loggers": {"webrtc_events": {"level": "INFO"}},
        "root": {"level": "WARNING", "handlers": ["stderr"]},
    }


def log_to_stderr() -> None:
    logging.config.dictConfig(log_config())
    # What no line shows need not be found out for each record (Logging HOWTO, Optimization).
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None
