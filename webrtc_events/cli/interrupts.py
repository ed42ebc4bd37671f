"""Ctrl-C that comes at a moment at which Python would drop it.

An interrupt is an exception in whatever the main thread runs next. If that is a destructor, or a callback of
the garbage collector, Python reports the exception as ignored, and the command goes on as if nobody had
pressed a key.
"""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

__all__ = ["kept_interrupts"]

# By then the destructor is through. If the next one is hit, it comes once more.
_AGAIN_S: Final = 0.01


@contextmanager
def kept_interrupts() -> Iterator[None]:
    """An interrupt that was dropped comes again. Only the main thread has any."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    report = sys.unraisablehook

    def again(ignored: "UnraisableHookArgs") -> None:
        if issubclass(ignored.exc_type, KeyboardInterrupt):
            # Raised from here it would be dropped too.
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
        else:
            report(ignored)

    former = signal.signal(signal.SIGALRM, signal.default_int_handler)
    sys.unraisablehook = again
    try:
        yield
    finally:
        sys.unraisablehook = report
        # Before its signal has no handler.
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
