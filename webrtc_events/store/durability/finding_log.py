"""Logs what is wrong with the store: when it is found, every hour, and when it is mended."""

import logging
from collections.abc import Iterable, Sequence

from webrtc_events.core.clock import Clock
from webrtc_events.store.durability.findings import Bearing, Finding, Kind

__all__ = ["FindingLog"]

log = logging.getLogger(__name__)

# Whoever looks at the last hour only, or at the last file of a log, is to see what is wrong.
_REMINDER_S = 3600.0
_LEVELS = {
    Bearing.NOTE: logging.INFO,
    Bearing.UNKNOWN: logging.INFO,
    Bearing.WRONG: logging.WARNING,
    Bearing.NOT_DURABLE: logging.WARNING,
    Bearing.TOO_OLD: logging.ERROR,
}


class FindingLog:
    """`found` is what was logged last."""

    def __init__(self, clock: Clock) -> None:
        self.found: Sequence[Finding] = ()
        self._clock = clock
        self._next_reminder = clock.monotonic() + _REMINDER_S

    @property
    def keys(self) -> set[tuple[Kind, str]]:
        return {finding.key for finding in self.found}

    def report(self, found: Sequence[Finding]) -> None:
        former, self.found = self.found, found
        known = {finding.key for finding in former}
        for level, text in _lines(finding for finding in found if finding.key not in known):
            log.log(level, "%s", text)
        for _, text in _lines(finding for finding in former if finding.key not in self.keys):
            log.info("no longer so: %s", text)
        if self._clock.monotonic() >= self._next_reminder:
            self._next_reminder = self._clock.monotonic() + _REMINDER_S
            for level, text in _lines(found):
                if level >= logging.WARNING:
                    log.log(level, "still so: %s", text)


def _lines(found: Iterable[Finding]) -> list[tuple[int, str]]:
    """Level and text of each line: what is the same for several nodes is one."""
    addresses: dict[tuple[int, str], list[str]] = {}
    for finding in found:
        addresses.setdefault((_LEVELS[finding.bearing], finding.text), []).append(finding.address)
    return [(level, f"the store at {', '.join(where)} {text}") for (level, text), where in addresses.items()]
