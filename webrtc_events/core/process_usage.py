"""What this process uses of its machine."""

import resource
import sys
from pathlib import Path

__all__ = ["cpu_s", "memory_bytes"]

_STATM = Path("/proc/self/statm")


def cpu_s() -> float:
    """Seconds of a core that it has used since it started."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def memory_bytes() -> int:
    """What it has in memory now; where the system is not Linux, the most that it ever had."""
    if sys.platform == "linux":
        # proc(5): the second number is the resident set, in pages.
        return int(_STATM.read_text().split()[1]) * resource.getpagesize()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
