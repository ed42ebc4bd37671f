"""The access tokens that notifications may carry: those that were given with `sinkCredential`."""

import hashlib
import hmac
import threading
from collections.abc import Iterable

from webrtc_events_client.consumer.errors import BadToken
from webrtc_events_client.consumer.messages import Request

__all__ = ["BearerTokens"]

_SCHEME = "bearer"


class BearerTokens:
    """Any of these is right. Only their digests are kept; comparing takes the same time whichever is right.

    Renew a token in this order: accept the new one, hand it to the service, revoke the old one.
    """

    def __init__(self, tokens: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._digests = frozenset(map(_digest, tokens))

    def accept(self, token: str) -> None:
        with self._lock:
            self._digests |= {_digest(token)}

    def revoke(self, token: str) -> None:
        with self._lock:
            self._digests -= {_digest(token)}

    def check(self, request: Request) -> None:
        """
        Raises:
            BadToken: the request has no token, or another.
        """
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        given = _digest(token.strip(" "))
        # All of them: not `any`, which stops at the first.
        matches = sum([hmac.compare_digest(given, digest) for digest in self._digests])
        if scheme.lower() != _SCHEME or not matches:
            raise BadToken("the access token is missing or wrong")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
