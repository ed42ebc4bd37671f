"""Programs of the system that tests here need, and the texts and names of docs/operations/."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

__all__ = ["AUDIENCE", "adapted", "run_block", "tool"]

# As in the settings of docs/operations/install.md.
AUDIENCE = "https://events.operator.example"


def tool(package: str, *names: str) -> str:
    """The path of the first that is installed. Without any the test skips; in CI, which has it, it fails."""
    for name in names:
        found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
        if found:
            return found
    reason = f"needs {' or '.join(names)}: apt-get install {package}"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def adapted(text: str, changes: Mapping[str, str]) -> str:
    """The text with each key replaced by its value; every key is in it."""
    for old, new in changes.items():
        assert old in text, f"{old!r} is not in:\n{text}"
        text = text.replace(old, new)
    return text


def run_block(text: str, cwd: Path, **environ: str) -> str:
    """Runs a block of a document as bash does that stops at the first failure; returns what it printed."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=cwd,
        env=os.environ | environ,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
    return done.stdout
