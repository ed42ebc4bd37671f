"""What this process asks the system for: no core dumps, and many open files."""

import ctypes
import resource
import sys

__all__ = ["raise_descriptor_limit", "refuse_core_dumps"]

_PR_SET_DUMPABLE = 4
_MAX_DESCRIPTORS = 65_536


def refuse_core_dumps() -> None:
    """From here on a crash leaves no core dump, and only root reads this process's memory and environment.

    So sink tokens and keys stay out of files. Linux only: elsewhere the system's own limits hold. Processes
    that this one forks inherit it, programs that it runs do not. Source: prctl(2), PR_SET_DUMPABLE.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def raise_descriptor_limit() -> int:
    """Asks for as many as the system lets this process have, within reason; returns how many it has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _MAX_DESCRIPTORS)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return _MAX_DESCRIPTORS if soft == resource.RLIM_INFINITY else soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):
        # macOS has a lower limit.
        return soft
    return wanted
