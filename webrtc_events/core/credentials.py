"""Sink credentials, sealed with AES-GCM before they reach the store.

A sealed credential reads `1.<key id>.<base64url of nonce and ciphertext>`. It is bound to
its subscription: sealed for one, it does not open for another.
"""

import base64
import hashlib
import json
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from webrtc_events.core.model import Credential

__all__ = ["CredentialBox", "SealError", "sealing_key_id", "token_expiry_ms"]

_NONCE_BYTES = 12
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
        self._keys = {_key_id(key): AESGCM(key) for key in keys}
        self.key_id = _key_id(keys[0])

    def lacks_key_of(self, sealed: str) -> bool:
        """Whether it was sealed with a key that is not here."""
        return sealing_key_id(sealed) not in self._keys

    def seal(self, credential: Credential, subscription_id: str) -> str:
        nonce = os.urandom(_NONCE_BYTES)
        plain = json.dumps([credential.access_token, credential.expires_at_ms]).encode()
        sealed = self._keys[self.key_id].encrypt(nonce, plain, subscription_id.encode())
        return f"1.{self.key_id}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"

    def open(self, sealed: str, subscription_id: str) -> Credential:
        """
        Raises:
            SealError: an unknown key, another subscription, or damaged.
        """
        version, key_id, text = _parts(sealed)
        if version != "1" or key_id not in self._keys:
            raise SealError(f"sealed with key {key_id!r}, this process has {', '.join(self._keys)}")
        try:
            raw = base64.b64decode(text, altchars=b"-_", validate=True)
            plain = self._keys[key_id].decrypt(
                raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], subscription_id.encode()
            )
        except (InvalidTag, ValueError):
            raise SealError("damaged, or sealed for another subscription") from None
        token, expires_at_ms = json.loads(plain)
        return Credential(token, expires_at_ms)


def sealing_key_id(sealed: str) -> str:
    """The id of the key that a credential is sealed with."""
    return _parts(sealed)[1]


def _parts(sealed: str) -> tuple[str, str, str]:
    """Version, key id, the rest; empty where there is none."""
    version, _, rest = sealed.partition(".")
    key_id, _, text = rest.partition(".")
    return version, key_id, text


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"webrtc-events key id" + key).hexdigest()[:8]
