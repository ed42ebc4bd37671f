"""What a process asks the system for."""

import subprocess
import sys

import pytest

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


@pytest.mark.parametrize("shared", [True, False])
def test_threads_share_one_heap(shared: bool) -> None:
    """Without it they do not: else this would show nothing."""
    from webrtc_events.core import process

    if sys.platform != "linux":
        pytest.skip("only glibc gives threads heaps apart")
    command = [sys.executable, "-c", ARENAS, process.__file__, "shared" if shared else ""]
    counted = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    assert (counted.stderr.count("Arena ") == 1) is shared, counted.stderr
