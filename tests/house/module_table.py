"""Writes docs/modules.md: every module with the first sentence of its docstring, a table for each room.

python -m tests.house.module_table
"""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.harness.documents import ROOT

__all__ = ["PACKAGE", "TABLE", "modules", "rooms", "written"]

PACKAGE = ROOT / "webrtc_events"
TABLE = ROOT / "docs" / "modules.md"
ROOTS = "the composition roots"

_HEAD = """# Modules

Every module with the first line of its docstring, a table for each room. Paths are below `webrtc_events/`,
those of handlers below the repository. [ARCHITECTURE.md](../ARCHITECTURE.md) says what the rooms are for.
`python -m tests.house.module_table` writes this page anew.
"""
_GENERATED = "# Generated from the contract by `make types`"
# From the outside to the inside. Rooms that it does not name come last.
_ORDER = (
    ROOTS,
    "cli",
    "cli/doctor",
    "cli/bench",
    "cli/migration",
    "local",
    "local/stack",
    "local/sink",
    "local/demo",
    "local/simulation",
    "local/simulation_pages",
    "console",
    "console/subscriptions",
    "console/calls",
    "console/ladder",
    "gateways",
    "gateways/janus",
    "stubs",
    "handlers",
    "api",
    "services",
    "delivery",
    "sinks",
    "store",
    "store/redis",
    "store/durability",
    "contract",
    "core",
)


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of the package and every handler: its name, as the table has it, and its file."""
    for base, folder in ((PACKAGE, PACKAGE), (ROOT, ROOT / "handlers")):
        for path in sorted(folder.rglob("*.py")):
            # The package has the handlers too, through a link.
            is_linked = path.is_relative_to(PACKAGE / "handlers")
            if path.name != "__init__.py" and not is_linked:
                yield path.relative_to(base).as_posix(), path


def rooms() -> dict[str, dict[str, Path]]:
    """The modules of each room, by their names, in the order of the page."""
    found: dict[str, dict[str, Path]] = defaultdict(dict)
    for name, path in modules():
        room = Path(name).parent.as_posix()
        found[ROOTS if room == "." else room][name] = path
    order = [*_ORDER, *sorted(found.keys() - set(_ORDER))]
    return {room: found[room] for room in order if room in found}


def sentence(path: Path) -> str:
    """The first line of a module's docstring; a module without one has none."""
    source = path.read_text(encoding="utf-8")
    if source.startswith(_GENERATED):
        return "Generated from the contract by `make types`."
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


def written() -> str:
    parts = [_HEAD]
    for room, members in rooms().items():
        title = "The composition roots" if room == ROOTS else f"`{room}/`"
        rows = [f"| `{name}` | {sentence(path)} |" for name, path in members.items()]
        parts.append("\n".join([f"## {title}\n", "| module | |", "| --- | --- |", *rows]) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    TABLE.write_text(written(), encoding="utf-8")
