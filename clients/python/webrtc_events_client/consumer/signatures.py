"""Verifies the signature of a request: RFC 9421 over a Content-Digest (RFC 9530), as the service signs.

Source: docs/signatures.md. The library http-message-signatures parses the fields and makes signature base and
digest. What must be covered, for how long it holds and by which clock is decided here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import http_sf
from http_message_signatures import HTTPMessageVerifier, InvalidSignature, MappingKeyResolver
from http_message_signatures.exceptions import HTTPMessageSignaturesException

from webrtc_events_client.clock import Clock, SystemClock
from webrtc_events_client.consumer.errors import BadSignature
from webrtc_events_client.consumer.key_set_document import PublicKey
from webrtc_events_client.consumer.messages import Request

__all__ = ["TAG", "Signatures"]

TAG = "webrtc-events"
"""No signature made for another purpose has it."""
_COVERED = ("@method", "@target-uri", "content-digest", "content-type", "x-correlator")
# Of all that the service sends, a few hundred bytes.
_MAX_FIELD = 8192
_FIELDS = ("signature-input", "signature", "content-digest")


class Signatures:
    """What a signature must be, to hold.

    Args:
        origin: scheme, host and port of your sink, as the subscription has it, whatever proxies make of it:
            `https://my-app.example`.
        clock_skew_s: how much this clock and the service's may differ, in seconds.
        max_age_s: signatures that hold for longer than that are refused; those of the service hold for 300 s.

    Raises:
        ValueError: the origin is more or less than that.
    """

    def __init__(
        self, origin: str, *, clock_skew_s: float = 30, max_age_s: float = 300, clock: Clock | None = None
    ) -> None:
        parts = urlsplit(origin)
        if parts.scheme not in ("https", "http") or not parts.netloc or parts.path not in ("", "/"):
            raise ValueError("origin is scheme, host and port of the sink: https://my-app.example")
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._skew_s = clock_skew_s
        self._max_age_s = max_age_s
        self._clock = clock or SystemClock()

    def key_id(self, request: Request) -> str:
        """The key that the request says it is signed with.

        Raises:
            BadSignature: it has not just one signature of the service, or is too old.
        """
        for name in _FIELDS:
            if len(request.headers.get(name, "")) > _MAX_FIELD:
                raise BadSignature(f"{name} is too long")
        try:
            members: Any = http_sf.parse(
                request.headers.get("signature-input", "").encode(), tltype="dictionary"
            )
        except (ValueError, TypeError):
            raise BadSignature("signature-input cannot be read") from None
        ours = [parameters for _, parameters in members.values() if parameters.get("tag") == TAG]
        if not ours:
            raise BadSignature("the request is not signed")
        if len(ours) > 1:
            raise BadSignature("the request is signed twice")
        kid = ours[0].get("keyid")
        if not isinstance(kid, str) or not kid:
            raise BadSignature("the signature names no key")
        # Before any key is fetched for it.
        self.check_time(ours[0])
        return kid

    def verify(self, request: Request, kid: str, key: PublicKey) -> None:
        """
        Raises:
            BadSignature: the signature does not hold for this request.
        """
        verifier = _Verifier(self, kid, key)
        message = _Message(request.method, self._origin + request.target, request.headers)
        try:
            verifier.verify(
                message,
                body=request.body,
                require_components=_COVERED,
                expect_tag=TAG,
                max_age=None,
            )
        except InvalidSignature:
            raise BadSignature("the signature does not hold") from None
        except HTTPMessageSignaturesException:
            raise BadSignature("the request cannot have been signed") from None

    def check_time(self, parameters: Mapping[str, Any]) -> None:
        """
        Raises:
            BadSignature: the signature is too old, of the future, or holds for too long.
        """
        created, expires = parameters.get("created"), parameters.get("expires")
        if type(created) is not int or type(expires) is not int:
            raise BadSignature("the signature has no created, or no expires")
        now = self._clock.now()
        if expires - created > self._max_age_s:
            raise BadSignature("the signature holds for too long")
        if created > now + self._skew_s:
            raise BadSignature("the signature is of the future: do the clocks differ?")
        if expires < now - self._skew_s:
            raise BadSignature("the signature has expired")


@dataclass(frozen=True, slots=True)
class _Message:
    """What the library reads a request from."""

    method: str
    url: str
    headers: Mapping[str, str]


class _Verifier(HTTPMessageVerifier):
    """The library's, with our clock."""

    def __init__(self, signatures: Signatures, kid: str, key: PublicKey) -> None:
        super().__init__(
            signature_algorithm=key.algorithm,
            key_resolver=MappingKeyResolver(public_keys={kid: key.key}, private_keys={}),
        )
        self._signatures = signatures

    def validate_created_and_expires(self, sig_input: Any, max_age: timedelta | None = None) -> None:  # noqa: ARG002
        self._signatures.check_time(sig_input.params)
