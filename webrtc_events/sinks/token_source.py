"""Where a worker has sinks' tokens from: the request for one, for a credential as it is stored."""

from typing import Final, Protocol
from urllib.parse import urlencode

from webrtc_events.core.clock import Clock
from webrtc_events.core.credentials import CredentialBox, SealError
from webrtc_events.core.model import PrivateKeyJwt
from webrtc_events.core.outcomes import SinkRequest

__all__ = ["Assertions", "TokenSource"]

_HEADERS: Final = (("content-type", "application/x-www-form-urlencoded"), ("accept", "application/json"))
_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class Assertions(Protocol):
    """See client_assertions.py, which brings a library that most workers have no use for."""

    def of(self, credential: PrivateKeyJwt, now_s: float) -> str: ...


class TokenSource:
    """`clock` gives the time of each assertion."""

    def __init__(self, assertions: Assertions, box: CredentialBox, clock: Clock) -> None:
        self._assertions = assertions
        self._box = box
        self._clock = clock

    def opened(self, sealed: str, subscription_id: str) -> PrivateKeyJwt:
        """
        Raises:
            SealError: no key of this process opens it, or it says no such thing.
        """
        credential = self._box.open(sealed, subscription_id)
        if not isinstance(credential, PrivateKeyJwt):
            raise SealError("it is a token")
        return credential

    def request(self, credential: PrivateKeyJwt, client: str) -> SinkRequest:
        """By the client credentials grant. Sources: RFC 6749, 4.4.2; RFC 7521, 4.2."""
        form = {
            "grant_type": "client_credentials",
            "client_id": credential.client_id,
            "client_assertion_type": _ASSERTION_TYPE,
            "client_assertion": self._assertions.of(credential, self._clock.now()),
        }
        body = urlencode(form).encode()
        return SinkRequest(credential.token_uri, _HEADERS, body, "POST", client, reads_body=True)
