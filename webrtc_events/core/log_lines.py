"""Lines of one logger that are written together: one write for many."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from webrtc_events.core.clock import Clock, format_time
from webrtc_events.core.json_lines import json_members
from webrtc_events.core.log_config import LineForm, LineHandler
from webrtc_events.core.log_fields import LogFields
from webrtc_events.core.one_line import key_values

__all__ = ["LogLines"]


class LogLines:
    """Keeps lines until `flush`, which gives all of them its time. For one thread.

    They look as if each had been logged. Where that is by this service's own handler, see `configure`, no
    record is made for a line: it costs several times as much as the line. Filters and formatters of others,
    and their handlers, get records.
    `mask`: what is done with texts of a record, see log_masking.py.
    """

    def __init__(self, logger: logging.Logger, mask: Callable[[str], str], clock: Clock) -> None:
        self._logger = logger
        self._mask = mask
        self._clock = clock
        self._lines: list[tuple[int, str]] = []
        self._records: list[tuple[int, str, Mapping[str, Any]]] = []
        # Whether the lines need no look at their characters.
        self._printable = True
        self.form = _form(_handlers(logger))
        """What the handlers want. It may change with a `flush`, and with nothing else."""

    def add(self, level: int, message: str, fields: Mapping[str, Any]) -> None:
        """A line of a message with fields, in which there may be personal data."""
        if not self._logger.isEnabledFor(level):
            return
        if self.form is LineForm.TEXT:
            self._lines.append((level, f"{message} {key_values(self._masked(fields))}"))
            self._printable = False
        elif self.form is LineForm.JSON:
            self._lines.append((level, json_members({"message": message} | self._masked(fields))))
        else:
            self._records.append((level, message, fields))

    def add_whole(self, level: int, text: str) -> None:
        """A line in `form`, TEXT or JSON: what stands behind the head of every line.

        Nothing in it is personal, and all of it is printable.
        """
        if self._logger.isEnabledFor(level):
            self._lines.append((level, text))

    def flush(self) -> None:
        """Writes what was added. A process that is killed before loses it."""
        if not self._lines and not self._records:
            return
        lines, self._lines = self._lines, []
        printable, self._printable = self._printable, True
        records, self._records = self._records, []
        handlers = _handlers(self._logger)
        before, self.form = self.form, _form(handlers)
        for level, message, fields in records:
            self._logger.log(level, "%s %s", message, LogFields(fields))
        if self.form is not before:
            # The handlers were changed meanwhile.
            for level, text in lines:
                self._logger.log(level, "%s", text)
        elif lines:
            self._write(handlers, lines, printable=printable or self.form is LineForm.JSON)

    def _write(self, handlers: list[LineHandler], lines: list[tuple[int, str]], *, printable: bool) -> None:
        time = format_time(round(self._clock.now() * 1000))
        levels = {level for level, _ in lines}
        is_json = self.form is LineForm.JSON
        for handler in handlers:
            heads = {
                level: handler.head(time, logging.getLevelName(level), self._logger.name) for level in levels
            }
            if is_json:
                whole = [f"{heads[level]}{text}}}" for level, text in lines]
            else:
                whole = [heads[level] + text for level, text in lines]
            handler.write_lines(whole, is_printable=printable)

    def _masked(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        texts = [value for value in fields.values() if isinstance(value, str)]
        joined = "\n".join(texts)
        # One look at all: hardly ever is there one to mask.
        if self._mask(joined) == joined:
            return dict(fields)
        masked = {name: self._mask(value) for name, value in fields.items() if isinstance(value, str)}
        return {**fields, **masked}


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
