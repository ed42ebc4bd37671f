"""Credentials that are none, each in its way, by the words of the features."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping

import jwt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.conformance.bdd.world import World
from tests.harness.issuer import SigningKeyPair

__all__ = ["CREDENTIALS"]

_STRANGER = SigningKeyPair.rsa("rsa")


def _claims(world: World) -> dict[str, object]:
    claims: dict[str, object] = jwt.decode(world.token(), options={"verify_signature": False})
    return claims


def _encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def _hmac_signed(world: World) -> str:
    """By the issuer's public key as a shared secret, which PyJWT refuses to do."""
    key = world.service.api.issuer.keys[0]
    pem = key.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signed = f"{_encoded({'alg': 'HS256', 'typ': 'JWT', 'kid': key.kid})}.{_encoded(_claims(world))}"
    signature = hmac.digest(pem, signed.encode(), hashlib.sha256)
    return f"{signed}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def _unsigned(world: World) -> str:
    return f"{_encoded({'alg': 'none', 'typ': 'JWT'})}.{_encoded(_claims(world))}."


CREDENTIALS: Mapping[str, Callable[[World], str | None]] = {
    "no credentials": lambda _: None,
    "an empty header": lambda _: "",
    "another scheme": lambda world: f"Basic {world.token()}",
    "a token that is none": lambda _: "Bearer made-up",
    "an expired token": lambda world: f"Bearer {world.token(exp=time.time() - 60)}",
    "a token of another issuer": lambda world: f"Bearer {world.token(iss='https://other.example.com')}",
    "a token for another audience": lambda world: f"Bearer {world.token(aud='other')}",
    "a token signed by another key": lambda world: f"Bearer {world.token(key=_STRANGER)}",
    "an unsigned token": lambda world: f"Bearer {_unsigned(world)}",
    "a token signed with HMAC": lambda world: f"Bearer {_hmac_signed(world)}",
}
"""The value of Authorization; None where there is none."""
