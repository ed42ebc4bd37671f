"""The signature of a request, by hand: what is signed, with which key, for how long."""

import base64
import hashlib
import json
import re
from dataclasses import dataclass, replace
from typing import Any

import jwt
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from tests.harness.builders import settings_without_store
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.setting_values import PrivateKey
from webrtc_events.sinks.signatures import Signer
from webrtc_events.sinks.signing import UnsignableError
from webrtc_events.sinks.signing_keys import key_set

URL = "https://sink.example:8443/inbox/a%20b?c=%2F&d"
HEADERS = {"content-type": "application/cloudevents+json", "x-correlator": "c-1"}
BODY = b'{"id":"1"}'
KEYS: dict[str, PrivateKey] = {
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "PS512": rsa.generate_private_key(65537, 2048),
}
NAMES = {
    "EdDSA": "ed25519",
    "ES256": "ecdsa-p256-sha256",
    "ES384": "ecdsa-p384-sha384",
    "PS512": "rsa-pss-sha512",
}


@dataclass
class At(SystemClock):
    """A clock that stands still."""

    seconds: float

    def now(self) -> float:
        return self.seconds


def verify(key: Any, signature: bytes, message: bytes) -> None:
    """RFC 9421, 3.3, by cryptography alone."""
    public = key.public_key()
    if isinstance(public, ed25519.Ed25519PublicKey):
        public.verify(signature, message)
    elif isinstance(public, rsa.RSAPublicKey):
        public.verify(
            signature, message, padding.PSS(padding.MGF1(hashes.SHA512()), salt_length=64), hashes.SHA512()
        )
    else:
        half, digest = (32, hashes.SHA256()) if public.curve.name == "secp256r1" else (48, hashes.SHA384())
        assert len(signature) == 2 * half
        parts = [int.from_bytes(part, "big") for part in (signature[:half], signature[half:])]
        public.verify(encode_dss_signature(*parts), message, ec.ECDSA(digest))


def signature_of(added: dict[str, str]) -> bytes:
    found = re.fullmatch(r"sig1=:([A-Za-z0-9+/=]+):", added["signature"])
    assert found is not None
    return base64.b64decode(found[1], validate=True)


@pytest.mark.parametrize("algorithm", KEYS)
def test_a_request_is_signed_as_the_rfc_has_it(algorithm: str) -> None:
    key = KEYS[algorithm]
    added = Signer(key, At(1_800_000_000.9)).sign("POST", URL, HEADERS, BODY)
    digest = f"sha-256=:{base64.b64encode(hashlib.sha256(BODY).digest()).decode()}:"
    kid = key_set([key])["keys"][0]["kid"]
    parameters = (
        '("@method" "@target-uri" "content-digest" "content-type" "x-correlator")'
        f';created=1800000000;keyid="{kid}";alg="{NAMES[algorithm]}";expires=1800000300;tag="webrtc-events"'
    )
    base = "\n".join(
        [
            '"@method": POST',
            f'"@target-uri": {URL}',
            f'"content-digest": {digest}',
            '"content-type": application/cloudevents+json',
            '"x-correlator": c-1',
            f'"@signature-params": {parameters}',
        ]
    )
    assert set(added) == {"content-digest", "signature-input", "signature"}
    assert added["content-digest"] == digest
    assert added["signature-input"] == f"sig1={parameters}"
    verify(key, signature_of(added), base.encode())
    with pytest.raises(InvalidSignature):
        verify(key, signature_of(added), base.replace("c-1", "c-2").encode())


def test_a_request_without_a_body_has_no_digest() -> None:
    headers = {"webhook-request-origin": "events.example", "webhook-request-rate": "120"}
    key = KEYS["EdDSA"]
    added = Signer(key, At(1_800_000_000)).sign("OPTIONS", "https://sink.example/", headers, None)
    assert set(added) == {"signature-input", "signature"}
    parameters = added["signature-input"].removeprefix("sig1=")
    assert parameters.startswith(
        '("@method" "@target-uri" "webhook-request-origin" "webhook-request-rate");created=1800000000;'
    )
    base = "\n".join(
        [
            '"@method": OPTIONS',
            '"@target-uri": https://sink.example/',
            '"webhook-request-origin": events.example',
            '"webhook-request-rate": 120',
            f'"@signature-params": {parameters}',
        ]
    )
    verify(key, signature_of(added), base.encode())


def test_an_empty_body_has_the_digest_of_nothing() -> None:
    added = Signer(KEYS["EdDSA"], At(0)).sign("POST", URL, {}, b"")
    assert added["content-digest"] == "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"


def test_only_headers_of_the_service_are_covered() -> None:
    headers = HEADERS | {"authorization": "Bearer s3cret", "x-app": "1"}
    added = Signer(KEYS["EdDSA"], At(0)).sign("POST", URL, headers, BODY)
    assert "authorization" not in added["signature-input"]
    assert "x-app" not in added["signature-input"]


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("https://a b/", HEADERS),
        ("https://bücher.example/", HEADERS),
        ("/inbox", HEADERS),
        (URL, {"content-type": "a\r\nb"}),
        (URL, {"content-type": "ä"}),
    ],
)
def test_what_is_no_valid_request_is_not_signed_and_not_repeated(url: str, headers: dict[str, str]) -> None:
    with pytest.raises(UnsignableError) as caught:
        Signer(KEYS["EdDSA"], At(0)).sign("POST", url, headers, BODY)
    assert str(caught.value) == "HTTPMessageSignaturesException"
    assert caught.value.__suppress_context__


def test_public_keys_are_published_by_their_thumbprints() -> None:
    keys = key_set(list(KEYS.values()))["keys"]
    assert [key["alg"] for key in keys] == list(KEYS)
    for jwk, key in zip(keys, KEYS.values(), strict=True):
        assert jwk["use"] == "sig"
        assert not {"d", "p", "q", "dp", "dq", "qi"} & set(jwk)
        public = jwt.PyJWK(jwk).key
        assert public == key.public_key()
        needed = {name: jwk[name] for name in ("crv", "e", "kty", "n", "x", "y") if name in jwk}
        canonical = json.dumps(needed, separators=(",", ":"), sort_keys=True).encode()
        thumbprint = base64.urlsafe_b64encode(hashlib.sha256(canonical).digest()).decode().rstrip("=")
        assert jwk["kid"] == thumbprint


def test_the_thumbprint_is_that_of_the_rfc() -> None:
    """Source: RFC 8037, appendix A.3."""
    seed = base64.urlsafe_b64decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
    key = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
    assert key_set([key])["keys"][0]["kid"] == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_the_first_key_of_a_deployment_signs_and_without_one_nothing_is_signed() -> None:
    settings = settings_without_store()
    assert Signer.of(settings, At(0)) is None
    keys = (KEYS["ES256"], KEYS["EdDSA"])
    signer = Signer.of(replace(settings, signing_keys=keys), At(7))
    assert signer is not None
    added = signer.sign("POST", URL, HEADERS, BODY)
    assert f'created=7;keyid="{key_set(keys)["keys"][0]["kid"]}"' in added["signature-input"]
