"""Runs checks beside each other, each for a bounded time: what hangs is a finding, and holds up no other."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from webrtc_events.cli.doctor.findings import Area, Finding, error
from webrtc_events.core.clock import Clock

__all__ = ["Check", "run_checks"]

Check = Callable[[], Iterable[Finding]]
"""Findings as they are made. What it raises is a finding too."""

_SEE: Final = "The findings of this check above are right; those that would follow are missing."


class _Running:
    """A check in a thread, which nobody waits for at the end of the process."""

    def __init__(self, area: Area, check: Check) -> None:
        self.area = area
        self._check = check
        self._findings: list[Finding] = []
        self._thread = threading.Thread(target=self._run, name=f"doctor {area}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            for finding in self._check():
                self._findings.append(finding)
        except Exception as fault:  # noqa: BLE001 - whatever it is, the other checks go on
            what = f"this check could not be made: {type(fault).__name__}: {fault}"
            self._findings.append(error(self.area, what, "Report it, with this line."))

    def result(self, wait_s: float, bound_s: float) -> list[Finding]:
        self._thread.join(max(0.0, wait_s))
        found = list(self._findings)
        if self._thread.is_alive():
            found.append(error(self.area, f"no answer within {bound_s:g} s; this was given up", _SEE))
        return found


def run_checks(checks: Mapping[Area, Check], bound_s: float, clock: Clock) -> Iterator[Finding]:
    """All findings, in the order of the checks, after `bound_s` at the latest."""
    until_s = clock.monotonic() + bound_s
    running = [_Running(area, check) for area, check in checks.items()]
    for check in running:
        yield from check.result(until_s - clock.monotonic(), bound_s)
