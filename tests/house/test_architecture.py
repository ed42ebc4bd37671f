"""ARCHITECTURE.md names every module, and nothing that there is not."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.harness.documents import ROOT

PACKAGE = ROOT / "webrtc_events"
# Looked for in turn: a module is named by its path below the package, a handler by that below the repository.
BASES = (PACKAGE, ROOT, PACKAGE / "store" / "lua", PACKAGE / "store" / "lua" / "shared")

_NAME = re.compile(r"`([\w./-]+\.(?:py|lua|yaml|md))`")
_ROW = re.compile(r"^\| `([\w./]+\.py)` \| (.+) \|$", re.MULTILINE)


def document() -> str:
    return (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")


def modules() -> Iterator[str]:
    """Every module of the package and every handler, as the document names them."""
    for base, folder in ((PACKAGE, PACKAGE), (ROOT, ROOT / "handlers")):
        for path in folder.rglob("*.py"):
            # The package has the handlers too, through a link.
            linked = path.is_relative_to(PACKAGE / "handlers")
            if path.name != "__init__.py" and not linked:
                yield path.relative_to(base).as_posix()


def proposed(module: str) -> str:
    """The row that a module lacks, with the first line of its docstring."""
    path = next(base / module for base in BASES if (base / module).is_file())
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "?"
    return f"| `{module}` | {docstring.splitlines()[0]} |"


def test_every_module_has_a_sentence() -> None:
    rows = dict(_ROW.findall(document()))
    missing = [proposed(module) for module in sorted(set(modules()) - rows.keys())]
    assert missing == [], "add these rows to their rooms:\n" + "\n".join(missing)


def test_no_module_has_two_rows() -> None:
    names = [name for name, _ in _ROW.findall(document())]
    assert len(names) == len(set(names))


def test_every_name_exists() -> None:
    names = set(_NAME.findall(document()))
    assert names
    assert [name for name in sorted(names) if not any((base / name).is_file() for base in BASES)] == []


def test_every_room_has_a_heading() -> None:
    rooms = {Path(module).parent.as_posix() for module in modules()} - {"."}
    assert [room for room in sorted(rooms) if f"\n### `{room}/`\n" not in document()] == []
