"""examples/two-process: a store, a worker and an API by one script, which starts and stops them in order."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.harness.documents import ROOT
from tests.harness.issuer import AUDIENCE, Issuer
from tests.harness.sinks import RecordingSink
from tests.harness.valkeys import CLOCK, eventually, free_port
from tests.production.service import SCOPE, TYPE, event
from webrtc_events_client.client import Client, NetworkClient
from webrtc_events_client.network_events import NetworkEvent
from webrtc_events_client.subscriptions import SubscriptionRequest, SubscriptionType

_BOUND_S = 60
_LISTENS = "Application startup complete"


@pytest.fixture
def sink() -> Iterator[RecordingSink]:
    with RecordingSink() as running:
        yield running


class Production:
    """The script in a copy of its folder, with this test's issuer and sink in its settings."""

    def __init__(self, folder: Path, issuer: Issuer, sink: RecordingSink) -> None:
        self.folder = shutil.copytree(ROOT / "examples" / "two-process", folder)
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        settings = self.folder / "settings.toml"
        text = settings.read_text(encoding="utf-8")
        for old, new in (
            ("https://login.operator.example/.well-known/openid-configuration", issuer.discovery_url),
            ('audience = "https://events.operator.example"', f'audience = "{AUDIENCE}"'),
        ):
            assert old in text
            text = text.replace(old, new)
        more = f'sink_ca_file = "{sink.ca_file}"\nsink_allowed_networks = "127.0.0.0/8"\n'
        settings.write_text(text + more, encoding="utf-8")
        self._log = folder.parent / "log"
        self._script: subprocess.Popen[bytes] | None = None

    @property
    def output(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def start(self, **environ: str) -> None:
        """Returns at once. `environ`: further variables."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        with self._log.open("wb") as log:
            self._script = subprocess.Popen(
                # As from a terminal: a background job ignores SIGINT, and so would the shell.
                ["env", "--default-signal=INT", str(self.folder / "run.sh")],
                env=os.environ | {"PATH": path, "BIND": f"127.0.0.1:{self._port}"} | environ,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def started(self) -> None:
        self.start()

        def ready() -> bool:
            assert self.script.poll() is None, self.output
            return _LISTENS in self.output and "Delivering." in self.output

        eventually(ready, "the API and the worker", _BOUND_S)
        assert requests.get(f"{self.url}/readyz", timeout=10).json()["status"] == "ok"

    @property
    def script(self) -> "subprocess.Popen[bytes]":
        assert self._script is not None
        return self._script

    def pids(self) -> list[int]:
        """Those that work in the folder, but for the script."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                here = (process / "cwd").readlink()
            except OSError:
                continue
            # The store works where its data are.
            if here in (self.folder, self.folder / "data") and int(process.name) != self.script.pid:
                found.append(int(process.name))
        return found

    def pid_of(self, word: bytes) -> int:
        """The first process with that word in its command."""
        return min(pid for pid in self.pids() if word in Path(f"/proc/{pid}/cmdline").read_bytes())

    def stopped(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.script.send_signal(number)
        return self.script.wait(_BOUND_S)

    def kill_all(self) -> None:
        if self._script is None:
            return
        for pid in self.pids():
            os.kill(pid, signal.SIGKILL)
        self._script.kill()
        self._script.wait()


@pytest.fixture
def production(tmp_path: Path, issuer: Issuer, sink: RecordingSink) -> Iterator[Production]:
    if shutil.which("valkey-server") is None and shutil.which("redis-server") is None:
        pytest.skip("needs Debian's redis-server or valkey-server")
    made = Production(tmp_path / "two-process", issuer, sink)
    yield made
    made.kill_all()


@pytest.mark.slow
def test_it_delivers_and_keeps_what_it_has(
    production: Production, issuer: Issuer, sink: RecordingSink
) -> None:
    production.started()
    key = (production.folder / "data" / "secret-key").read_bytes()
    token = issuer.token(CLOCK.now() - 5, scope=SCOPE, exp=CLOCK.now() + 600)
    request = SubscriptionRequest.to(SubscriptionType(TYPE), sink=sink.url, registration_id="r1")
    with Client(production.url, token) as client, NetworkClient(production.url, token) as gateway:
        made = client.create(request)
        gateway.publish(NetworkEvent.parse(json.dumps(event())))
        eventually(lambda: sink.requests, "the event is delivered")
        assert production.stopped(signal.SIGINT) == 0
        in_order = [production.output.index(text) for text in ("Shutting down: Master", "bye bye")]
        assert in_order == sorted(in_order)
        eventually(lambda: not production.pids(), "all have ended")

        production.started()
        assert [found.id for found in client.list()] == [made.id]
    assert (production.folder / "data" / "secret-key").read_bytes() == key
    assert production.stopped() == 0


@pytest.mark.slow
@pytest.mark.parametrize("word", [b"worker", b"gunicorn", b"-server"])
def test_the_end_of_one_stops_the_others(production: Production, word: bytes) -> None:
    production.started()
    os.kill(production.pid_of(word), signal.SIGKILL)
    assert production.script.wait(_BOUND_S) == 1
    assert "One of them has ended" in production.output
    eventually(lambda: not production.pids(), "all have ended")


@pytest.mark.slow
def test_it_runs_once_and_what_it_started_ends_with_it(production: Production) -> None:
    production.started()
    second = subprocess.run(
        [str(production.folder / "run.sh")],
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=_BOUND_S,
    )
    assert (second.returncode, second.stderr) == (1, "It runs already.\n")
    assert requests.get(f"{production.url}/readyz", timeout=10).ok
    production.script.kill()
    production.script.wait(_BOUND_S)
    eventually(lambda: not production.pids(), "all have ended", _BOUND_S)
    production.started()
    assert production.stopped() == 0


def test_wrong_settings_start_nothing(production: Production) -> None:
    production.start(WEBRTC_EVENTS_PARTITIONS="many")
    assert production.script.wait(_BOUND_S) == 2
    assert "WEBRTC_EVENTS_PARTITIONS" in production.output
    assert not (production.folder / "data" / "store.sock").exists()


def test_without_a_store_it_says_what_to_install(production: Production, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("bash", "dirname", "env"):
        (tools / name).symlink_to(str(shutil.which(name)))
    production.start(PATH=str(tools))
    assert production.script.wait(_BOUND_S) == 1
    assert "apt install redis-server" in production.output
