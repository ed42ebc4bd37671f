"""The keys that sign client assertions, as the authorization servers of subscribers find them."""

from collections.abc import Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from webrtc_events.core.jwk import public_jwk
from webrtc_events.core.setting_values import PrivateKey

__all__ = ["assertion_jwk", "assertion_key_set"]


def assertion_key_set(keys: Sequence[PrivateKey]) -> dict[str, Any]:
    """The public halves as a JWK Set (RFC 7517, 5), in the same order."""
    return {"keys": [assertion_jwk(key) for key in keys]}


def assertion_jwk(key: PrivateKey) -> dict[str, str]:
    """The public half; `alg` is how it signs assertions, `kid` its thumbprint."""
    return public_jwk(key.public_key(), _algorithm(key))


def _algorithm(key: PrivateKey) -> str:
    """Those that FAPI 2.0, 5.4.1, leaves; of an RSA key therefore PS256."""
    if isinstance(key, Ed25519PrivateKey):
        return "EdDSA"
    if isinstance(key, EllipticCurvePrivateKey):
        return "ES256" if isinstance(key.curve, SECP256R1) else "ES384"
    return "PS256"
