"""How this service logs: one line a record on standard error, with the request that it belongs to.

    2026-03-10T09:00:00.123Z WARNING webrtc_events.api.failures: ... correlator=3f2a... client=softphone

json_lines.py has the other format, JSON. An operator who logs otherwise gives gunicorn a `--log-config` of
their own; `RequestFields` is the filter that gives its records `correlator` and `client`.
"""

import logging
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from enum import Enum
from typing import TextIO

from webrtc_events.core.change_log import CHANGE_LOGGERS
from webrtc_events.core.clock import format_time
from webrtc_events.core.json_lines import JsonFormatter
from webrtc_events.core.one_line import key_values
from webrtc_events.core.request_context import current_request

__all__ = [
    "LineForm",
    "LineFormatter",
    "LineHandler",
    "LogOptions",
    "RequestFields",
    "configure",
    "log_to_stderr",
    "shared_formatter",
]

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
# A line break in what somebody sent must not begin a line of the log, nor an escape sequence move the cursor.
_CONTROLS = {
    code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\t"
} | {0x2028: "\\u2028", 0x2029: "\\u2029"}


class LineForm(Enum):
    """How a handler wants lines that are written together. RECORD: it wants records, and no lines."""

    TEXT = "text"
    JSON = "json"
    RECORD = "record"


@dataclass(frozen=True, slots=True)
class LogOptions:
    """`process`: what the process does, such as worker. `level` is a name of `logging`, in lower case."""

    process: str = "service"
    json: bool = False
    level: str = "info"


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
    def form(self) -> LineForm:
        """A line may stand for a record where a record without a request is shown as its line, and none is
        left out: see `configure`.
        """
        if type(self) is not LineHandler or self.level:
            return LineForm.RECORD
        if not all(type(found) is RequestFields for found in self.filters):
            return LineForm.RECORD
        return _FORMS.get(type(self.formatter), LineForm.RECORD)

    def head(self, time: str, level: str, logger: str) -> str:
        """The beginning of a line in `form`."""
        if isinstance(self.formatter, JsonFormatter):
            return self.formatter.head(time, level, logger)
        return f"{time} {level} {logger}: "

    def write_lines(self, lines: Sequence[str], *, is_printable: bool = False) -> None:
        """Their times and names stand in them."""
        if not is_printable and not "".join(lines).isprintable():
            lines = [line.translate(_CONTROLS) for line in lines]
        with self.lock or nullcontext():
            try:
                self.stream.write("\n".join([*lines, ""]))
                self.flush()
            except Exception:  # noqa: BLE001 (as logging does: a log call never fails)
                self.handleError(logging.makeLogRecord({"msg": "%d lines", "args": (len(lines),)}))


_FORMS = {LineFormatter: LineForm.TEXT, JsonFormatter: LineForm.JSON}


def configure(options: LogOptions) -> None:
    """Warnings of all, of this service from the level on, and changes; nothing goes elsewhere any more.

    By hand: `logging.config` loads what listens for configurations, and each handler that there is, 1 MB.
    """
    handler = LineHandler()
    handler.setFormatter(JsonFormatter(process=options.process) if options.json else LineFormatter())
    handler.addFilter(RequestFields())
    root, level = logging.getLogger(), options.level.upper()
    for former in root.handlers[:]:
        root.removeHandler(former)
    root.addHandler(handler)
    root.setLevel("ERROR" if level == "ERROR" else "WARNING")
    logging.getLogger("webrtc_events").setLevel(level)
    for name in CHANGE_LOGGERS:
        logging.getLogger(name).setLevel("INFO")


def log_to_stderr(options: LogOptions) -> None:
    configure(options)
    # What no line shows need not be found out for each record (Logging HOWTO, Optimization).
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None


def shared_formatter() -> logging.Formatter | None:
    """That of `log_to_stderr`, for handlers of servers; None before it."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LineHandler):
            return handler.formatter
    return None
