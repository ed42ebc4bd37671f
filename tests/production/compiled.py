"""The compiled package of this checkout, as an operator builds it: by pip, in an isolated environment."""

import os
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.harness.documents import ROOT
from tests.harness.made_once import made_once
from tests.production.operations.tools import tool

__all__ = ["MODULES", "compiled_package", "environ_with"]

_HOOK = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"][
    "wheel"
]["hooks"]["custom"]
MODULES: Sequence[str] = _HOOK["modules"]
"""The modules that are compiled, by their paths in the repository."""

_BOUND_S = 600


def compiled_package(factory: pytest.TempPathFactory) -> Path:
    """The folder with the wheel and what is in it; the first process that asks for it builds it."""
    tool("build-essential", "cc")
    return made_once(factory, "compiled", _compile)


def _compile(folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", folder, ROOT]
    environ = os.environ | {"HATCH_BUILD_HOOKS_ENABLE": "1"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=_BOUND_S)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)


def environ_with(package: Path) -> dict[str, str]:
    """An environment in which Python finds the package before any other of its name."""
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(package), str(ROOT)])}
