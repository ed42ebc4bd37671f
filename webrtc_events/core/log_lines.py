"""Lines of one logger that are written together: one write for many."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from webrtc_events.core.clock import Clock, format_time
from webrtc_events.core.json_lines import json_members, json_string
from webrtc_events.core.log_config import LineForm, LineHandler
from webrtc_events.core.log_fields import LogFields
from webrtc_events.core.one_line import key_values

__all__ = ["LogLines"]


class LogLines:
    """Keeps lines until `flush`, which gives all of them its time. For one thread.

    They look as if each had been logged. Where that is by this service's own handlers, as `log_config` makes
    them, no record is made for a line: it costs several times as much as the line. Filters and formatters of
    others, and their handlers, get records.
    `mask`: what is done with texts of a record, see log_masking.py.
    """

    def __init__(self, logger: logging.Logger, mask: Callable[[str], str], clock: Clock) -> None:
        self._logger = logger
        self._mask = mask
        self._clock = clock
        self._lines: list[tuple[int, LineForm, str, Mapping[str, Any] | None]] = []
        self.form = _form(_handlers(logger))
        """What the handlers want; it may change with a `flush`."""

    def add(self, level: int, message: str, fields: Mapping[str, Any]) -> None:
        """A line of a message with fields, in which there may be personal data."""
        if not self._logger.isEnabledFor(level):
            return
        if self.form is LineForm.TEXT:
            text = f"{message} {key_values(self._masked(fields))}"
            self._lines.append((level, LineForm.TEXT, text, None))
        elif self.form is LineForm.JSON:
            members = json_members({"message": message} | self._masked(fields))
            self._lines.append((level, LineForm.JSON, members, None))
        else:
            self._lines.append((level, LineForm.RECORD, message, fields))

    def add_text(self, level: int, text: str) -> None:
        """A line that is as it is to be shown, where `form` is TEXT. Nothing in it is personal."""
        if self._logger.isEnabledFor(level):
            self._lines.append((level, LineForm.TEXT, text, None))

    def add_members(self, level: int, message: str, members: str) -> None:
        """The same where `form` is JSON: the members of its object, but for what every line has."""
        if self._logger.isEnabledFor(level):
            self._lines.append((level, LineForm.JSON, f'"message":{json_string(message)},{members}', None))

    def flush(self) -> None:
        """Writes what was added. A process that is killed before loses it."""
        if not self._lines:
            return
        lines, self._lines = self._lines, []
        handlers = _handlers(self._logger)
        form = self.form = _form(handlers)
        if form is LineForm.RECORD or any(line[1] is not form for line in lines):
            # Of another form they are only if the handlers were changed meanwhile.
            for level, _, text, fields in lines:
                self._log(level, text, fields)
            return
        time = format_time(round(self._clock.now() * 1000))
        for handler in handlers:
            heads = {
                level: handler.head(time, logging.getLevelName(level), self._logger.name)
                for level in {line[0] for line in lines}
            }
            end = "}" if form is LineForm.JSON else ""
            handler.write_lines([f"{heads[line[0]]}{line[2]}{end}" for line in lines])

    def _masked(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        texts = [value for value in fields.values() if isinstance(value, str)]
        joined = "\n".join(texts)
        # One look at all: hardly ever is there one to mask.
        if self._mask(joined) == joined:
            return dict(fields)
        masked = {name: self._mask(value) for name, value in fields.items() if isinstance(value, str)}
        return {**fields, **masked}

    def _log(self, level: int, text: str, fields: Mapping[str, Any] | None) -> None:
        if fields is None:
            self._logger.log(level, "%s", text)
        else:
            self._logger.log(level, "%s %s", text, LogFields(fields))


def _form(handlers: list[LineHandler]) -> LineForm:
    forms = {handler.form for handler in handlers}
    return forms.pop() if len(forms) == 1 else LineForm.RECORD


def _handlers(logger: logging.Logger) -> list[LineHandler]:
    """The handlers that get the logger's records; none if records are filtered, or others get them."""
    found: list[LineHandler] = []
    at: logging.Logger | None = None if logger.filters else logger
    while at is not None:
        for handler in at.handlers:
            if not isinstance(handler, LineHandler):
                return []
            found.append(handler)
        at = at.parent if at.propagate else None
    return found
