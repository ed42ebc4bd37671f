"""Public keys as JSON Web Keys, each named by its thumbprint. Pure.

Sources: RFC 7517 (JWK), RFC 7638 (thumbprint), RFC 8037 (Ed25519).
"""

import base64
import hashlib
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

__all__ = ["PublicKey", "public_jwk"]

PublicKey = Ed25519PublicKey | EllipticCurvePublicKey | RSAPublicKey

# RFC 7638, 3.2: what makes a key this key and no other.
_MEMBERS = {"OKP": ("crv", "kty", "x"), "EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n")}


def public_jwk(key: PublicKey, algorithm: str) -> dict[str, str]:
    """For signatures alone; `algorithm` is its JOSE name, such as `ES256`, and `kid` its thumbprint."""
    given = _exported(key)
    members: dict[str, str] = {name: given[name] for name in _MEMBERS[given["kty"]]}
    canonical = json.dumps(members, separators=(",", ":"), sort_keys=True).encode()
    thumbprint = base64.urlsafe_b64encode(hashlib.sha256(canonical).digest()).rstrip(b"=").decode()
    return members | {"use": "sig", "alg": algorithm, "kid": thumbprint}


def _exported(key: PublicKey) -> dict[str, Any]:
    if isinstance(key, Ed25519PublicKey):
        return OKPAlgorithm.to_jwk(key, as_dict=True)
    if isinstance(key, EllipticCurvePublicKey):
        return ECAlgorithm.to_jwk(key, as_dict=True)
    return RSAAlgorithm.to_jwk(key, as_dict=True)
