"""Commands as people run them: processes with a separate data directory."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.harness.browser import CHROMIUM, Browser, browser
from webrtc_events.core.clock import SystemClock
from webrtc_events.local.demo.http_client import HttpClient
from webrtc_events.local.endpoints import Endpoints

# A machine that does much else starts a process in seconds, not in tenths.
_BOUND_S = 60.0
COMMAND = [sys.executable, "-m", "webrtc_events.cli"]


def clean_environ() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("WEBRTC_EVENTS_")}


def run(
    *arguments: str, stdin: bytes = b"", env: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[bytes]":
    """A command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments], input=stdin, capture_output=True, timeout=_BOUND_S, env=env or clean_environ()
    )


def eventually(condition: Callable[[], Any], seconds: float = _BOUND_S) -> Any:
    """The first true value of `condition`."""
    clock = SystemClock()
    deadline = clock.monotonic() + seconds
    while not (value := condition()):
        assert clock.monotonic() < deadline, "it did not happen in time"
        clock.sleep(0.02)
    return value


class Running:
    """A command that goes on until it is stopped; `output` is what it has printed."""

    def __init__(self, log: Path, *arguments: str, env: dict[str, str] | None = None) -> None:
        self._log = log
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [*COMMAND, *arguments],
                stdout=file,
                stderr=file,
                env=clean_environ() | (env or {}),
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self._log.read_text()

    def await_output(self, text: str) -> None:
        def said() -> bool:
            assert self.process.poll() is None, self.output
            return text in self.output

        eventually(said)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(_BOUND_S)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Starts commands; what still runs at the end of the test is stopped."""
    started: list[Running] = []

    def begin(*arguments: str, env: dict[str, str] | None = None) -> Running:
        started.append(Running(tmp_path / f"{len(started)}.log", *arguments, env=env))
        return started[-1]

    yield begin
    for running in reversed(started):
        if running.process.poll() is None:
            running.stop()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def start_serve(start: Callable[..., Running], data: Path) -> Callable[..., Running]:
    """`serve` on free ports, ready; settings by name."""

    def begin(**env: str) -> Running:
        serve = start("serve", "--port", "0", "--sink-port", "0", "--data-dir", str(data), env=env)
        serve.await_output("Ctrl-C stops everything")
        assert requests.get(f"{Endpoints.read(data).api}/readyz", timeout=5).json()["status"] == "ok"
        return serve

    return begin


@contextmanager
def one_serve(folder: Path) -> Iterator[Endpoints]:
    """A `serve` for all tests that leave it running and as it is."""
    options = ["--port", "0", "--sink-port", "0", "--data-dir", str(folder / "data")]
    serve = Running(folder / "serve.log", "serve", *options)
    try:
        serve.await_output("Ctrl-C stops everything")
        yield Endpoints.read(folder / "data")
        assert "Traceback" not in serve.output
    finally:
        serve.stop()


@pytest.fixture
def api(data: Path) -> Iterator[HttpClient]:
    """Asks the `serve` on the data directory with every scope."""

    def token() -> str:
        return run("token", "--data-dir", str(data)).stdout.decode().strip()

    client = HttpClient(token)
    yield client
    client.close()


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed here")
    with browser(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture
def sink_client(data: Path) -> Iterator[HttpClient]:
    client = HttpClient(ca=data / "ca" / "ca.pem")
    yield client
    client.close()
