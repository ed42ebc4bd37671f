"""A request and its answer, as no framework in particular has them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

__all__ = ["Headers", "Request", "Response"]

Headers = Mapping[str, str] | Iterable[tuple[str, str]]
"""Field lines in their order, or a mapping of names in any case."""


@dataclass(frozen=True, slots=True)
class Request:
    """`target` is path and query as they were sent, not decoded. `headers` have lower-case names; lines of
    one name are joined by `, ` (RFC 9110, 5.3).
    """

    method: str
    target: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @classmethod
    def of(cls, method: str, url: str, headers: Headers, body: bytes) -> Self:
        """Args: url: absolute, or path and query alone; its scheme and authority are not used."""
        lines = headers.items() if isinstance(headers, Mapping) else headers
        joined: dict[str, str] = {}
        for name, value in lines:
            lower = name.lower()
            text = value.strip(" \t")
            joined[lower] = f"{joined[lower]}, {text}" if lower in joined else text
        return cls(method.upper(), _target(url), joined, bytes(body))


@dataclass(frozen=True, slots=True)
class Response:
    """What to answer; `body` is empty or plain text."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


def _target(url: str) -> str:
    if url.startswith("/"):
        return url.partition("#")[0]
    try:
        parts = urlsplit(url)
    except ValueError:
        # It matches no signature.
        return url
    query = f"?{parts.query}" if parts.query or "?" in url.partition("#")[0] else ""
    return (parts.path or "/") + query
