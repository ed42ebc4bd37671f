"""What a signer of requests does, whatever it signs with: a process that does not sign needs no more."""

from collections.abc import Mapping
from typing import Protocol

__all__ = ["RequestSigner", "UnsignableError"]


class UnsignableError(ValueError):
    """A request that is no valid one, such as one for a malformed URL; the text repeats none of it."""


class RequestSigner(Protocol):
    def sign(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> dict[str, str]:
        """The headers to add to a request: its signature, and its digest if it has a body.

        `headers` are the service's own, by lower-case names; a subscriber's are not covered.

        Raises:
            UnsignableError: the request is not valid, so it could not be sent either.
        """
