"""Tells the operator that this release skips what a newer release wrote."""

import logging

__all__ = ["SkippedLog"]

log = logging.getLogger(__name__)


class SkippedLog:
    """Writes one line in the life of a process: an upgrade skips many, for as long as it takes."""

    def __init__(self) -> None:
        self._written = False

    def report(self, count: int) -> None:
        """`count` subscriptions were skipped."""
        if count and not self._written:
            self._written = True
            log.warning(
                "subscriptions were written by a newer release than this one: they are left to it, and "
                "wait if none runs"
            )
