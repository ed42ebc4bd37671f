"""Every document: its links lead somewhere, and the README stays short."""

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.harness.documents import ROOT

README_LINES = 150

_BLOCK = re.compile(r"^(```|~~~).*?^\1$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
# Inline links and images, and the targets of reference links.
_LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?[^)]*\)|^\[[^\]]+\]:\s*<?(\S+?)>?\s*$", re.MULTILINE)
_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_INSTALLED = {"node_modules", ".venv", "build", "dist"}


def documents() -> list[Path]:
    """The Markdown files of the project: those that git knows, or all where there is no git."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode == 0 and listed.stdout:
        names = listed.stdout.strip("\0").split("\0")
        return sorted(path for path in map(ROOT.joinpath, names) if path.is_file())
    return sorted(path for path in ROOT.rglob("*.md") if not _INSTALLED & set(path.relative_to(ROOT).parts))


@cache
def anchors(path: Path) -> frozenset[str]:
    """The anchors that GitHub gives to the headings of a document: a repeated one gets a number."""
    found: dict[str, int] = {}
    names = set()
    for match in _HEADING.finditer(_BLOCK.sub("", path.read_text(encoding="utf-8"))):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", match[1]).lower()
        name = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        names.add(f"{name}-{found[name]}" if name in found else name)
        found[name] = found.get(name, 0) + 1
    return frozenset(names)


def broken(path: Path) -> Iterator[str]:
    """The links of a document to a file or a heading that there is not."""
    text = _CODE.sub("", _BLOCK.sub("", path.read_text(encoding="utf-8")))
    for inline, reference in _LINK.findall(text):
        link = inline or reference
        if _ELSEWHERE.match(link):
            continue
        name, _, anchor = unquote(link).partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.exists() or not target.is_relative_to(ROOT):
            yield f"{link}: there is no such file"
        elif anchor and anchor not in anchors(target):
            yield f"{link}: there is no such heading"


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(path: Path) -> None:
    assert list(broken(path)) == []


@pytest.mark.parametrize(
    "link",
    ["nothing.md", "../README.md#nothing", "#nothing", "operations.md#nothing-at-all", "../../outside.md"],
)
def test_a_broken_link_is_found(link: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.house.test_documents.ROOT", tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("# Something\n")
    (tmp_path / "docs" / "operations.md").write_text("# Operations\n\n```sh\n# nothing at all\n```\n")
    document = tmp_path / "docs" / "document.md"
    document.write_text(f"# A document\n\nSee [this]({link}), and not `[that](other.md)`.\n")
    assert [found.partition(": ")[0] for found in broken(document)] == [link]


def test_headings_that_repeat_have_anchors_of_their_own(tmp_path: Path) -> None:
    document = tmp_path / "document.md"
    document.write_text("# Store\n\n## `serve`, and *back*\n\n# Store\n\n[one](#store) [two](#store-1)\n")
    assert anchors(document) == {"store", "serve-and-back", "store-1"}


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= README_LINES
