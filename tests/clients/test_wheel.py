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


@pytest.mark.slow
def test_it_works_without_the_server(python: Path) -> None:
    program = """
import importlib.util
assert importlib.util.find_spec("webrtc_events") is None
import webrtc_events_client.consumer
print(webrtc_events_client.__version__)
"""
    done = subprocess.run([python, "-I", "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
