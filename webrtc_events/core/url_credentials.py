"""URLs as they are shown: without user, password and what a query may hold."""

import re
from collections.abc import Collection

__all__ = ["without_credentials"]

_HEAD = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://", re.ASCII)
_HIDDEN = "***"


def without_credentials(
    text: str, shown_in_query: Collection[str] = (), named_in_query: Collection[str] = ()
) -> str:
    """`text` itself where it holds no URL.

    `shown_in_query`: the names whose values are shown, `named_in_query`: those that are shown themselves.
    What has another name may be the rest of a value that is not percent-encoded.

    What stands in front of an `@` is hidden, whatever it is; where it is not clear what belongs to a password
    that is not percent-encoded, all behind the scheme.
    """
    scheme = _HEAD.search(text)
    if scheme is None:
        return text
    head, rest = text[: scheme.end()], text[scheme.end() :]
    place, mark, tail = _cut(rest)
    if "@" in tail:
        return f"{head}{_HIDDEN}"
    if "@" in place:
        place = f"{_HIDDEN}@{place.rpartition('@')[2]}"
    hidden = _query(tail, shown_in_query, named_in_query) if mark == "?" else tail and _HIDDEN
    return f"{head}{place}{mark}{hidden}"


def _cut(rest: str) -> tuple[str, str, str]:
    """What stands before the query or fragment, its mark, and what stands behind that."""
    found = re.search(r"[?#]", rest)
    return (rest, "", "") if found is None else (rest[: found.start()], found[0], rest[found.end() :])


def _query(query: str, shown: Collection[str], named: Collection[str]) -> str:
    def part_as_shown(part: str) -> str:
        name, mark, _ = part.partition("=")
        if name in shown:
            return part
        return f"{name}={_HIDDEN}" if mark and name in named else _HIDDEN

    return "&".join(part_as_shown(part) for part in query.split("&"))
