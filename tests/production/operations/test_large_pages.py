"""The large pages that the unit of a worker asks for: docs/decisions/0068-large-pages.md."""

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.production.operations.units import DEPLOY, Unit

WORKER = Unit(DEPLOY / "webrtc-events-worker@.service")
ENABLED = Path("/sys/kernel/mm/transparent_hugepage/enabled")
# As a worker has its events: texts of some kB, which the C library keeps. In a thread, as its dispatcher.
PROGRAM = """
import re, threading
from pathlib import Path
kept = []
thread = threading.Thread(target=lambda: kept.extend(bytes(2500) for _ in range(8000)))
thread.start()
thread.join()
print(re.search(r"AnonHugePages: +([0-9]+) kB", Path("/proc/self/smaps_rollup").read_text())[1])
"""


def large_kb(environ: dict[str, str]) -> int:
    own = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    return int(subprocess.check_output([sys.executable, "-c", PROGRAM], env=own | environ, timeout=60))


def of_unit() -> dict[str, str]:
    return dict(assignment.split("=", 1) for assignment in WORKER.values("Environment"))


def test_events_of_a_worker_are_in_large_pages() -> None:
    library, version = platform.libc_ver()
    if library != "glibc" or tuple(map(int, version.split("."))) < (2, 35):
        pytest.skip(f"{library} {version} knows no such tunable")
    if not ENABLED.exists() or "[madvise]" not in ENABLED.read_text():
        pytest.skip("the kernel gives them to all, or to none")
    assert large_kb({}) == 0
    # 20 MB are kept, in pages of 2 MB.
    assert large_kb(of_unit()) >= 10_000


def test_the_tunable_is_one_of_the_c_library() -> None:
    (name,) = of_unit()
    assert name == "GLIBC_TUNABLES"
    for tunable in of_unit()[name].split(":"):
        assert re.fullmatch(r"glibc\.malloc\.\w+=\d+", tunable)
