"""Which files, classes and functions are larger than the house permits, in the package and beside it."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.harness.documents import ROOT

MAX_FILE_LINES = 400
MAX_CLASS_LINES = 250
MAX_FUNCTION_LINES = 50
_ROOMS = ("webrtc_events", "handlers", "tests", "bench", "clients", "examples")
# The first line of a generated file; ruff's configuration excludes them too.
_GENERATED = "# Generated from the contract"
# What npm installs is not written here.
_INSTALLED = "node_modules"


@dataclass(frozen=True, slots=True)
class TooLarge:
    place: str
    lines: int
    limit: int

    def __str__(self) -> str:
        return f"{self.place}: {self.lines} lines; at most {self.limit}"


def too_large(source: str, path: str) -> Iterator[TooLarge]:
    """What is too large in one module: itself, its classes, its functions; methods and inner ones too."""
    lines = source.count("\n")
    if lines > MAX_FILE_LINES:
        yield TooLarge(path, lines, MAX_FILE_LINES)
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.ClassDef():
                limit = MAX_CLASS_LINES
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                limit = MAX_FUNCTION_LINES
            case _:
                continue
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        if lines > limit:
            yield TooLarge(f"{path}:{node.lineno} {node.name}", lines, limit)


def modules() -> Iterator[Path]:
    """Every module that people write; folders that are linked into the package come once."""
    for room in _ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            is_linked = any(parent.is_symlink() for parent in path.parents if parent != ROOT)
            if _INSTALLED in path.parts:
                continue
            if not is_linked and not path.read_text().startswith(_GENERATED):
                yield path


def main() -> int:
    found = [
        fault for path in modules() for fault in too_large(path.read_text(), str(path.relative_to(ROOT)))
    ]
    for fault in found:
        print(fault)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
