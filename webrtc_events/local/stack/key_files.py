"""Keys in the data directory, made once: the issuer's, the service's secret key, and for token servers."""

import base64
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from webrtc_events.core.jwk import public_jwk
from webrtc_events.local.data_directory import write_private
from webrtc_events.local.local_error import LocalError

__all__ = ["TokenSigningKey", "load_private_key", "private_pem", "secret_key", "token_key"]


class TokenSigningKey:
    """An ES256 key pair. Its `kid` is the JWK thumbprint (RFC 7638), so a new key has a new name."""

    algorithm = "ES256"

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        self.private = private
        self.jwk = public_jwk(private.public_key(), self.algorithm)
        self.kid = self.jwk["kid"]

    @classmethod
    def load_or_make(cls, data: Path) -> "TokenSigningKey":
        """The key of this data directory. Hold the setup lock.

        Raises:
            LocalError: the file is there but no such key.
        """
        path = data / "issuer-key.pem"
        if not path.exists():
            write_private(path, private_pem(ec.generate_private_key(ec.SECP256R1())))
        return cls(load_private_key(path))


def secret_key(data: Path) -> str:
    """32 random bytes as base64url, for WEBRTC_EVENTS_SECRET_KEY. Hold the setup lock."""
    path = data / "secret-key"
    if not path.exists():
        write_private(path, base64.urlsafe_b64encode(secrets.token_bytes(32)) + b"\n")
    return path.read_text().strip()


def token_key(data: Path) -> Path:
    """The file of an EC key, for WEBRTC_EVENTS_TOKEN_KEYS. Hold the setup lock."""
    path = data / "token-key.pem"
    if not path.exists():
        write_private(path, private_pem(ec.generate_private_key(ec.SECP256R1())))
    return path


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def load_private_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """
    Raises:
        LocalError: the file holds no P-256 private key in PEM.
    """
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except ValueError as error:
        raise LocalError(f"{path} holds no private key; remove it, and `serve` makes a new one") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise LocalError(f"{path} holds no P-256 key; remove it, and `serve` makes a new one")
    return key
