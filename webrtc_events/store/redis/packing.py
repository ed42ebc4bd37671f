"""Commands as bytes of the Redis protocol, packed in C."""

from collections.abc import Iterable, Sequence
from typing import Any

import hiredis

__all__ = ["pack_commands"]


def pack_commands(commands: Iterable[Sequence[Any]]) -> bytes:
    """What a server is sent for these commands, each its name and its arguments: text, bytes, numbers.

    A name may be of several words, as redis-py's `CONFIG GET`.

    What was read of a damaged record may hold bytes that are no UTF-8, as surrogates (PEP 383). They go
    back as they came; redis-py's own packing by hiredis refuses them.

    Raises:
        TypeError: an argument is something else.
    """
    return b"".join([_packed((*command[0].split(), *command[1:])) for command in commands])


def _packed(words: tuple[Any, ...]) -> bytes:
    try:
        packed: bytes = hiredis.pack_command(words)
    except UnicodeEncodeError:
        packed = hiredis.pack_command(tuple(map(_encoded, words)))
    return packed


def _encoded(word: Any) -> Any:
    return word.encode("utf-8", "surrogateescape") if isinstance(word, str) else word
