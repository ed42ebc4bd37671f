"""Access tokens that were verified a moment ago, remembered so that their signature is not checked anew.

Only a whole yes is kept. Whatever is not plainly the same as before is verified as if it were new, so a
refusal has the words that it always has.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

from webrtc_events.api.openid import Issuer
from webrtc_events.core.model import Caller

__all__ = ["VerifiedToken", "VerifiedTokens"]

_MAX_TOKENS = 1024
# What a longer one says may be long too. Few issuers write any.
_MAX_CHARACTERS = 4096


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """Whom a token stands for from `begins_s` until before `ends_s`, as `issuer` was when it was verified.

    Times are seconds since the epoch. `kid` is that of the token's header.
    """

    kid: str | None
    issuer: Issuer
    caller: Caller
    begins_s: float
    ends_s: float


class VerifiedTokens:
    """At most 1,024, those that were used last. Known by their SHA-256: no token is kept, nor shown.

    All are of one reading of the issuer's documents. With the next one they are forgotten, so that a key
    which is not in it signs nothing any more. For use on one event loop.
    """

    def __init__(self) -> None:
        self._issuer: Issuer | None = None
        self._by_digest: OrderedDict[bytes, VerifiedToken] = OrderedDict()

    def __len__(self) -> int:
        return len(self._by_digest)

    def find(self, token: str) -> VerifiedToken | None:
        """What is remembered of a token; whether it still holds is for the caller to find out."""
        if not self._by_digest or len(token) > _MAX_CHARACTERS:
            return None
        digest = _digest(token)
        found = self._by_digest.get(digest)
        if found is not None:
            self._by_digest.move_to_end(digest)
        return found

    def remember(self, token: str, verified: VerifiedToken) -> None:
        """Remembers a token that was verified in every respect."""
        if len(token) > _MAX_CHARACTERS:
            return
        if verified.issuer is not self._issuer:
            self._by_digest.clear()
            self._issuer = verified.issuer
        self._by_digest[_digest(token)] = verified
        if len(self._by_digest) > _MAX_TOKENS:
            self._by_digest.popitem(last=False)

    def forget(self, token: str) -> None:
        """Of a token that holds no longer nothing is kept."""
        self._by_digest.pop(_digest(token), None)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
