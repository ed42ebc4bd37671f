"""A running API with a clock that a test sets, and tokens for it."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jwt
import requests
from cryptography.hazmat.primitives.asymmetric import ec

from tests.api.conftest import ALL_SCOPES, PUBLIC, serving, subscription_request
from tests.harness.documents import Document
from tests.harness.issuer import Issuer, SigningKeyPair
from tests.production.operations.tools import AUDIENCE
from webrtc_events.app import create_app
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.settings import Settings
from webrtc_events.local.stack.valkey import Valkey

DOCUMENT = Document("operations/access-tokens.md")
SUBSCRIPTIONS = f"{PUBLIC}/subscriptions"
NOW = 1_800_000_000.0
CLIENT = "softphone"

RSA, EC, STRANGER = (
    SigningKeyPair.rsa("rsa"),
    SigningKeyPair.ec("ec", ec.SECP256R1()),
    SigningKeyPair.rsa("rsa"),
)
KEYS = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), RSA),
    "ES256": EC,
    "ES384": SigningKeyPair.ec("ec384", ec.SECP384R1()),
    "ES512": SigningKeyPair.ec("ec521", ec.SECP521R1()),
    "EdDSA": SigningKeyPair.ed25519("ed"),
}
SHORT, FOR_SECRETS, BOUND = (
    SigningKeyPair.rsa("short", 1024),
    SigningKeyPair.rsa("secrets", use="enc"),
    SigningKeyPair.rsa("bound", alg="PS256"),
)


class TurnedClock(SystemClock):
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0

    def now(self) -> float:
        return NOW + self.elapsed_s

    def monotonic(self) -> float:
        return self.elapsed_s


class Server:
    """A running API, its issuer, and the clock that it validates tokens by."""

    def __init__(self, ask: Callable[..., requests.Response], issuer: Issuer, clock: TurnedClock) -> None:
        self.ask = ask
        self.issuer = issuer
        self.clock = clock

    def claims(self, **changes: Any) -> dict[str, Any]:
        """A payload that is right, but for `changes`; a claim that is None is left out."""
        right = {
            "iss": self.issuer.url,
            "aud": AUDIENCE,
            "exp": self.clock.now() + 60,
            "iat": self.clock.now(),
            "client_id": CLIENT,
            "sub": CLIENT,
            "scope": ALL_SCOPES,
        }
        return {name: value for name, value in (right | changes).items() if value is not None}

    def token(
        self,
        key: SigningKeyPair = RSA,
        algorithm: str = "RS256",
        header: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> str:
        """`header` is added to what is usual; of what is None there, nothing is sent."""
        whole = {"kid": key.kid} | dict(header or {})
        given = {name: value for name, value in whole.items() if value is not None or name == "typ"}
        # PyJWT validates claims when it writes them; these go in as they are.
        return jwt.PyJWS().encode(json.dumps(self.claims(**changes)).encode(), key.private, algorithm, given)

    def list(self, token: str) -> requests.Response:
        return self.ask("GET", SUBSCRIPTIONS, token=token)

    def create(self, token: str, **changes: Any) -> requests.Response:
        return self.ask("POST", SUBSCRIPTIONS, token=token, json=subscription_request(**changes))


@contextmanager
def started(valkey: Valkey, *keys: SigningKeyPair, **settings: str) -> Iterator[Server]:
    issuer = Issuer(*keys)
    values = {
        "REDIS_URL": valkey.url,
        "OPENID_CONFIGURATION_URL": issuer.discovery_url,
        "AUDIENCE": AUDIENCE,
        "SECRET_KEY": "A" * 43,
        "REQUESTS_PER_S": "0",
        "SINK_ALLOWED_NETWORKS": "127.0.0.0/8",
        "CHANNELS_URL": "https://events.example/channels/v0",
    } | settings
    clock = TurnedClock()
    app = create_app(
        Settings.from_environ({f"WEBRTC_EVENTS_{name}": value for name, value in values.items()}), clock=clock
    )
    try:
        with serving(app, issuer) as api:
            yield Server(api, issuer, clock)
    finally:
        issuer.close()
