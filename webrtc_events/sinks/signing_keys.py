"""The keys that sign notifications, as consumers find them."""

from collections.abc import Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from webrtc_events.core.jwk import public_jwk
from webrtc_events.core.setting_values import PrivateKey

__all__ = ["key_set", "signing_jwk"]


def key_set(keys: Sequence[PrivateKey]) -> dict[str, Any]:
    """The public halves as a JWK Set (RFC 7517, 5), in the same order."""
    return {"keys": [signing_jwk(key) for key in keys]}


def signing_jwk(key: PrivateKey) -> dict[str, str]:
    """The public half; `alg` names just that way to sign which signatures.py takes for its kind."""
    return public_jwk(key.public_key(), _jose_name(key))


def _jose_name(key: PrivateKey) -> str:
    """Sources: RFC 9421, 3.3; RFC 7518, 3.1."""
    if isinstance(key, Ed25519PrivateKey):
        return "EdDSA"
    if isinstance(key, EllipticCurvePrivateKey):
        return "ES256" if isinstance(key.curve, SECP256R1) else "ES384"
    return "PS512"
