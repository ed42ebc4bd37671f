"""`webrtc-events stubs`: what it refuses, and how it says so."""

import shutil
from pathlib import Path

import pytest

from tests.stubs.documents import stubs, written


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("overlay: 1.0.0\nextends: a.yaml\nactions: []", "Overlay has no operations; name a.yaml"),
        ("swagger: '2.0'\npaths: {}", "not an OpenAPI 3 document"),
        ("- 1", "not an OpenAPI 3 document"),
        ("openapi: [", "not YAML"),
        ("openapi: 3.0.3\ninfo: {}", "'paths'"),
        ("openapi: 3.0.3\npaths: {/a: {get: {responses: {}}}}", "api.yaml:2: GET /a has no operationId"),
        ("openapi: 3.0.3\npaths: {/a: {get: {operationId: a-b}}}", "'a-b' cannot be the name"),
        (
            "openapi: 3.0.3\npaths:\n  /a: {get: {operationId: readIt}}\n  /b: {get: {operationId: readIt}}",
            "api.yaml:4: readIt is also the function of GET /a",
        ),
        ("openapi: 3.0.3\npaths: {/a: {put: {operationId: a, requestBody: {$ref: '#/b'}}}}", "missing: 'b'"),
        (
            "openapi: 3.0.3\npaths: {'/a/{payload}': {put: {operationId: a, requestBody: {content: {}}}}}",
            "two parameters of a would have the same name",
        ),
        ("openapi: 3.0.3\npaths: [1]", "not shaped as OpenAPI wants it"),
    ],
)  # fmt: skip
def test_document_that_cannot_be_bound_is_reported(folder: Path, document: str, message: str) -> None:
    (folder / "api.yaml").write_text(document)
    for option in ([], ["--check"]):
        result = stubs("api.yaml", *option)
        assert result.exit_code == 1
        assert result.output.startswith("Error: api.yaml")
        assert message in result.output


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def f(:", "handlers/things.py:1: "),
        ("\ndef f(a, a): ...", "handlers/things.py:2: "),
        ("from x import *", "handlers/things.py:1: `import *` hides"),
        (
            "class Unimplemented: ...",
            "need `Unimplemented` of webrtc_events.core.errors, and the name is taken",
        ),
        (b"\xff", "handlers/things.py: "),
    ],
)
def test_module_that_cannot_be_added_to_is_reported(folder: Path, source: str | bytes, message: str) -> None:
    path = folder / "handlers" / "things.py"
    path.write_bytes(source if isinstance(source, bytes) else source.encode())
    before = path.read_bytes()
    result = stubs("things.yaml")
    assert result.exit_code == 1
    assert message in result.output
    assert path.read_bytes() == before


def test_folder_to_write_to_is_named_or_here(folder: Path) -> None:
    shutil.rmtree(folder / "handlers")
    result = stubs("things.yaml")
    assert result.exit_code == 1
    assert "--module" in result.output
    written("things.yaml", "--module", "own.py")
    assert stubs("things.yaml", "--module", "no/such/folder.py").exit_code == 1


def test_what_is_asked_for_makes_sense(folder: Path) -> None:
    assert stubs().exit_code == 2
    assert stubs("--check", "--module", "a.py").exit_code == 2
    assert stubs("no-such.yaml").exit_code == 2
