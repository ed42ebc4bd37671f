"""Keeps `serve`'s terminal readable: its sink prints a line for what arrives, so the log need not."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["not_logged"]

_LOGGER = "webrtc_events.delivery.attempts"


@contextmanager
def not_logged(sink: str) -> Iterator[None]:
    """Leaves out the `attempt` lines of deliveries that `sink` took, a URL without path; all others stay."""

    def shown(record: logging.LogRecord) -> bool:
        words = record.getMessage().split()
        return not (words[:1] == ["attempt"] and {"outcome=delivered", f"host={sink}"} <= set(words))

    logger = logging.getLogger(_LOGGER)
    logger.addFilter(shown)
    try:
        yield
    finally:
        logger.removeFilter(shown)
