"""The distribution of clients/python as others get it: its wheel alone, in a new environment."""

import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.harness.documents import ROOT

SOURCE = ROOT / "clients" / "python"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a new environment with the wheel and what that requires."""
    directory = tmp_path_factory.mktemp("client-wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory)]
    subprocess.run(build, cwd=SOURCE, check=True, capture_output=True, timeout=120)
    (wheel,) = directory.glob("*.whl")
    venv.create(directory / "venv", with_pip=False)
    interpreter = directory / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "--python", str(interpreter)]
    subprocess.run([*pip, "install", str(wheel)], check=True, capture_output=True, timeout=300)
    return interpreter


PROGRAM = """
import importlib.util
assert [name for name in ("webrtc_events", "flask", "django", "starlette", "authlib")
        if importlib.util.find_spec(name)] == []
import webrtc_events_client.client
from webrtc_events_client.consumer import *
body = (b'{"id": "1", "source": "/s", "specversion": "1.0", "time": "2027-01-15T08:00:00Z",'
        b'"type": "org.camaraproject.webrtc-events.v0.session-status",'
        b'"data": {"mediaSessionId": "m", "status": "Busy"}}')
receiver = Receiver(lambda delivery: print(delivery.notification.session.status),
                    ReceiverSettings(tokens=BearerTokens(["s3cret"])), memory=SqliteMemory("memory.db"))
headers = {"Content-Type": "application/cloudevents+json", "Authorization": "Bearer s3cret"}
assert [receiver.receive("POST", "/", headers, body).status for _ in range(2)] == [204, 204]
assert receiver.receive("POST", "/", {**headers, "Authorization": "Bearer other"}, body).status == 401
signed = Receiver(print, ReceiverSettings(origin="https://a.example"), keys=KeySet("https://b.example/jwks.json"))
assert signed.receive("POST", "/", headers, body).status == 403
"""


@pytest.mark.slow
def test_it_works_without_the_server(python: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [python, "-I", "-c", PROGRAM], capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "Busy\n"


@pytest.mark.slow
def test_it_is_typed(python: Path) -> None:
    program = (
        "import webrtc_events_client, pathlib; print(pathlib.Path(webrtc_events_client.__file__).parent)"
    )
    done = subprocess.run(
        [python, "-I", "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert (Path(done.stdout.strip()) / "py.typed").exists()
