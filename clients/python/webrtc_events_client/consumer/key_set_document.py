"""Reads a JWK Set (RFC 7517) as the service publishes it: public keys for signatures, by their ids."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from http_message_signatures import HTTPSignatureAlgorithm, algorithms

from webrtc_events_client.consumer import strict_json

__all__ = ["PublicKey", "read_key_set"]

log = logging.getLogger(__name__)

# By the JOSE name of just that way to sign (RFC 9421, 3.3; RFC 7518, 3.1).
_ALGORITHMS: Mapping[str, type[HTTPSignatureAlgorithm]] = {
    "EdDSA": algorithms.ED25519,
    "ES256": algorithms.ECDSA_P256_SHA256,
    "ES384": algorithms.ECDSA_P384_SHA384,
    "PS512": algorithms.RSA_PSS_SHA512,
}
_MIN_RSA_BITS = 2048
_MAX_KEYS = 100


@dataclass(frozen=True, slots=True)
class PublicKey:
    """`algorithm` is the one way to sign that the key is published for. Messages have no say in that."""

    algorithm: type[HTTPSignatureAlgorithm]
    key: Any


def read_key_set(document: bytes | Mapping[str, Any]) -> dict[str, PublicKey]:
    """The keys by their ids. A key that cannot be used is left out, with a line in the log.

    Raises:
        ValueError: it is no JWK Set.
    """
    parsed = strict_json.loads(document) if isinstance(document, bytes) else document
    listed = parsed.get("keys") if isinstance(parsed, Mapping) else None
    if not isinstance(listed, list):
        raise ValueError("has no keys")  # noqa: TRY004 (the document is wrong, and no argument)
    if len(listed) > _MAX_KEYS:
        raise ValueError(f"has more than {_MAX_KEYS} keys")
    keys = {}
    for number, jwk in enumerate(listed):
        try:
            kid = _key_id(jwk)
            keys[kid] = _public_key(jwk)
        except ValueError as error:
            log.warning("key %d of the key set is not used: it %s", number, error)
    return keys


def _key_id(jwk: Any) -> str:
    kid = jwk.get("kid") if isinstance(jwk, dict) else None
    if not isinstance(kid, str) or not kid:
        raise ValueError("has no kid")
    return kid


def _public_key(jwk: dict[str, Any]) -> PublicKey:
    algorithm = _ALGORITHMS.get(str(jwk.get("alg")))
    if algorithm is None:
        raise ValueError("is for no algorithm that is known here")
    if jwk.get("use", "sig") != "sig":
        raise ValueError("is not for signatures")
    if "d" in jwk:
        raise ValueError("is a private key, which nobody should publish")
    try:
        key = jwt.PyJWK(jwk).key
        # It checks that the key is one of that algorithm, and its curve.
        algorithm(public_key=key)
    except Exception as error:  # noqa: BLE001 (PyJWT lets cryptography's errors, and others, through)
        raise ValueError(f"is damaged ({type(error).__name__})") from None
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < _MIN_RSA_BITS:
        raise ValueError(f"has less than {_MIN_RSA_BITS} bits")
    return PublicKey(algorithm, key)
