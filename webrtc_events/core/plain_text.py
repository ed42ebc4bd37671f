"""Makes text of others safe to show: nothing in it moves a cursor or turns the direction of a line."""

from typing import Any

__all__ = ["escaped", "printable"]


def printable(value: Any, max_characters: int) -> str:
    """One line of at most `max_characters`; replaces what cannot be printed, and marks where it cuts off."""
    text = str(value)
    cut = text if len(text) <= max_characters else f"{text[: max_characters - 1]}…"
    if cut.isprintable():
        return cut
    return "".join(character if character.isprintable() else "\ufffd" for character in cut)


def escaped(text: str) -> str:
    """Lines in which what cannot be printed is written as JSON writes it, `\\u202e`."""
    return "\n".join(line if line.isprintable() else _escaped(line) for line in text.split("\n"))


def _escaped(line: str) -> str:
    return "".join(character if character.isprintable() else _units(character) for character in line)


def _units(character: str) -> str:
    """Source: RFC 8259, section 7: UTF-16 code units."""
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
