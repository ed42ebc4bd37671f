"""What a process asks the system for."""

import gc
import subprocess
import sys

import pytest

from webrtc_events.core import process

only_glibc = pytest.mark.skipif(
    sys.platform != "linux", reason="only glibc gives threads heaps apart and has malloc_trim"
)

# As many arenas as glibc's own statistics name, after threads that each took memory at the same time.
ARENAS = """
import ctypes, runpy, sys, threading
if sys.argv[2]:
    runpy.run_path(sys.argv[1])["share_one_heap"]()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
together = threading.Barrier(6)
def take():
    together.wait()
    assert libc.malloc(50_000)
threads = [threading.Thread(target=take) for _ in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc.malloc_stats()
"""


@only_glibc
@pytest.mark.parametrize("shared", [True, False])
def test_threads_share_one_heap(shared: bool) -> None:
    """Without it they do not: else this would show nothing."""
    command = [sys.executable, "-c", ARENAS, process.__file__, "shared" if shared else ""]
    counted = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    assert (counted.stderr.count("Arena ") == 1) is shared, counted.stderr


# Resident MB before and after what was free went back: small pieces between others that stay.
FREED = """
import ctypes, os
from webrtc_events.core.free_memory import return_free_memory
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
def resident_mb():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
pieces = [libc.malloc(60_000) for _ in range(1_000)]
for piece in pieces:
    ctypes.memset(piece, 1, 60_000)
for piece in pieces[:-1]:
    libc.free(piece)
before = resident_mb()
return_free_memory()
print(before - resident_mb())
"""


@only_glibc
def test_free_memory_goes_back_to_the_system() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FREED], capture_output=True, text=True, check=True, timeout=30
    )
    assert float(done.stdout) > 50


@pytest.mark.parametrize("spared", [False, True])
def test_the_collector_works_again_once_all_is_loaded(spared: bool) -> None:
    """In a process apart, as what is spared is spared for good."""
    code = f"""
import gc
from webrtc_events.core.process import loading, spare_what_is_loaded
with loading():
    assert not gc.isenabled()
    if {spared}:
        spare_what_is_loaded()
        assert gc.isenabled()
assert gc.isenabled()
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def test_the_collector_works_again_after_a_start_that_fails() -> None:
    with pytest.raises(ZeroDivisionError), process.loading():
        raise ZeroDivisionError
    assert gc.isenabled()
