"""What a test of a document takes for a block, and what of it is run."""

import pytest

from tests.documents.blocks import Block, blocks, matches
from tests.documents.pages import PAGES
from tests.harness.documents import ROOT

# What measures and tests this project, not what a reader writes.
_NO_GUIDES = {"performance.md", "testing.md"}


@pytest.mark.parametrize(
    ("printed", "expected", "is_so"),
    [
        ("201\n", "201\n", True),
        ("one  \ntwo\n", "one\ntwo\n", True),
        ("one\ntwo\nthree\n", "…\nthree\n", True),
        ("one\ntwo\nthree\n", "one\n…\nthree\n", True),
        ("one\nthree\n", "one\n…\nthree\n", True),
        ("one\nthree\n", "one\nthree\n…\n", True),
        ("one (2)\n", "one (…)\n", True),
        ("one (2\n3)\n", "one (…)\n", False),
        ("one\ntwo\n", "one\n", False),
        ("202\n", "201\n", False),
        ("", "201\n", False),
    ],
)
def test_what_a_block_prints_is_compared(printed: str, expected: str, is_so: bool) -> None:
    assert matches(printed, expected) is is_so


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_run_or_says_why_not(page: str) -> None:
    found = blocks(page)
    assert found
    assert [block for block in found if not _is_known(block)] == []


def test_every_guide_with_blocks_has_a_test_that_reads_it() -> None:
    folders = (ROOT / "tests", ROOT / "clients" / "python" / "tests")
    tests = "".join(
        path.read_text(encoding="utf-8") for folder in folders for path in folder.rglob("test_*.py")
    )
    guides = [path.name for path in (ROOT / "docs").glob("*.md") if path.name not in _NO_GUIDES]
    with_blocks = [
        name for name in guides if any(block.language in ("sh", "python") for block in blocks(name))
    ]
    assert "signatures.md" in with_blocks
    assert [name for name in with_blocks if name not in PAGES and f'"{name}"' not in tests] == []


@pytest.mark.parametrize("page", PAGES)
def test_few_blocks_are_not_run(page: str) -> None:
    assert len([block for block in blocks(page) if block.is_left_out]) <= 1


def _is_known(block: Block) -> bool:
    if block.is_left_out:
        return len(block.note) > len("not run: ")
    if block.language == "text":
        return block.title.startswith("Terminal ")
    return block.language == "sh" or (block.language == "python" and block.title.endswith(".py"))
