"""Client assertions: signed JWTs by which this service authenticates at subscribers' token servers.

Sources: RFC 7521, 4.2; RFC 7523, 2.2 and 3; OpenID Connect Core, 9, `private_key_jwt`.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Final
from uuid import uuid4

import jwt

from webrtc_events.core.model import PrivateKeyJwt
from webrtc_events.core.setting_values import PrivateKey
from webrtc_events.sinks.addresses import AddressPolicy
from webrtc_events.sinks.assertion_keys import assertion_jwk
from webrtc_events.sinks.sink_url import check_sink_url

__all__ = ["ClientAssertions", "audiences_by_uri"]

# An exchange takes ten seconds at most, and each has an assertion: the rest is room for clocks that differ.
_VALID_S: Final = 60


def audiences_by_uri(named: Iterable[tuple[str, str]], policy: AddressPolicy) -> dict[str, str]:
    """By the token URI as subscriptions keep it: an operator may write its host and port otherwise."""
    found = {}
    for uri, audience in named:
        # One that breaks the rules is in no subscription either.
        with suppress(ValueError):
            found[check_sink_url(uri, policy)] = audience
    return found


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
