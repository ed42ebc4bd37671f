"""Log records as JSON: one object a line, in ASCII, whatever is logged.

    {"timestamp":"2026-03-10T09:00:00.123Z","level":"WARNING","logger":"webrtc_events.api.failures",
     "process":"api","pid":4711,"message":"...","correlator":"3f2a...","client":"softphone"}

What a record says as `name=value` is a member of that name too. A traceback is the member `exception`.
"""

import logging
import math
import os
import re
from typing import Any, Final

from webrtc_events.core.ascii_json import ascii_json
from webrtc_events.core.clock import format_time
from webrtc_events.core.log_fields import fields_of, message_of

__all__ = ["RESERVED", "JsonFormatter", "json_members", "json_string"]

RESERVED: Final = frozenset(
    {"timestamp", "level", "logger", "process", "pid", "message", "exception", "stack"}
)
"""Names that no field may have."""

# journald cuts a line at 48 KiB.
_MAX_LINE: Final = 40_000
# Of each text. The next one is tried where the line is still too long: a character may take six.
_MAX_CHARACTERS: Final = (8192, 1000, 100)
_NO_TEXT: Final = "(something that has no text)"
_PLAIN = re.compile(r"[ !#-\[\]-~]*")


class JsonFormatter(logging.Formatter):
    """`process`: what the process does, such as worker."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = ascii_json(process)

    def head(self, time: str, level: str, logger: str) -> str:
        """The beginning of a line, up to and with the comma behind the members that every line has."""
        return (
            f'{{"timestamp":"{time}","level":{json_string(level)},"logger":{json_string(logger)},'
            f'"process":{self._process},"pid":{os.getpid()},'
        )

    def format(self, record: logging.LogRecord) -> str:
        head = self.head(format_time(round(record.created * 1000)), record.levelname, record.name)
        members: dict[str, Any] = {"message": _message(record)}
        members |= {name: value for name, value in fields_of(record.msg, record.args) if name not in RESERVED}
        for name in ("correlator", "client"):
            if value := getattr(record, name, ""):
                members.setdefault(name, value)
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            members["exception"] = record.exc_text
        if record.stack_info:
            members["stack"] = record.stack_info
        return f"{head}{json_members(members, _MAX_LINE - len(head))}}}"


def json_members(fields: dict[str, Any], max_characters: int = _MAX_LINE) -> str:
    """The members of an object, without its braces. Texts are cut where it would become too long."""
    text = ""
    for limit in _MAX_CHARACTERS:
        text = ascii_json({name: _value(value, limit) for name, value in fields.items()})[1:-1]
        if len(text) < max_characters:
            break
    return text


def json_string(text: str) -> str:
    """A text as JSON, cut if it is long."""
    if len(text) < _MAX_CHARACTERS[-1] and _PLAIN.fullmatch(text):
        return f'"{text}"'
    return ascii_json(_value(text, _MAX_CHARACTERS[1]))


def _value(value: Any, limit: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        # Python refuses to write out a number of thousands of digits.
        return value if value.bit_length() < 64 else hex(value)[:limit]
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    text = _text(value)
    if len(text) > limit:
        # A traceback says at its end what happened, and at its beginning where.
        text = f"{text[: limit // 4]} … {text[-(limit - limit // 4) :]}"
    # A half of a character is no JSON to some that read it.
    return text.encode("utf-8", "backslashreplace").decode()


def _text(value: Any) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 (whatever its own text raises)
        return _NO_TEXT


def _message(record: logging.LogRecord) -> str:
    template, args = message_of(record.msg, record.args)
    try:
        text = str(template)
        return (text % args if args else text).rstrip()
    except Exception:  # noqa: BLE001 (whatever an argument's own text raises)
        # A log call never fails.
        return (
            f"{template[:200]!r} was logged with arguments that do not fit it"
            if isinstance(template, str)
            else _NO_TEXT
        )
