"""Words of others in one line: fit for a log, a terminal and the store, whoever chose them.

A sink chooses what its certificate says, and libcurl repeats it: quotes and line ends that make a log say
what did not happen, sequences that a terminal obeys, halves of characters that cannot be encoded.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

__all__ = ["key_values", "one_line", "shown"]

# libcurl's words are 255 bytes at most, and here its code comes behind them.
_MAX_CHARACTERS = 300
# No double quote and no backslash is left, so what is put into quotes needs no escapes: masking, which comes
# after, could cut one in half.
_QUOTES = str.maketrans({'"': "'", "\\": "/"})
_BARE = re.compile(r"[!#-<>-\[\]-~]*")
_ALL_BARE = re.compile(r"[!#-<>-\[\]-~\n]*")


def one_line(text: str) -> str:
    """At most 300 characters of `text`: `?` for what is not printable, `'` for `"`, `/` for a backslash."""
    shown = "".join(character if character.isprintable() else "?" for character in text[:_MAX_CHARACTERS])
    return shown.translate(_QUOTES)


def key_values(record: Mapping[str, Any]) -> str:
    """`name=value` for each, a value in double quotes where it would not stand alone."""
    texts = [str(value) for value in record.values()]
    joined = "\n".join(texts)
    # One look at all: hardly ever is there a value that needs its own.
    if _ALL_BARE.fullmatch(joined) is None or joined.count("\n") >= len(texts):
        texts = [shown(text) for text in texts]
    return " ".join([f"{name}={text}" for name, text in zip(record, texts, strict=True)])


@lru_cache(maxsize=4096)
def shown(text: str) -> str:
    """A value as it stands behind its name: in double quotes where it would not stand alone."""
    return text if _BARE.fullmatch(text) else f'"{one_line(text)}"'
