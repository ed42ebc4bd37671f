"""Runs a program several times, each held to a share of a core: `held.py COPIES SHARE COMMAND...`.

It ends when it is asked to, and ends the copies then; it fails if one of them ends before. The share is a
control group's quota, for which it has to be root. A share of 0 is no limit.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

__all__ = ["can_hold"]

# So short that a program held to a third of a core never pauses for longer than a few ms.
_PERIOD_US = 10_000
_V1, _V2 = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")
# Less than who started this waits for it.
_END_S = 10.0
_POLL_S = 0.05


def can_hold() -> bool:
    """Whether this process may limit others."""
    try:
        with _group(0.5):
            return True
    except OSError:
        return False


@contextmanager
def _group(share: float) -> Iterator[Path]:
    """A control group whose members have `share` of a core together.

    Raises:
        OSError: this process may not make it.
    """
    quota_us = int(share * _PERIOD_US)
    if _V1.is_dir():
        root, limits = _V1, {"cpu.cfs_period_us": f"{_PERIOD_US}", "cpu.cfs_quota_us": f"{quota_us}"}
    else:
        root, limits = _V2, {"cpu.max": f"{quota_us} {_PERIOD_US}"}
    group = root / f"webrtc-events-bench-{os.getpid()}-{time.monotonic_ns()}"
    group.mkdir()
    try:
        for name, value in limits.items():
            (group / name).write_text(value)
        yield group
    finally:
        group.rmdir()


def _start(command: Sequence[str], share: float, stack: ExitStack) -> "subprocess.Popen[bytes]":
    """The group is left, and removed, once the program has ended."""
    group = stack.enter_context(_group(share)) if share else None
    process = subprocess.Popen(command)
    stack.callback(_wait, process)
    if group:
        # All threads of a process that has just begun, and what it starts.
        (group / "cgroup.procs").write_text(str(process.pid))
    return process


def _wait(process: "subprocess.Popen[bytes]") -> None:
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def _ending(processes: "Sequence[subprocess.Popen[bytes]]") -> Iterator[None]:
    try:
        yield
    finally:
        for process in processes:
            process.terminate()


def _asked_to_end(*_: object) -> None:
    raise KeyboardInterrupt


def main(arguments: Sequence[str]) -> int:
    copies, share, command = int(arguments[0]), float(arguments[1]), arguments[2:]
    signal.signal(signal.SIGTERM, _asked_to_end)
    processes: list[subprocess.Popen[bytes]] = []
    with ExitStack() as stack:
        # All are asked to end before one is waited for.
        waits = stack.enter_context(ExitStack())
        stack.enter_context(_ending(processes))
        try:
            processes.extend(_start(command, share, waits) for _ in range(copies))
            while all(process.poll() is None for process in processes):
                time.sleep(_POLL_S)
        except KeyboardInterrupt:
            return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
