"""The examples of consumers as processes, started by the blocks of their READMEs."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.harness.commands import clean_environ, eventually
from tests.harness.documents import ROOT
from tests.harness.valkeys import free_port
from webrtc_events.local.endpoints import Endpoints

__all__ = ["Example"]

_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_BOUND_S = 60.0


class Example:
    """A folder below `examples/`, against the `serve` on a data directory.

    The blocks of its README are: start the service, start the application, try it. Their ports and paths are
    replaced by those of this test.
    """

    def __init__(self, name: str, data: Path, work: Path, *, port: int | None = None) -> None:
        self._folder = ROOT / "examples" / name
        text = (self._folder / "README.md").read_text(encoding="utf-8")
        self.start_block, self.run_block, self.try_block = _BLOCK.findall(text)
        (written,) = set(re.findall(r"-b 127\.0\.0\.1:(\d+)|--port (\d+)", self.run_block))
        self._written = next(filter(None, written))
        self.port = port or free_port()
        self._data = data
        self._log = work / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        api = Endpoints.read(data).api
        self.origin = f"https://localhost:{self.port}"
        self.sink = f"{self.origin}/inbox"
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._environ = clean_environ() | {
            "PATH": path,
            "PYTHONDONTWRITEBYTECODE": "1",
            "WEBRTC_EVENTS_DATA_DIR": str(data),
            "ORIGIN": self.origin,
            "KEYS": f"{api}/.well-known/jwks.json",
            "SERVICE": api,
            "FILE": str(work / f"{name}.db"),
        }

    def start(self, **environ: str) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                ["bash", "-euc", self._here(self.run_block)],
                cwd=self._folder,
                env=self._environ | environ,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        eventually(self._listens)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            # The shell, and what it has started.
            os.killpg(self._process.pid, number)
            self._process.wait(_BOUND_S)
            self._process = None

    def shell(self, commands: str, environ: Mapping[str, str] | None = None) -> str:
        """What the commands say, in the folder of the example."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self._here(commands)],
            cwd=self._folder,
            env=self._environ | dict(environ or {}),
            capture_output=True,
            text=True,
            timeout=_BOUND_S,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @property
    def output(self) -> str:
        return self._log.read_text()

    def _here(self, block: str) -> str:
        api = Endpoints.read(self._data).api
        return (
            block.replace(self._written, str(self.port))
            .replace("http://127.0.0.1:9091", api)
            .replace("~/.local/share/webrtc-events", str(self._data))
        )

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.output
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
