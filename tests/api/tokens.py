"""Access tokens, the keys that sign them, and the verifier."""

from cryptography.hazmat.primitives.asymmetric import ec

from tests.harness.clocks import SteppedClock
from tests.harness.issuer import AUDIENCE, Issuer, SigningKeyPair
from webrtc_events.api.access_tokens import TokenVerifier

RSA, SECOND, UNKNOWN = (SigningKeyPair.rsa(kid) for kid in ("rsa", "second", "unknown"))
P256, P384, P521 = (
    SigningKeyPair.ec(curve.name, curve) for curve in (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1())
)
ED25519 = SigningKeyPair.ed25519("ed")
BOUND = SigningKeyPair.rsa("bound", alg="PS256")
ENCRYPTS = SigningKeyPair.rsa("encrypts", use="enc")
SHORT = SigningKeyPair.rsa("short", 1024)
KEYS = (RSA, P256, P384, P521, ED25519, BOUND, ENCRYPTS, SHORT)


def verifier(issuer: Issuer, clock: SteppedClock | None = None) -> TokenVerifier:
    return TokenVerifier(
        openid_configuration_url=issuer.discovery_url, audience=AUDIENCE, clock=clock or SteppedClock()
    )
