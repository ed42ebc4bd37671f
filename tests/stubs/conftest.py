"""A folder with the document of things and the shipped handlers."""

import shutil
from pathlib import Path

import pytest

from tests.stubs.documents import ROOT, THINGS


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the document `things.yaml`, and the shipped handlers."""
    (tmp_path / "things.yaml").write_text(THINGS)
    shutil.copytree(ROOT / "handlers", tmp_path / "handlers", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(tmp_path)
    return tmp_path
