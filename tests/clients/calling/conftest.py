"""A running `serve`, which the clients of a test call."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness.commands import Running, run
from webrtc_events.local.endpoints import Endpoints

# A client's rate would end a test that lists in turns.
_SETTINGS = {"WEBRTC_EVENTS_NEXT": "true", "WEBRTC_EVENTS_REQUESTS_PER_S": "0"}


@dataclass(frozen=True, slots=True)
class Served:
    """Addresses without a final slash. `ca_file`: of the sink's certificate. `token` has every scope."""

    api: str
    issuer: str
    sink: str
    ca_file: Path
    data: Path

    def token(self, client: str = "app") -> str:
        return run("token", "--client", client, "--data-dir", str(self.data)).stdout.decode().strip()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("serve")
    data = home / "data"
    ports = ("--port", "0", "--sink-port", "0")
    running = Running(home / "log", "serve", *ports, "--data-dir", str(data), env=_SETTINGS)
    try:
        running.await_output("Ctrl-C stops everything")
        endpoints = Endpoints.read(data)
        yield Served(endpoints.api, str(endpoints.issuer), endpoints.sink, data / "ca" / "ca.pem", data)
        assert running.stop() == 0, running.output
    finally:
        running.process.kill()
        running.process.wait()
