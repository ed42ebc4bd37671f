"""Returns free memory to the system, once a minute."""

import ctypes

from webrtc_events.core.clock import Clock
from webrtc_events.core.loops import Loop

__all__ = ["free_memory_loop", "return_free_memory"]

_EVERY_S = 60.0


def return_free_memory() -> None:
    """What malloc holds free goes back to the system; it takes some ms.

    glibc keeps pages that were in use once: after a large list or batch a process would stay as large as it
    ever was. Only glibc has this. Source: malloc_trim(3).
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def free_memory_loop(clock: Clock) -> Loop:
    """A thread that does it; to be started and stopped by its owner."""

    def work() -> None:
        return_free_memory()
        loop.pause(_EVERY_S)

    loop = Loop("free memory", work, clock)
    return loop
