"""The host of a sink's URL: what several sinks may share. Pure."""

from functools import lru_cache
from urllib.parse import urlsplit

__all__ = ["host_of"]


@lru_cache(maxsize=20_000)
def host_of(url: str) -> str:
    """What shares its limits: scheme, name and port of an absolute URL.

    Raises:
        ValueError: it is none.
    """
    parts = urlsplit(url)
    name = (parts.hostname or "").rstrip(".")
    return f"{parts.scheme}://{f'[{name}]' if ':' in name else name}:{parts.port or 443}"
