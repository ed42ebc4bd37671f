"""Sink credentials, sealed with AES-GCM before they reach the store.

A sealed credential reads `<kind>.<key id>.<base64url of nonce and ciphertext>`, where the kind is 1 for a
token and 2 for where tokens are had. It is bound to its subscription: sealed for one, it does not open for
another. A release that does not know a kind does not open it.
"""

import base64
import hashlib
import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from webrtc_events.core.model import Credential, PrivateKeyJwt, SinkCredential

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = ["CredentialBox", "SealError", "fetches_token", "sealing_key_id", "token_expiry_ms"]

_NONCE_BYTES = 12
_TOKEN, _PRIVATE_KEY_JWT = "1", "2"
# The end of the year 9999; beyond it a claim is nonsense.
_LATEST_S = 253_402_300_800


class SealError(Exception):
    """A sealed credential that this key does not open. Says nothing of its content."""


def token_expiry_ms(token: str) -> int | None:
    """When a token says itself that it expires, if it is a JWT that says so (RFC 7519, 4.1.4).

    Its signature is the sink's business; a token that is no JWT has nothing to say.
    """
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return None
    expiry = claims.get("exp") if isinstance(claims, dict) else None
    if isinstance(expiry, bool) or not isinstance(expiry, int | float):
        return None
    return round(expiry * 1000) if 0 <= expiry < _LATEST_S else None


class CredentialBox:
    """Seals with the first of its 256-bit keys, and opens with any of them: `key_id` is the first's."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = {_key_id(key): key for key in keys}
        self._ciphers: dict[str, AESGCM] = {}
        self.key_id = _key_id(keys[0])

    def lacks_key_of(self, sealed: str) -> bool:
        """Whether it was sealed with a key that is not here."""
        return sealing_key_id(sealed) not in self._keys

    def seal(self, credential: SinkCredential, subscription_id: str) -> str:
        nonce = os.urandom(_NONCE_BYTES)
        if isinstance(credential, PrivateKeyJwt):
            kind, plain = _PRIVATE_KEY_JWT, json.dumps([credential.client_id, credential.token_uri])
        else:
            kind, plain = _TOKEN, json.dumps([credential.access_token, credential.expires_at_ms])
        sealed = self._cipher(self.key_id).encrypt(nonce, plain.encode(), _bound_to(kind, subscription_id))
        return f"{kind}.{self.key_id}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"

    def open(self, sealed: str, subscription_id: str) -> SinkCredential:
        """
        Raises:
            SealError: an unknown key, another subscription, or damaged.
        """
        kind, key_id, text = _parts(sealed)
        if kind not in (_TOKEN, _PRIVATE_KEY_JWT):
            raise SealError("of a kind that this release does not know")
        if key_id not in self._keys:
            raise SealError(f"sealed with key {key_id!r}, this process has {', '.join(self._keys)}")
        from cryptography.exceptions import InvalidTag

        try:
            raw = base64.b64decode(text, altchars=b"-_", validate=True)
            plain = self._cipher(key_id).decrypt(
                raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _bound_to(kind, subscription_id)
            )
        except (InvalidTag, ValueError):
            raise SealError("damaged, or sealed for another subscription") from None
        first, second = json.loads(plain)
        return PrivateKeyJwt(first, second) if kind == _PRIVATE_KEY_JWT else Credential(first, second)

    def _cipher(self, key_id: str) -> "AESGCM":
        """Made when it is needed: a worker that opens none does without the 9 MB of its library."""
        if key_id not in self._ciphers:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM

            self._ciphers[key_id] = AESGCM(self._keys[key_id])
        return self._ciphers[key_id]


def fetches_token(sealed: str) -> bool:
    """Whether what is sealed says where tokens are had, and is no token itself."""
    return sealed.startswith(f"{_PRIVATE_KEY_JWT}.")


def sealing_key_id(sealed: str) -> str:
    """The id of the key that a credential is sealed with."""
    return _parts(sealed)[1]


def _bound_to(kind: str, subscription_id: str) -> bytes:
    """What is authenticated beside it. Of tokens it is as it was before there was another kind."""
    return subscription_id.encode() if kind == _TOKEN else f"{kind} {subscription_id}".encode()


def _parts(sealed: str) -> tuple[str, str, str]:
    """Kind, key id, the rest; empty where there is none."""
    kind, _, rest = sealed.partition(".")
    key_id, _, text = rest.partition(".")
    return kind, key_id, text


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"webrtc-events key id" + key).hexdigest()[:8]
