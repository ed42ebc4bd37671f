"""How wide a text is about, without a font: a server has none, and browsers differ."""

from unicodedata import east_asian_width

__all__ = ["fitted", "fitted_middle", "width"]

# In parts of the font size, rather too wide than too narrow: of DejaVu Sans, as wide a font as browsers take.
_NARROW = dict.fromkeys("iljI.,:;|!'`()[]/\\ ", 0.36) | dict.fromkeys('ftr-"*', 0.44)
_WIDE = dict.fromkeys("mwMW@%…—", 0.98)
_UPPER = 0.72
_OTHER = 0.63
_MONO = 0.61
_FULL = 1.05
_ELLIPSIS = "…"


def width(text: str, size: float, *, mono: bool = False) -> float:
    """Pixels of a line in a font of `size` pixels."""
    return size * sum(_part(character, mono) for character in text)


def _part(character: str, mono: bool) -> float:
    if east_asian_width(character) in "WF":
        return _FULL
    if mono:
        return _MONO
    part = _NARROW.get(character) or _WIDE.get(character)
    return part or (_UPPER if character.isupper() else _OTHER)


def fitted(text: str, room: float, size: float, *, mono: bool = False) -> str:
    """The text, cut off with an ellipsis where it needs more than `room` pixels."""
    if width(text, size, mono=mono) <= room:
        return text
    left = room - width(_ELLIPSIS, size, mono=mono)
    kept = []
    for character in text:
        left -= width(character, size, mono=mono)
        if left < 0:
            break
        kept.append(character)
    return "".join(kept).rstrip() + _ELLIPSIS


def fitted_middle(text: str, room: float, size: float) -> str:
    """An identifier in a monospaced font; its middle gives way, since identifiers differ at both ends."""
    if width(text, size, mono=True) <= room:
        return text
    half = max(int(room / (size * _FULL if not text.isascii() else size * _MONO)) - 1, 2) // 2
    return f"{text[:half]}{_ELLIPSIS}{text[-half:]}"
