"""A temporary `serve` for the length of a block: on free ports, with data that it removes."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import requests

from webrtc_events.core.clock import Clock
from webrtc_events.core.setting_sources import CREDENTIALS, PREFIX
from webrtc_events.local.endpoints import Endpoints
from webrtc_events.local.local_error import LocalError

__all__ = ["temporary_serve"]

_READY_S = 60.0
_STOP_S = 30.0
_POLL_S = 0.05
_TAIL_LINES = 30


@contextmanager
def temporary_serve(environ: Mapping[str, str], clock: Clock) -> Iterator[Path]:
    """Gives the data directory of a `serve` that is ready.

    It ignores settings in the environment, so that it runs the same everywhere.

    Raises:
        LocalError: it did not get ready; the end of its output is included.
    """
    with (
        _unwinding_at_sigterm(),
        tempfile.TemporaryDirectory(prefix="webrtc-events-", ignore_cleanup_errors=True) as name,
    ):
        data = Path(name) / "data"
        output = Path(name) / "serve.log"
        process = _start(data, output, environ)
        try:
            _await_ready(process, data, output, clock)
            yield data
        finally:
            _stop(process)


@contextmanager
def _unwinding_at_sigterm() -> Iterator[None]:
    """SIGTERM unwinds like Ctrl-C, so that the block cleans up."""

    def leave(number: int, _frame: FrameType | None) -> None:
        sys.exit(128 + number)

    previous = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _start(data: Path, output: Path, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
    child = Path(__file__).with_name("child.py")
    serve = ["-m", "webrtc_events.cli", "serve", "--port", "0", "--sink-port", "0", "--data-dir", str(data)]
    with output.open("wb") as log:
        return subprocess.Popen(  # noqa: S603 - our own program, no shell
            [sys.executable, "-I", "-S", str(child), str(os.getpid()), "-1", sys.executable, *serve],
            env={
                key: value
                for key, value in environ.items()
                if not key.startswith((PREFIX, "OTEL_")) and key != CREDENTIALS
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # Ctrl-C is for the command that started it, which stops it in order.
            start_new_session=True,
        )


def _await_ready(process: subprocess.Popen[bytes], data: Path, output: Path, clock: Clock) -> None:
    deadline = clock.monotonic() + _READY_S
    while clock.monotonic() < deadline and process.poll() is None:
        if (data / "serve.json").exists() and _ready(Endpoints.read(data)):
            return
        clock.sleep(_POLL_S)
    tail = "\n".join(f"  {line}" for line in output.read_text(errors="replace").splitlines()[-_TAIL_LINES:])
    raise LocalError(f"`webrtc-events serve` did not get ready; the end of its output:\n{tail}")


def _ready(endpoints: Endpoints) -> bool:
    session = requests.Session()
    session.trust_env = False
    with session:
        try:
            return session.get(f"{endpoints.api}/readyz", timeout=5).ok
        except requests.RequestException:
            return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
