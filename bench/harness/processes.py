"""Processes that are measured: started in their group, their CPU and memory with that of their children."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = [
    "await_port",
    "clean_environ",
    "cpu_s",
    "exact_cpu_s",
    "family_resident_bytes",
    "kill",
    "proportional_bytes",
    "resident_bytes",
    "run_logged",
    "started",
    "tail",
]

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_END_S = 15.0


def clean_environ(extra: Mapping[str, str]) -> dict[str, str]:
    """The environment without settings of the service, and with `extra`.

    Python keeps compiled files whatever the shell says, as an installation has them.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WEBRTC_EVENTS_")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return kept | dict(extra)


@contextmanager
def started(
    command: Sequence[str], environ: Mapping[str, str], log: Path, cwd: Path | None = None
) -> "Iterator[subprocess.Popen[bytes]]":
    """Runs a program until the block ends; what it prints goes to `log`."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=clean_environ(environ), stdout=output, stderr=output, cwd=cwd, start_new_session=True
        )
    try:
        yield process
    finally:
        _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Asks it to end; kills what is left of its group."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_END_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def kill(pid: int) -> None:
    """A program that `started` started, and all that it started: they write no last word."""
    os.killpg(pid, signal.SIGKILL)


def run_logged(
    command: Sequence[str],
    environ: Mapping[str, str],
    cwd: Path | None,
    log: Path,
    timeout_s: float,
    fault: str,
) -> None:
    """Runs it to its end; what it says goes to `log`.

    Raises:
        RuntimeError: it failed: `fault`, and the end of the log.
    """
    with log.open("wb") as output:
        done = subprocess.run(
            command, env=environ, cwd=cwd, stdout=output, stderr=output, timeout=timeout_s, check=False
        )
    if done.returncode:
        raise RuntimeError(f"{fault}\n{tail(log)}")


def await_port(port: int, timeout_s: float) -> None:
    """Returns once somebody listens on the port of this machine.

    Raises:
        RuntimeError: nobody does in time.
    """
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"nobody serves on port {port} after {timeout_s:.0f} s")


def cpu_s(pid: int) -> float:
    """CPU time of a process and its descendants so far, in s; 0 for one that has ended."""
    ticks = 0
    for member in _family(pid):
        with suppress(OSError):
            fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS_PER_S


def exact_cpu_s(pid: int) -> float:
    """CPU time of one process so far, to the microsecond; without threads that have ended."""
    nanoseconds = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):
            nanoseconds += int((thread / "schedstat").read_text().split()[0])
    return nanoseconds / 1e9


def resident_bytes(pid: int) -> int:
    """What is resident of one process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def proportional_bytes(pid: int) -> int:
    """What is resident of one process; a page that n processes have counts for an n-th."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"the system does not say how much memory process {pid} has")


def family_resident_bytes(pid: int) -> int:
    """What is resident of a process and its descendants; what they share counts for each."""
    total = 0
    for member in _family(pid):
        with suppress(OSError):
            total += resident_bytes(member)
    return total


def _family(pid: int) -> list[int]:
    found = [pid]
    for member in found:
        with suppress(OSError):
            for task in Path(f"/proc/{member}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found


def tail(log: Path, characters: int = 2000) -> str:
    """The end of a log, for an error message."""
    return log.read_text(errors="replace")[-characters:] if log.exists() else ""
