"""Documents that tests hold the service to: their sections, tables and blocks."""

import re
from pathlib import Path

__all__ = ["ROOT", "Document"]

ROOT = Path(__file__).parents[2]
_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)


class Document:
    """A file below `docs/`. Headings are given without their number signs."""

    def __init__(self, name: str) -> None:
        self.text = (ROOT / "docs" / name).read_text(encoding="utf-8")

    def section(self, heading: str) -> str:
        """What stands below a heading, up to the next one."""
        found = list(_HEADING.finditer(self._without_blocks()))
        (number,) = (number for number, match in enumerate(found) if match[2] == heading)
        ends = [match.start() for match in found[number + 1 :]] + [len(self.text)]
        return self.text[found[number].end() : ends[0]]

    def table(self, heading: str, number: int = 0) -> list[list[str]]:
        """The cells of the rows of a table below a heading, counted from 0."""
        tables = re.findall(r"(?:^\|.*\n)+", self.section(heading) + "\n", re.MULTILINE)
        rows = tables[number].splitlines()[2:]
        return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]

    def block(self, heading: str, number: int = 0, language: str = "sh") -> str:
        """A block of code below a heading, counted from 0 among those of its language."""
        blocks = re.findall(rf"^```{language}\n(.*?)^```$", self.section(heading), re.MULTILINE | re.DOTALL)
        text: str = blocks[number]
        return text

    def _without_blocks(self) -> str:
        """Of the same length: what is found here is at the same place. Comments in blocks are no headings."""
        return re.sub(
            r"^```.*?^```$", lambda match: "." * len(match[0]), self.text, flags=re.MULTILINE | re.DOTALL
        )
