"""What a receiver needs of a WSGI request: its target as it was sent, and its body up to a limit."""

from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import quote

__all__ = ["Readable", "read_limited", "sent_target"]

_SAFE = "/:@!$&'()*+,;=-._~%"


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def read_limited(stream: Readable, max_body: int) -> bytes:
    """All of the stream, or one byte more than `max_body`."""
    parts = []
    left = max_body + 1
    while left > 0 and (part := stream.read(left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def sent_target(environ: Mapping[str, Any]) -> str:
    """Path and query of a WSGI request, as they were sent if the server says so, as gunicorn does."""
    for name in ("RAW_URI", "REQUEST_URI"):
        if target := environ.get(name):
            return str(target)
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    query = environ.get("QUERY_STRING", "")
    return quote(path.encode("latin-1"), safe=_SAFE) + (f"?{query}" if query else "")
