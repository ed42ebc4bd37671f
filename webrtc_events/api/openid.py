"""The OpenID Connect issuer of access tokens: its discovery document and its keys.

Sources: OpenID Connect Discovery 1.0, section 4; RFC 7517 (JWK), RFC 7518 (JWA), section 3.1.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import jwt
import requests
import urllib3.exceptions
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from webrtc_events.api.issuer_session import prepare_session
from webrtc_events.contract.strict_json import parse_json
from webrtc_events.core.clock import Clock
from webrtc_events.core.egress_proxy import EgressProxy
from webrtc_events.core.errors import InvalidArgument

__all__ = ["ALGORITHMS", "Issuer", "IssuerError", "SigningKey", "fetch_issuer"]

_RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_BY_CURVE = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
ALGORITHMS = _RSA | frozenset(_BY_CURVE.values()) | {"EdDSA"}
"""Asymmetric ones only: with a shared secret, whoever verifies could also sign."""

_MIN_RSA_BITS = 2048
_MAX_BYTES = 1 << 20
_CONNECT_TIMEOUT_S = 3.0
_READ_TIMEOUT_S = 5.0
_TOTAL_TIMEOUT_S = 10.0

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey


class IssuerError(Exception):
    """The issuer's documents could not be had, or are not what they should be."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One key of the issuer, and the algorithms that it may be used with."""

    kid: str | None
    algorithms: frozenset[str]
    public: PublicKey


@dataclass(frozen=True, slots=True)
class Issuer:
    """What tokens are verified with. `fetched_at` is the monotonic clock's time, seconds."""

    name: str
    keys: tuple[SigningKey, ...]
    fetched_at: float

    def candidates(self, kid: str | None, algorithm: str) -> list[SigningKey]:
        """The keys that a token with this header may be signed with."""
        return [key for key in self.keys if kid in (None, key.kid) and algorithm in key.algorithms]

    def knows(self, kid: str) -> bool:
        return any(key.kid == kid for key in self.keys)


def fetch_issuer(openid_configuration_url: str, clock: Clock, proxy: EgressProxy | None = None) -> Issuer:
    """Reads the discovery document, then the keys. Blocks for some 20 seconds at most.

    Raises:
        IssuerError: with the reason, for the log.
    """
    with requests.Session() as session:
        prepare_session(session, proxy)
        session.headers.update({"Accept": "application/json", "Accept-Encoding": "identity"})
        discovery = _get(session, openid_configuration_url, clock)
        name, jwks_uri = discovery.get("issuer"), discovery.get("jwks_uri")
        if not isinstance(name, str) or not isinstance(jwks_uri, str):
            raise IssuerError(f"{openid_configuration_url} lacks issuer or jwks_uri")
        _check_jwks_uri(jwks_uri, openid_configuration_url)
        keys = tuple(_keys(_get(session, jwks_uri, clock).get("keys")))
    if not keys:
        raise IssuerError(f"{jwks_uri} has no key to verify signatures with")
    return Issuer(name, keys, clock.monotonic())


def _check_jwks_uri(jwks_uri: str, discovery_url: str) -> None:
    """https anywhere; http only where the discovery document itself came from."""
    uri, discovery = urlsplit(jwks_uri), urlsplit(discovery_url)
    if uri.scheme != "https" and (uri.scheme, uri.netloc) != (discovery.scheme, discovery.netloc):
        raise IssuerError(f"jwks_uri {jwks_uri} is not https")


def _get(session: requests.Session, url: str, clock: Clock) -> Mapping[str, Any]:
    """One JSON object. A redirect is a failure: the operator named the address that is trusted."""
    timeouts = (_CONNECT_TIMEOUT_S, _READ_TIMEOUT_S)
    deadline = clock.monotonic() + _TOTAL_TIMEOUT_S
    try:
        with session.get(url, stream=True, timeout=timeouts, allow_redirects=False) as response:
            if response.status_code != requests.codes.ok:
                raise IssuerError(f"{url} answered {response.status_code}")
            document = parse_json(_read(response, deadline, clock))
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise IssuerError(f"{url}: {_root_cause(error)}") from error
    except InvalidArgument as error:
        raise IssuerError(f"{url}: {error.message}") from error
    if not isinstance(document, dict):
        raise IssuerError(f"{url} holds no JSON object")
    return document


def _root_cause(error: BaseException) -> str:
    """What the system or TLS said at first; the libraries wrap it in addresses of objects."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return said or type(error).__name__


def _read(response: requests.Response, deadline: float, clock: Clock) -> bytes:
    """The whole body, piece by piece as it comes: a read's own timeout starts anew with each piece."""
    body = bytearray()
    while piece := response.raw.read1(_MAX_BYTES):
        body += piece
        if len(body) > _MAX_BYTES:
            raise IssuerError(f"{response.url} is larger than {_MAX_BYTES} bytes")
        if clock.monotonic() > deadline:
            raise IssuerError(f"{response.url} took longer than {_TOTAL_TIMEOUT_S} s")
    return bytes(body)


def _keys(entries: Any) -> Iterator[SigningKey]:
    """The usable keys; others are passed over, as RFC 7517, section 5, asks."""
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, dict) or not _for_verifying(entry):
            continue
        try:
            public = jwt.PyJWK(entry).key
        except jwt.PyJWTError:
            continue
        algorithms = _algorithms(public)
        if "alg" in entry:
            algorithms &= {entry["alg"]}
        if algorithms:
            yield SigningKey(entry.get("kid"), algorithms, public)


def _for_verifying(entry: Mapping[str, Any]) -> bool:
    operations = entry.get("key_ops", ["verify"])
    return (
        entry.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
        and isinstance(entry.get("alg", ""), str)
    )


def _algorithms(public: Any) -> frozenset[str]:
    """Empty: not a public key to verify with."""
    if isinstance(public, RSAPublicKey):
        return _RSA if public.key_size >= _MIN_RSA_BITS else frozenset()
    if isinstance(public, EllipticCurvePublicKey):
        return frozenset(filter(None, [_BY_CURVE.get(public.curve.name)]))
    return frozenset({"EdDSA"}) if isinstance(public, Ed25519PublicKey) else frozenset()
