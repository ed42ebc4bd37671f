"""Which clients a setting is meant for: every client, none, or those that it names by their ids."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

__all__ = ["ClientChoice", "parse_client_choice"]


@dataclass(frozen=True, slots=True)
class ClientChoice:
    """`every` client, or those whose ids, as access tokens name them, are in `ids`."""

    every: bool
    ids: frozenset[str] = frozenset()

    def __contains__(self, client: str) -> bool:
        return self.every or client in self.ids

    @property
    def possible(self) -> tuple[bool, ...]:
        """What `client in self` may be, whoever the client is; False first."""
        return (False, True) if self.ids else (self.every,)


_SWITCHES = {"true": True, "1": True, "false": False, "0": False}
# Somebody who writes one of these means a switch. A client of that id is percent-encoded.
_READS_AS_SWITCH = frozenset({*_SWITCHES, "yes", "no", "on", "off", "all", "none", "*"})
_ESCAPED = re.compile(r"(?:[^%]|%[0-9A-Fa-f]{2})*")
_RULE = (
    "it must be true (every client), false (no client) or client ids separated by commas, with %2C for a "
    "comma in an id, %20 for a space, %25 for a percent sign, and %74rue for a client called true"
)


def parse_client_choice(raw: str) -> ClientChoice:
    """`true`, `false`, or percent-encoded client ids separated by commas; spaces around them are ignored.

    An id that is named twice counts once. Whether there is such a client is not known here.

    Raises:
        ValueError: what the setting must be, and what is wrong with it.
    """
    switch = _SWITCHES.get(raw.lower())
    if switch is not None:
        return ClientChoice(switch)
    return ClientChoice(every=False, ids=frozenset(_ids(raw)))


def _ids(raw: str) -> Iterator[str]:
    for item in map(str.strip, raw.split(",")):
        fault = _fault(item)
        if fault is not None:
            raise ValueError(f"has {fault}: {_RULE}")
        yield unquote_to_bytes(item).decode()


def _fault(item: str) -> str | None:
    if not item:
        return "an empty client id"
    if item.lower() in _READS_AS_SWITCH:
        return f"{item!r} for a client id"
    if any(character.isspace() for character in item):
        return f"a space in the client id {item!r}"
    if not _ESCAPED.fullmatch(item):
        return f"a percent sign in the client id {item!r} that two hexadecimal digits do not follow"
    try:
        unquote_to_bytes(item).decode()
    except UnicodeError:
        return f"a client id that is not UTF-8, {item!r}"
    return None
