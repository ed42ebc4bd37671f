"""The blocks of code of a document that teaches, and what each is for.

    sh                          typed into the reader's first terminal
    sh, title="Terminal N"      typed into another terminal, where it goes on
    python, title="name.py"     saved as that file, in the folder that the document makes
    text                        what the block before it prints; `…` stands for anything in a
                                line, and alone for any lines
    text, title="Terminal N"    what that terminal has printed by then

A comment in front of a block says more: `<!-- repeated until it is so -->` if what follows it takes a moment,
`<!-- not run: why -->` if a test cannot run it.
"""

import re
from dataclasses import dataclass
from typing import Final

from tests.harness.documents import ROOT

__all__ = ["Block", "blocks", "matches"]

# As Flask marks some lines wherever it prints them.
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
_BLOCK: Final = re.compile(
    r"(?:^<!-- (?P<note>[^>]*) -->\n)?"
    r"^```(?P<language>\w*)(?: title=\"(?P<title>[^\"]*)\")?\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Block:
    """`printed`: the text block behind it, empty if there is none."""

    language: str
    title: str
    text: str
    note: str
    printed: str

    @property
    def is_repeated(self) -> bool:
        return self.note == "repeated until it is so"

    @property
    def is_left_out(self) -> bool:
        return self.note.startswith("not run: ")


def blocks(name: str) -> list[Block]:
    """Those of a file below docs/, in their order."""
    found = list(_BLOCK.finditer((ROOT / "docs" / name).read_text(encoding="utf-8")))
    made = []
    for number, match in enumerate(found):
        if match["language"] not in ("sh", "python") and not match["title"]:
            continue
        behind = found[number + 1] if number + 1 < len(found) else None
        is_printed = behind is not None and behind["language"] == "text" and not behind["title"]
        printed = behind["text"] if behind is not None and is_printed else ""
        made.append(
            Block(match["language"], match["title"] or "", match["text"], match["note"] or "", printed)
        )
    return made


def matches(printed: str, expected: str) -> bool:
    """Whether something was printed, colours and spaces at the ends of lines aside."""
    colourless = _COLOUR.sub("", printed)
    plain = "".join(f"{line.rstrip()}\n" for line in colourless.strip().splitlines())
    wanted = "".join(_pattern(line) for line in expected.strip().splitlines())
    return re.fullmatch(wanted, plain) is not None


def _pattern(line: str) -> str:
    return r"(?s:.*\n)?" if line == "…" else re.escape(line).replace("…", ".*") + r"\n"
