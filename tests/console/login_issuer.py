"""An OpenID Connect issuer on loopback with the authorization code flow: it checks what a client sends."""

import base64
import hashlib
import json
import secrets
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt

from tests.harness.issuer import SigningKeyPair
from webrtc_events.core.clock import SystemClock

__all__ = ["CLIENT", "SECRET", "LoginIssuer"]

CLIENT = "operator-console"
SECRET = "s3cret for the token endpoint"
_CLOCK = SystemClock()
_KEY = SigningKeyPair.rsa("k1")


class LoginIssuer:
    """`granted` is what it grants; None: it says nothing of scopes. `claims` go into each id_token.

    `access_claims`: the access token is a JWT of these. `error`: nobody may log in. `lacks`: what its
    discovery document has not. `problems` lists what a client did wrong.
    """

    def __init__(self) -> None:
        self.granted: str | None = "openid profile webrtc-events:operate"
        self.claims: dict[str, Any] = {}
        self.access_claims: dict[str, Any] | None = None
        self.error = ""
        self.has_id_token = True
        self.lacks = ""
        self.signs_with = _KEY
        self.problems: list[str] = []
        self._codes: dict[str, dict[str, str]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.configuration_url = f"{self.url}/.well-known/openid-configuration"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def discovery(self) -> dict[str, Any]:
        document = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
        }
        return {name: value for name, value in document.items() if name != self.lacks}

    def authorize(self, query: dict[str, str]) -> str:
        """Where the browser goes on: the user agrees at once."""
        wanted = {"response_type": "code", "client_id": CLIENT, "code_challenge_method": "S256"}
        self.problems += [name for name, value in wanted.items() if query.get(name) != value]
        self.problems += [name for name in ("state", "nonce", "code_challenge") if not query.get(name)]
        self.problems += [] if "openid" in query.get("scope", "").split() else ["scope"]
        answer = {"state": query["state"]}
        if self.error:
            return f"{query['redirect_uri']}?{urlencode(answer | {'error': self.error})}"
        code = secrets.token_urlsafe()
        self._codes[code] = query
        return f"{query['redirect_uri']}?{urlencode(answer | {'code': code})}"

    def token(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        """Each code is good for one token (RFC 6749, 4.1.2), and for who has its verifier (RFC 7636, 4.6)."""
        begun = self._codes.pop(form.get("code", ""), None)
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".replace(" ", "+").encode()).decode()
        plain = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if authorization not in (f"Basic {basic}", f"Basic {plain}"):
            return 401, {"error": "invalid_client"}
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if begun is None or challenge != begun["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        if form.get("redirect_uri") != begun["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        answer: dict[str, Any] = {"token_type": "Bearer", "expires_in": 300, "access_token": self._access()}
        if self.granted is not None:
            answer["scope"] = self.granted
        if self.has_id_token:
            answer["id_token"] = self._id_token(begun["nonce"])
        return 200, answer

    def _access(self) -> str:
        if self.access_claims is None:
            return secrets.token_urlsafe()
        return jwt.encode(self.access_claims, _KEY.private, "RS256", {"kid": _KEY.kid})

    def _id_token(self, nonce: str) -> str:
        now = round(_CLOCK.now())
        usual = {"iss": self.url, "aud": CLIENT, "sub": "user-17", "preferred_username": "alice"}
        claims = usual | {"iat": now, "exp": now + 60, "nonce": nonce} | self.claims
        present = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(present, self.signs_with.private, "RS256", {"kid": _KEY.kid})

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                if parts.path == "/authorize":
                    self.send_response(302)
                    self.send_header("Location", issuer.authorize(_flat(parts.query)))
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                documents = {
                    "/.well-known/openid-configuration": issuer.discovery(),
                    "/jwks": {"keys": [_KEY.jwk()]},
                }
                self._answer(200, documents[parts.path])

            def do_POST(self) -> None:
                form = self.rfile.read(int(self.headers["Content-Length"])).decode()
                self._answer(*issuer.token(_flat(form), self.headers.get("Authorization", "")))

            def _answer(self, status: int, document: dict[str, Any]) -> None:
                body = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        return Handler


def _flat(query: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(query).items()}
