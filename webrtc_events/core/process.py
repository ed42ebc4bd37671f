"""What this process asks the system for: no core dumps, one heap, many open files."""

import ctypes
import gc
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

__all__ = [
    "is_compiled",
    "loading",
    "prepare_process",
    "raise_descriptor_limit",
    "refuse_core_dumps",
    "share_one_heap",
    "spare_what_is_loaded",
]

_PR_SET_DUMPABLE = 4
_M_ARENA_MAX = -8
_MAX_DESCRIPTORS = 65_536
# Python's own is 700, which requests, or deliveries, under way exceed all the time.
_YOUNG_OBJECTS = 5_000


def prepare_process() -> None:
    """What the processes of API and worker do first."""
    refuse_core_dumps()
    share_one_heap()


def refuse_core_dumps() -> None:
    """From here on a crash leaves no core dump, and only root reads this process's memory and environment.

    So sink tokens and keys stay out of files. Linux only: elsewhere the system's own limits hold. Processes
    that this one forks inherit it, programs that it runs do not. Source: prctl(2), PR_SET_DUMPABLE.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def share_one_heap() -> None:
    """From here on all threads take memory from one heap, so that what one frees, another uses.

    glibc gives threads heaps ("arenas") apart, and each keeps what its largest request once needed. That
    looks like a slow leak: 4 MB in 20 minutes of long lists, while what is in use stays the same. Python
    runs one thread at a time anyway. Only glibc has this. Source: mallopt(3), M_ARENA_MAX.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)


@contextmanager
def loading() -> Iterator[None]:
    """Until the end, or `spare_what_is_loaded`, the garbage collector rests.

    What is loaded stays, and it would look at all of it several times.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def spare_what_is_loaded() -> None:
    """From here on the garbage collector looks at what is made from here on, and less often.

    To be called once all is loaded: modules and contracts stay, and there are 100,000 objects of them.
    Source: gc.freeze.
    """
    gc.enable()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, *gc.get_threshold()[1:])


def is_compiled(module: str) -> bool:
    """Whether the module is machine code, see hatch_build.py. It is not imported for that."""
    spec = find_spec(module)
    return spec is not None and not str(spec.origin).endswith(".py")


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
