"""JSON as RFC 8259 and I-JSON (RFC 7493) mean it; the standard library takes more than that."""

import json
import re
from collections.abc import Iterable
from itertools import accumulate
from typing import Any, NoReturn

from webrtc_events.core.errors import InvalidArgument

__all__ = ["MAX_DEPTH", "MAX_NUMBER_CHARACTERS", "parse_json"]

MAX_DEPTH = 100
"""Arrays and objects inside each other; keeps every recursion over a document small."""

MAX_NUMBER_CHARACTERS = 100
"""Of one number; Python itself refuses to read integers of more than 4,300 digits."""

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


def parse_json(body: bytes) -> Any:
    """The value that `body` holds, in UTF-8.

    Raises:
        InvalidArgument: no JSON, no UTF-8, a name twice in an object, NaN or Infinity, a
            number too long or beyond a double, a lone surrogate, or too deep. The message
            never repeats the content.
    """
    try:
        value = _parsed(body)
    except (InvalidArgument, RecursionError):
        _refuse_depth(body)
        raise
    # Most texts have fewer brackets than they may have levels.
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH and _is_deeper(value, MAX_DEPTH):
        raise _too_deep()
    return value


def _parsed(body: bytes) -> Any:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise InvalidArgument("The JSON text is not UTF-8.") from None
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise InvalidArgument(f"Not a JSON text: line {error.lineno}, column {error.colno}.") from None
    if _SURROGATE.search(body):
        _refuse_lone_surrogates(value)
    return value


def _is_deeper(value: Any, levels: int) -> bool:
    """Whether `value` has more levels than that. Found without recursion, a level at a time."""
    containers = [value] if isinstance(value, dict | list) else []
    for _ in range(levels):
        containers = [
            item
            for container in containers
            for item in (container.values() if type(container) is dict else container)
            if type(item) is dict or type(item) is list
        ]
        if not containers:
            return False
    return True


def _refuse_depth(body: bytes) -> None:
    """Whatever else is wrong with a text, its depth is named first. As slow as a search for strings is."""
    if _deepest(_STRING.sub(b"", body)) > MAX_DEPTH:
        raise _too_deep()


def _too_deep() -> InvalidArgument:
    return InvalidArgument(f"The JSON text is nested more than {MAX_DEPTH} levels deep.")


def _deepest(outside_strings: bytes) -> int:
    brackets = outside_strings.translate(None, _NOT_BRACKETS)
    return max(accumulate(map(_STEP.__getitem__, brackets)), default=0)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise InvalidArgument("An object of the JSON text has the same name twice.")
    return members


def _integer(digits: str) -> int:
    _limit(digits)
    return int(digits)


def _float(digits: str) -> float:
    _limit(digits)
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise InvalidArgument("A number of the JSON text is out of range.")
    return number


def _limit(digits: str) -> None:
    if len(digits) > MAX_NUMBER_CHARACTERS:
        raise InvalidArgument(f"A number of the JSON text is longer than {MAX_NUMBER_CHARACTERS} characters.")


def _constant(name: str) -> NoReturn:
    raise InvalidArgument(f"{name} is not JSON.")


# `json.loads` makes one for each text that it reads like this.
_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant
)


def _refuse_lone_surrogates(value: Any) -> None:
    for text in _strings(value):
        if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
            raise InvalidArgument("A string of the JSON text holds a lone surrogate.")


def _strings(value: Any) -> Iterable[str]:
    """Every string in `value`, names of members included."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, list):
            pending += item
        elif isinstance(item, dict):
            pending += item.keys()
            pending += item.values()
