"""Keeps deliveries to the local sink out of `serve`'s log: the sink prints a line for each."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["without_local_deliveries"]

_LOGGER = "webrtc_events.delivery.attempts"


@contextmanager
def without_local_deliveries(sink: str) -> Iterator[None]:
    """Removes the `attempt` lines of successful deliveries to `sink`, a URL without path, from the log."""

    def shown(record: logging.LogRecord) -> bool:
        words = record.getMessage().split()
        return not (words[:1] == ["attempt"] and {"outcome=delivered", f"host={sink}"} <= set(words))

    logger = logging.getLogger(_LOGGER)
    logger.addFilter(shown)
    try:
        yield
    finally:
        logger.removeFilter(shown)
