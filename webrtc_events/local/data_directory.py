"""The data directory: its private files, written whole or not at all, and their locks."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from webrtc_events.core.clock import Clock
from webrtc_events.local.local_error import LocalError

__all__ = [
    "default_data_directory",
    "exclusive",
    "open_data_directory",
    "setup_lock",
    "try_lock",
    "write_private",
]

_POLL_S = 0.02


def default_data_directory() -> Path:
    """`$XDG_DATA_HOME/webrtc-events`, as the XDG base directory specification 0.8 has it."""
    base = Path(os.environ.get("XDG_DATA_HOME", ""))
    if not base.is_absolute():
        base = Path.home() / ".local" / "share"
    return base / "webrtc-events"


def open_data_directory(path: Path) -> Path:
    """Makes the directory if there is none (mode 700) and returns its absolute path.

    Raises:
        LocalError: it cannot be made or written to.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise LocalError(f"cannot make the data directory {path}: {error.strerror}") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise LocalError(f"the data directory {path} is not writable")
    return path.resolve()


def write_private(path: Path, content: bytes) -> None:
    """Writes a file of mode 600. A reader sees it whole or not at all, also after a crash."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(temporary).unlink()
        raise
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def try_lock(path: Path) -> int | None:
    """An open descriptor that holds the file's exclusive lock, or None when another has it.

    The lock ends with the last descriptor of this open file. So a child that inherits it
    holds it too, and no crash leaves it behind.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def exclusive(path: Path, refusal: str) -> Iterator[None]:
    """Holds the lock for the block.

    Raises:
        LocalError: with `refusal`, when another process holds it.
    """
    descriptor = try_lock(path)
    if descriptor is None:
        raise LocalError(refusal)
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def setup_lock(data: Path, clock: Clock, timeout_s: float = 20.0) -> Iterator[None]:
    """Lets one process at a time make what is made once (keys, CA); the others wait.

    Raises:
        LocalError: it took longer than `timeout_s`.
    """
    path = data / "setup.lock"
    deadline = clock.monotonic() + timeout_s
    descriptor = try_lock(path)
    while descriptor is None:
        if clock.monotonic() > deadline:
            raise LocalError(f"another process has held {path} for {timeout_s:.0f} seconds")
        clock.sleep(_POLL_S)
        descriptor = try_lock(path)
    try:
        yield
    finally:
        os.close(descriptor)
