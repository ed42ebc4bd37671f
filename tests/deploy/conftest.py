"""Helm, and what it makes of the chart."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.tools import CHART, SETTINGS, documents, run, unpacked_helm

Render = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked_helm(tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="session")
def render(helm: Path, tmp_path_factory: pytest.TempPathFactory) -> Render:
    """The objects of a release called `live`, by values; the least that is needed is filled in."""
    folder = tmp_path_factory.mktemp("values")

    def rendered(**values: Any) -> list[dict[str, Any]]:
        file = folder / "values.json"
        file.write_text(json.dumps({"settings": SETTINGS} | values))
        done = run(helm, "template", "live", CHART, "--namespace", "calls", "--values", file)
        assert done.returncode == 0, done.stderr
        return list(documents(done.stdout))

    return rendered
