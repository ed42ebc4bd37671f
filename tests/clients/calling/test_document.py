"""docs/clients.md: its Python blocks run, and it names the generators that are tested."""

import json
import re

import pytest

from tests.clients.calling.conftest import Served
from tests.harness.documents import ROOT

TEXT = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def test_the_blocks_run_as_they_stand(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    program = "\n".join(BLOCKS)
    assert len(BLOCKS) >= 3
    for here, ours in (("http://127.0.0.1:9091", served.api), ("https://localhost:9443", served.sink)):
        assert here in program
        program = program.replace(here, ours)
    exec(compile(program, "docs/clients.md", "exec"), {})  # noqa: S102 (a block of ours)
    lines = capsys.readouterr().out.splitlines()
    subscription_id, status = lines[0].split()
    assert status == "ACTIVE"
    assert f"{subscription_id} None" in lines
    assert lines[-2] == "accepted"
    assert lines[-1].endswith(" duplicate")


def test_generators_are_of_the_versions_that_are_tested() -> None:
    generated = ROOT / "tests" / "conformance" / "generated"
    dependencies = json.loads((generated / "package.json").read_text())["dependencies"]
    pinned = re.search(r'"openapi-python-client>=([\d.]+),', (ROOT / "pyproject.toml").read_text())
    assert pinned is not None
    assert f"| openapi-python-client {pinned[1].rpartition('.')[0]} |" in TEXT
    assert f"| openapi-typescript {dependencies['openapi-typescript'].partition('.')[0]} with" in TEXT
    assert f"openapi-fetch {dependencies['openapi-fetch'].rpartition('.')[0]} |" in TEXT
