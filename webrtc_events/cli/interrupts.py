"""Ctrl-C in long work: it is not lost where Python ignores exceptions."""

import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

__all__ = ["interruptible"]

_T = TypeVar("_T")


@contextmanager
def interruptible(items: Iterable[_T]) -> Iterator[Iterator[_T]]:
    """The same items, to go through in the block; in the main thread.

    Ctrl-C raises KeyboardInterrupt, as ever. Python drops that exception if it comes up in a destructor or
    in a callback of C; then the next item raises it.
    """
    noticed = False

    def notice(_signal: int, _frame: FrameType | None) -> None:
        nonlocal noticed
        noticed = True
        raise KeyboardInterrupt

    def watched() -> Iterator[_T]:
        for item in items:
            if noticed:
                raise KeyboardInterrupt
            yield item

    before: Any = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:
        # A shell starts what runs in the background with SIGINT ignored.
        yield watched()
        return
    signal.signal(signal.SIGINT, notice)
    try:
        yield watched()
    finally:
        signal.signal(signal.SIGINT, before)
