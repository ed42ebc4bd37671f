"""Lines of one logger that are written together: one write for many."""

import logging
from collections.abc import Callable

from webrtc_events.core.clock import Clock, format_time
from webrtc_events.core.log_config import LineHandler

__all__ = ["LogLines"]


class LogLines:
    """Keeps lines until `flush`, which gives all of them its time. For one thread.

    They look as if each had been logged. Where that is by this service's own handlers, as `log_config` makes
    them, no record is made for a line: it costs several times as much as the line. Filters and formatters of
    others, and their handlers, get records.
    `mask`: what is done with the text of a record, see log_masking.py.
    """

    def __init__(self, logger: logging.Logger, mask: Callable[[str], str], clock: Clock) -> None:
        self._logger = logger
        self._mask = mask
        self._clock = clock
        self._lines: list[tuple[int, str]] = []
        self._to_mask = False

    def add(self, level: int, text: str, *, masked: bool = False) -> None:
        """`masked`: nothing in it can be personal any more."""
        if self._logger.isEnabledFor(level):
            self._lines.append((level, text))
            self._to_mask = self._to_mask or not masked

    def flush(self) -> None:
        """Writes what was added. A process that is killed before loses it."""
        if not self._lines:
            return
        lines, self._lines = self._lines, []
        to_mask, self._to_mask = self._to_mask, False
        handlers = _own_handlers(self._logger)
        if not handlers:
            for level, text in lines:
                self._logger.log(level, "%s", text)
            return
        texts = [text for _, text in lines]
        if to_mask:
            texts = [self._mask(text) for text in texts]
        time = format_time(round(self._clock.now() * 1000))
        heads = {
            level: f"{time} {logging.getLevelName(level)} {self._logger.name}: "
            for level in {level for level, _ in lines}
        }
        shown = [heads[level] + text for (level, _), text in zip(lines, texts, strict=True)]
        for handler in handlers:
            handler.write_lines(shown)


def _own_handlers(logger: logging.Logger) -> list[LineHandler]:
    """The handlers that get the logger's records; none if records are filtered, or others get them."""
    found: list[LineHandler] = []
    at: logging.Logger | None = None if logger.filters else logger
    while at is not None:
        for handler in at.handlers:
            if not isinstance(handler, LineHandler) or not handler.is_plain:
                return []
            found.append(handler)
        at = at.parent if at.propagate else None
    return found
