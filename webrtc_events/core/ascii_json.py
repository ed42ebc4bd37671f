"""JSON in ASCII, where a character is a byte, as the store keeps events."""

import json
from typing import Any

import msgspec

__all__ = ["ascii_json"]

_ENCODER = msgspec.json.Encoder()
# The one character of ASCII that the standard library escapes and msgspec does not.
_DELETE = b"\x7f"


def ascii_json(value: Any) -> str:
    """`value` without any space between its parts.

    The text of the standard library, but for how floating-point numbers are spelled. The standard library
    writes it where msgspec would not escape a character, or cannot write one: text of a damaged record may
    hold bytes as surrogates (PEP 383).
    """
    try:
        text = _ENCODER.encode(value)
    except UnicodeEncodeError:
        return _escaped(value)
    return text.decode("ascii") if text.isascii() and _DELETE not in text else _escaped(value)


def _escaped(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
