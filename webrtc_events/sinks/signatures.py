"""Signs outgoing requests: HTTP Message Signatures (RFC 9421) over a Content-Digest (RFC 9530).

What a signature covers and why, and how a consumer verifies it: docs/signatures.md. The key that
signs is the first of `Settings.signing_keys`; all are published, so that a consumer knows a key
before it signs.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from http_message_signatures import (
    HTTPMessageSignaturesException,
    HTTPMessageSigner,
    HTTPSignatureAlgorithm,
    algorithms,
)

from webrtc_events.core.clock import Clock
from webrtc_events.core.setting_values import PrivateKey
from webrtc_events.core.settings import Settings
from webrtc_events.sinks.signing import UnsignableError
from webrtc_events.sinks.signing_keys import signing_jwk

__all__ = ["Signer"]

# By the JOSE name of just that way to sign (RFC 9421, 3.3; RFC 7518, 3.1).
_ALGORITHMS: dict[str, type[HTTPSignatureAlgorithm]] = {
    "EdDSA": algorithms.ED25519,
    "ES256": algorithms.ECDSA_P256_SHA256,
    "ES384": algorithms.ECDSA_P384_SHA384,
    "PS512": algorithms.RSA_PSS_SHA512,
}
_LABEL = "sig1"
_TAG = "webrtc-events"
# An exchange takes seconds and every attempt is signed anew: the rest is room for clocks that differ.
_VALID = timedelta(minutes=5)
# Always, and of the headers those that the request has.
_ALWAYS = ("@method", "@target-uri")
_HEADERS = (
    "content-digest",
    "content-type",
    "x-correlator",
    "webhook-request-callback",
    "webhook-request-origin",
    "webhook-request-rate",
)


@dataclass(slots=True)
class _Message:
    """What the library reads a request from. It adds the digest to `headers`."""

    method: str
    url: str
    headers: dict[str, str]


class Signer:
    """Signs with one private key. `clock` gives the time of each signature."""

    def __init__(self, key: PrivateKey, clock: Clock) -> None:
        self._clock = clock
        jwk = signing_jwk(key)
        algorithm = _ALGORITHMS[jwk["alg"]]
        self._kid = jwk["kid"]
        self._algorithm = algorithm(private_key=key)
        self._signer = HTTPMessageSigner(signature_algorithm=algorithm)

    @classmethod
    def of(cls, settings: Settings, clock: Clock) -> Self | None:
        """None: this deployment does not sign."""
        return cls(settings.signing_keys[0], clock) if settings.signing_keys else None

    def sign(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> dict[str, str]:
        """See `RequestSigner`."""
        message = _Message(method, url, dict(headers))
        created = datetime.fromtimestamp(self._clock.now(), UTC)
        digested = {*headers, "content-digest"} if body is not None else headers
        try:
            prepared = self._signer.prepare(
                message,
                key_id=self._kid,
                created=created,
                expires=created + _VALID,
                label=_LABEL,
                tag=_TAG,
                covered_component_ids=(*_ALWAYS, *(name for name in _HEADERS if name in digested)),
                body=body,
            )
        except HTTPMessageSignaturesException as error:
            raise UnsignableError(type(error).__name__) from None
        # The library's own `sign` resolves and compares everything a second time, for signers elsewhere.
        signature = base64.b64encode(self._algorithm.sign(prepared.signature_base)).decode()
        added = {
            "signature-input": f"{prepared.label}={prepared.signature_params}",
            "signature": f"{prepared.label}=:{signature}:",
        }
        return added if body is None else {"content-digest": message.headers["Content-Digest"]} | added
