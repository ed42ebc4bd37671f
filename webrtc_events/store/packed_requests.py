"""The request of a subscription as it is kept: characters stand for what other fields, or most requests, say.

JSON text has no control characters. So each of some stands for a piece of the text: for a value that another
field of the record has too, or for members that nearly all requests have. A text without any is as it is.
Whose meaning is in use does not change. None is \\x1e or \\x1f, which are taken (listed_records.py).

Source: docs/decisions/0021-small-records.md.
"""

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

__all__ = ["FIELDS", "packed", "whole"]

FIELDS = {"\x01": "sink", "\x02": "type", "\x03": "registration", "\x04": "session", "\x19": "device"}
"""The characters that stand for the value of a field."""

# Longer ones first: they have others in them.
_MEMBERS = {
    "\x07": '"],"config":{"subscriptionDetail":{"registrationId":"',
    "\x0e": '"},"subscriptionExpireTime":"',
    "\x05": '{"protocol":"HTTP","sink":"',
    "\x0f": '"subscriptionExpireTime":"',
    "\x10": '"subscriptionMaxEvents":',
    "\x11": '"subscriptionDetail":{',
    "\x08": '","mediaSessionId":"',
    "\x12": '"registrationId":"',
    "\x13": '"mediaSessionId":"',
    "\x14": '"protocol":"HTTP"',
    "\x15": '"initialEvent":',
    "\x06": '","types":["',
    "\x16": '"types":["',
    "\x17": '"config":{',
    "\x18": '"sink":"',
}
# Of subscriptions to devices alone: the release before reads all others, and does not know these.
_MEMBERS_OF_DEVICE = {
    "\x1a": "org.camaraproject.webrtc-events-subscriptions.v0.",
    "\x1b": '"deviceId":"',
}
_ALL_MEMBERS = {**_MEMBERS, **_MEMBERS_OF_DEVICE}
_FIELD = re.compile(f"[{''.join(FIELDS)}]")
# Of so many texts, and of no longer ones, it is remembered what they are made of.
_KNOWN, _MAX_KNOWN = 512, 256
_ENCODER = json.JSONEncoder(separators=(",", ":"))
# A shorter value is not worth the search.
_MIN_VALUE = 4


def packed(request: Mapping[str, Any], record: Mapping[str, str]) -> str:
    """`record` has the fields of its record that are known here: to others the text does not refer."""
    text = _ENCODER.encode(request)
    known = _ALL_MEMBERS if record.get("device") else _MEMBERS
    for character, members in known.items():
        text = text.replace(members, character)
    for character, name in FIELDS.items():
        value = _in_json(record.get(name, ""))
        if len(value) >= _MIN_VALUE:
            text = text.replace(value, character)
    return text


def whole(text: str, record: Mapping[str, str]) -> str:
    """The JSON text of a request.

    Raises:
        KeyError: the record lacks a field that the text refers to.
    """
    if text.isprintable():
        return text
    template, names = _known_template(text) if len(text) <= _MAX_KNOWN else _template(text)
    values = [record[name] for name in names]
    # Most often one look at all tells that JSON writes each as it is.
    return template % tuple(values if _is_plain("".join(values)) else map(_in_json, values))


def _template(text: str) -> tuple[str, Sequence[str]]:
    """What is said in full, and the names of the fields whose values go between."""
    text = text.replace("%", "%%")
    for character, members in _ALL_MEMBERS.items():
        if character in text:
            text = text.replace(character, members)
    return _FIELD.sub("%s", text), [FIELDS[character] for character in _FIELD.findall(text)]


@lru_cache(_KNOWN)
def _known_template(text: str) -> tuple[str, Sequence[str]]:
    """A client's requests differ in what other fields say: most of them are one text."""
    return _template(text)


def _in_json(value: str) -> str:
    return value if _is_plain(value) else json.dumps(value)[1:-1]


def _is_plain(text: str) -> bool:
    """Whether JSON writes it as it is. A regular expression takes several times as long to tell."""
    return text.isascii() and text.isprintable() and '"' not in text and "\\" not in text
