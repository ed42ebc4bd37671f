"""What others sent, fit to be shown: nothing in it moves a cursor or turns the direction of a line."""

from typing import Any

__all__ = ["escaped", "printable"]


def printable(value: Any, longest: int) -> str:
    """One line of at most so many characters; what cannot be printed is replaced, what is cut off marked."""
    text = str(value)
    cut = text if len(text) <= longest else f"{text[: longest - 1]}…"
    return cut if cut.isprintable() else "".join(each if each.isprintable() else "\ufffd" for each in cut)


def escaped(text: str) -> str:
    """Lines in which what cannot be printed is written as JSON writes it, `\\u202e`."""
    return "\n".join(line if line.isprintable() else _escaped(line) for line in text.split("\n"))


def _escaped(line: str) -> str:
    return "".join(each if each.isprintable() else _units(each) for each in line)


def _units(character: str) -> str:
    """Source: RFC 8259, section 7: UTF-16 code units."""
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
