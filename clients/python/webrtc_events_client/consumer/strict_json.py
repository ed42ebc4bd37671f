"""JSON that two readers cannot understand differently (RFC 8259, 4 and 8)."""

import json
from collections.abc import Sequence
from typing import Any, NoReturn

__all__ = ["loads"]


def loads(body: bytes) -> Any:
    """What the UTF-8 text says. Names are not repeated, there is no NaN, and all text is valid Unicode.

    Raises:
        ValueError: it is not such a text; the message repeats nothing of it.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON: {error.msg} at character {error.pos}") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except _Ambiguous:
        raise
    except ValueError:
        raise ValueError("has a number of too many digits") from None
    if "\\u" in text:
        _refuse_surrogates(value)
    return value


class _Ambiguous(ValueError):
    """Readers of JSON differ on it."""


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Ambiguous("has an object with a name that is repeated")
    return members


def _constant(name: str) -> NoReturn:
    raise _Ambiguous(f"has {name}, which is not JSON")


def _refuse_surrogates(value: Any) -> None:
    """An escape may be half of a character, which cannot be written anywhere afterwards."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("has half of a surrogate pair") from None
