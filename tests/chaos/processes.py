"""Processes as an operator runs them, to be killed, frozen and ended by their ids."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tests.harness.valkeys import eventually
from webrtc_events.core.clock import SystemClock
from webrtc_events.local.stack import child

__all__ = ["Process", "end_of", "running", "tails"]

CLOCK = SystemClock()
_BOOTED = re.compile(r"Booting worker with pid: (\d+)")


def running(pids: Iterable[int]) -> list[int]:
    """Those that run; what has ended and waits for its parent to notice does not."""
    found = []
    for pid in pids:
        with suppress(FileNotFoundError, ProcessLookupError):
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            if state != "Z":
                found.append(pid)
    return found


def end_of(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def tails(directory: Path) -> list[tuple[str, str]]:
    """The end of each process' log below a folder, by its name."""
    return [(str(log.relative_to(directory)), end_of(log)) for log in sorted(directory.rglob("*.log"))]


class Process:
    """One process, started again under the same name; it logs to `directory/name.log`.

    Start it from the main thread: it is terminated when that thread ends, see `child`.
    """

    def __init__(
        self, name: str, directory: Path, environ: Mapping[str, str], command: Sequence[str]
    ) -> None:
        self.name = name
        self.log = directory / f"{name}.log"
        self._directory = directory
        kept = {name: value for name, value in os.environ.items() if not name.startswith("WEBRTC_EVENTS_")}
        self._environ = kept | dict(environ)
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0

    def start(self) -> None:
        assert not self.running, f"{self.name} is running"
        wrapper = [sys.executable, "-I", "-S", child.__file__, str(os.getpid()), "-1"]
        with self.log.open("ab") as log:
            self._started_at = log.tell()
            self._process = subprocess.Popen(
                [*wrapper, *self._command],
                # Not the working tree: the installed package is to be run.
                cwd=self._directory,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # What it starts can be ended with it.
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def output(self) -> str:
        """What it has logged since its latest start."""
        with self.log.open("rb") as log:
            log.seek(self._started_at)
            return log.read().decode(errors="replace")

    def wait_output(self, text: str, timeout_s: float = 60.0) -> None:
        """Returns once it has logged `text` since its latest start; it is to run until then."""

        def logged() -> bool:
            found = text in self.output
            assert found or self.running, f"{self.name} ended: {end_of(self.log)}"
            return found

        eventually(logged, f"{self.name} logs {text!r}", timeout_s, every_s=0.05)

    def kill(self) -> None:
        """SIGKILL to it alone."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def kill_all(self) -> None:
        """SIGKILL to it and what it started, as a service manager does; nothing may be left."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def terminate(self, grace_s: float) -> float:
        """SIGTERM; after how many seconds it exited with 0.

        Raises:
            AssertionError: it did not, or not within `grace_s`.
        """
        assert self._process is not None
        started = CLOCK.monotonic()
        self._process.terminate()
        try:
            code = self._process.wait(grace_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} does not end within {grace_s:.0f} s") from None
        assert code == 0, f"{self.name} exited with {code}"
        return CLOCK.monotonic() - started

    def forked(self) -> list[int]:
        """Ids of the processes that gunicorn started and that still run."""
        return running([int(pid) for pid in _BOOTED.findall(self.output)])
