"""A token issuer on loopback: discovery document, JWKS, and tokens of every kind."""

import json
import threading
from collections.abc import Callable
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

__all__ = ["AUDIENCE", "Issuer", "SigningKeyPair"]

AUDIENCE = "webrtc-events"

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


class SigningKeyPair:
    """Made when it is used: an RSA key takes a tenth of a second, and every test process names some."""

    def __init__(self, kid: str, make: Callable[[], PrivateKey], **jwk: Any) -> None:
        self.kid = kid
        self._make = make
        self._more = jwk

    @cached_property
    def private(self) -> PrivateKey:
        return self._make()

    @classmethod
    def rsa(cls, kid: str, bits: int = 2048, **jwk: Any) -> "SigningKeyPair":
        return cls(kid, lambda: rsa.generate_private_key(65537, bits), **jwk)

    @classmethod
    def ec(cls, kid: str, curve: ec.EllipticCurve, **jwk: Any) -> "SigningKeyPair":
        return cls(kid, lambda: ec.generate_private_key(curve), **jwk)

    @classmethod
    def ed25519(cls, kid: str) -> "SigningKeyPair":
        return cls(kid, ed25519.Ed25519PrivateKey.generate)

    def jwk(self) -> dict[str, Any]:
        public = self.private.public_key()
        codecs: dict[type, Any] = {
            rsa.RSAPrivateKey: RSAAlgorithm,
            ec.EllipticCurvePrivateKey: ECAlgorithm,
        }
        for private, codec in codecs.items():
            if isinstance(self.private, private):
                return {**codec.to_jwk(public, as_dict=True), "kid": self.kid, **self._more}
        return {**OKPAlgorithm.to_jwk(public, as_dict=True), "kid": self.kid, **self._more}


class Issuer:
    """Serves until closed. `documents` may be changed: a path to its JSON value or its bytes."""

    def __init__(self, *keys: SigningKeyPair) -> None:
        self.keys = list(keys)
        for key in keys:
            # Made before anybody waits for an answer, by one thread.
            _ = key.private
        self.status = 200
        self.headers: dict[str, str] = {}
        self.requests: list[str] = []
        self.documents: dict[str, Callable[[], Any]] = {
            "/.well-known/openid-configuration": lambda: {"issuer": self.url, "jwks_uri": f"{self.url}/jwks"},
            "/jwks": lambda: {"keys": [key.jwk() for key in self.keys]},
        }
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.discovery_url = f"{self.url}/.well-known/openid-configuration"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def fetches(self) -> int:
        return self.requests.count("/jwks")

    def token(
        self,
        now: float,
        *,
        key: SigningKeyPair | None = None,
        algorithm: str = "RS256",
        headers: dict[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        """A token valid for a minute; a claim that is None is left out."""
        signer = key or self.keys[0]
        payload = {
            "iss": self.url,
            "aud": AUDIENCE,
            "exp": now + 60,
            "iat": now,
            "client_id": "app",
            "sub": "app",
            "scope": "webrtc-events:read",
        } | claims
        present = {name: value for name, value in payload.items() if value is not None}
        return jwt.encode(present, signer.private, algorithm, {"kid": signer.kid, **(headers or {})})

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.requests.append(self.path)
                document = issuer.documents[self.path]()
                body = document if isinstance(document, bytes) else json.dumps(document).encode()
                self.send_response(issuer.status)
                for name, value in issuer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                """What is asked for does not matter: see `documents`."""
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.do_GET()

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        return Handler
