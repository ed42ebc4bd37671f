"""The line at the foot of a terminal that says how far long work came; without a terminal there is none."""

import sys
from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

import click

from webrtc_events.core.clock import Clock

__all__ = ["StatusLine"]

_T = TypeVar("_T")
_EVERY_S: Final = 0.1
_LONG_S: Final = 0.5
_PER_CENT: Final = 100
_BAR: Final = 24


class StatusLine:
    """On the standard error, after half a second of work, at most ten times a second.

    Clear it before anything else is printed.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._is_terminal = sys.stderr.isatty()
        self._shown = False
        self._next_s = clock.monotonic() + _LONG_S

    def show(self, text: str) -> None:
        if not self._is_terminal or self._clock.monotonic() < self._next_s:
            return
        self._next_s = self._clock.monotonic() + _EVERY_S
        click.echo(f"\r\x1b[K{text}", nl=False, err=True)
        self._shown = True

    def bar(self, done: int, total: int, what: str) -> None:
        """`[######......] 50 %  1,200 letters`; `total` may turn out to be too small."""
        share = min(1.0, done / total) if total else 1.0
        full = round(share * _BAR)
        self.show(f"[{'#' * full}{'.' * (_BAR - full)}] {share * _PER_CENT:3.0f} %  {done:,} {what}")

    def clear(self) -> None:
        if self._shown:
            click.echo("\r\x1b[K", nl=False, err=True)
            self._shown = False

    def counted(self, items: Iterable[_T], total: int, what: str) -> Iterator[_T]:
        """The same items, with a bar meanwhile."""
        try:
            for number, item in enumerate(items):
                self.bar(number, total, what)
                yield item
        finally:
            self.clear()
