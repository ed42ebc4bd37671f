"""URLs as they are shown: without user, password and what a query may hold."""

import re
from collections.abc import Collection

__all__ = ["without_credentials"]

_HEAD = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://", re.ASCII)
_HIDDEN = "***"


def without_credentials(text: str, shown_in_query: Collection[str] = ()) -> str:
    """`text` itself where it holds no URL. `shown_in_query`: the names whose values are shown.

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
    return f"{head}{place}{mark}{_query(tail, shown_in_query) if mark == '?' else tail and _HIDDEN}"


def _cut(rest: str) -> tuple[str, str, str]:
    """What stands before the query or fragment, its mark, and what stands behind that."""
    found = re.search(r"[?#]", rest)
    return (rest, "", "") if found is None else (rest[: found.start()], found[0], rest[found.end() :])


def _query(query: str, shown: Collection[str]) -> str:
    parts = (part.partition("=") for part in query.split("&"))
    return "&".join(
        f"{name}={value}" if name in shown else f"{name}={_HIDDEN}" if mark else _HIDDEN
        for name, mark, value in parts
    )
