"""Client assertions: signed JWTs by which this service authenticates at subscribers' token servers.

Sources: RFC 7521, 4.2; RFC 7523, 2.2 and 3; OpenID Connect Core, 9, `private_key_jwt`.
"""

from collections.abc import Callable, Mapping
from typing import Final
from uuid import uuid4

import jwt

from webrtc_events.core.model import PrivateKeyJwt
from webrtc_events.core.setting_values import PrivateKey
from webrtc_events.sinks.assertion_keys import assertion_jwk

__all__ = ["ClientAssertions"]

# An exchange takes ten seconds at most, and each has an assertion: the rest is room for clocks that differ.
_VALID_S: Final = 60


class ClientAssertions:
    """Signs with one key. `audiences`: by token URI, of servers that want to be named otherwise.

    `new_id` gives each its `jti`, by which a server tells a repeated one.
    """

    def __init__(
        self, key: PrivateKey, audiences: Mapping[str, str], new_id: Callable[[], object] = uuid4
    ) -> None:
        jwk = assertion_jwk(key)
        self._key = key
        self._algorithm = jwk["alg"]
        self._headers = {"kid": jwk["kid"]}
        self._audiences = audiences
        self._new_id = new_id

    def of(self, credential: PrivateKeyJwt, now_s: float) -> str:
        """A new one. `now_s`: seconds since the epoch, by a clock that the server may not share."""
        issued_s = int(now_s)
        claims = {
            "iss": credential.client_id,
            "sub": credential.client_id,
            "aud": self._audiences.get(credential.token_uri, credential.token_uri),
            "jti": str(self._new_id()),
            "iat": issued_s,
            "exp": issued_s + _VALID_S,
        }
        return jwt.encode(claims, self._key, self._algorithm, self._headers)
