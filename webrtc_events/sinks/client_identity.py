"""A certificate with its key that is shown to a sink, as libcurl gets it."""

from dataclasses import dataclass, field
from typing import Any

import pycurl

__all__ = ["Identity", "show_identity"]


@dataclass(frozen=True, slots=True)
class Identity:
    """PEM of a certificate with its chain, and of its key. `ends_s`: when it expires, since the epoch."""

    certificate: bytes
    key: bytes = field(repr=False)
    ends_s: float


def show_identity(curl: Any, identity: Identity | None) -> None:
    """What the handle's next requests show."""
    if identity is None:
        curl.unsetopt(pycurl.SSLCERT_BLOB)
        curl.unsetopt(pycurl.SSLKEY_BLOB)
    else:
        curl.setopt(pycurl.SSLCERT_BLOB, identity.certificate)
        curl.setopt(pycurl.SSLKEY_BLOB, identity.key)
