"""ARCHITECTURE.md is one page, and every module is found from it: in the table that it links to."""

import re

from tests.harness.documents import ROOT
from tests.house.module_table import PACKAGE, ROOTS, TABLE, modules, rooms, sentence, written

ARCHITECTURE = ROOT / "ARCHITECTURE.md"
MAX_LINES = 150
# Tried in this order: a module is named by its path below the package, a handler by its path below the root.
BASES = (PACKAGE, ROOT, PACKAGE / "store" / "lua", PACKAGE / "store" / "lua" / "shared")

_NAME = re.compile(r"`([\w./-]+\.(?:py|lua|yaml|md))`")
_ROOM = re.compile(r"^\| \[`([\w/]+)/`\]\(docs/modules\.md#([\w-]+)\) \|", re.MULTILINE)


def document() -> str:
    return ARCHITECTURE.read_text(encoding="utf-8")


def test_it_is_one_page_with_two_pictures() -> None:
    assert len(document().splitlines()) <= MAX_LINES
    assert document().count("```mermaid") == 2


def test_every_name_exists() -> None:
    names = set(_NAME.findall(document()))
    assert names
    assert [name for name in sorted(names) if not any((base / name).is_file() for base in BASES)] == []


def test_every_room_is_there_with_a_link_to_its_modules() -> None:
    linked = dict(_ROOM.findall(document()))
    assert linked.keys() == rooms().keys() - {ROOTS}
    assert linked == {room: room.replace("/", "") for room in linked}
    assert "(docs/modules.md#the-composition-roots)" in document()


def test_every_module_is_in_the_table_with_the_sentence_of_its_docstring() -> None:
    table = TABLE.read_text(encoding="utf-8")
    assert table == written(), "run: python -m tests.house.module_table"
    assert all(f"| `{name}` |" in table for name, _ in modules())


def test_every_module_has_a_sentence() -> None:
    assert [name for name, path in modules() if not sentence(path).endswith((".", "?"))] == []
