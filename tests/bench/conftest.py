"""Puts the folder of the benchmarks where their modules find each other."""

import sys
from collections.abc import Iterator

import pytest

from tests.harness.documents import ROOT


@pytest.fixture(scope="package", autouse=True)
def _benchmarks() -> Iterator[None]:
    sys.path.insert(0, str(ROOT / "bench"))
    yield
    sys.path.remove(str(ROOT / "bench"))
