"""Keeps what a process has in memory, sink tokens and keys, out of files."""

import ctypes
import sys

__all__ = ["refuse_core_dumps"]

_PR_SET_DUMPABLE = 4


def refuse_core_dumps() -> None:
    """From here on a crash leaves no core dump, and only root reads this process's memory and environment.

    Linux only: elsewhere the system's own limits hold. Processes that this one forks inherit it, programs
    that it runs do not. Source: prctl(2), PR_SET_DUMPABLE.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
