"""The local OIDC issuer: a discovery document, a key set, and access tokens for whoever asks.

It is made for one machine: it gives any client on loopback a token. Nothing else answers.
"""

import ipaddress
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import jwt
from flask import Flask, Response, abort, jsonify, request

from webrtc_events.core.clock import Clock
from webrtc_events.core.model import EventType
from webrtc_events.local.stack.keys import SigningKey

__all__ = ["DEFAULT_CLIENT", "SCOPES", "TOKEN_LIFETIME_S", "Issuer", "issuer_app"]

SCOPES = (
    *(f"webrtc-events:{each}:create" for each in EventType if each is not EventType.SUBSCRIPTION_ENDED),
    "webrtc-events:read",
    "webrtc-events:update",
    "webrtc-events:delete",
    "webrtc-events:network",
)
DEFAULT_CLIENT = "local"
TOKEN_LIFETIME_S = 3600
_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Issuer:
    """`url` is the issuer's identifier; its documents lie below it."""

    url: str
    key: SigningKey
    audience: str
    clock: Clock

    @property
    def discovery_url(self) -> str:
        return f"{self.url}/.well-known/openid-configuration"

    def discovery(self) -> dict[str, Any]:
        """Source: OpenID Connect Discovery 1.0, section 3; no end-user flow is offered."""
        return {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/jwks.json",
            "token_endpoint": f"{self.url}/token",
            "grant_types_supported": ["client_credentials"],
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic", "none"],
            "response_types_supported": [],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [self.key.algorithm],
            "scopes_supported": list(SCOPES),
        }

    def jwks(self) -> dict[str, Any]:
        return {"keys": [self.key.jwk]}

    def mint(
        self,
        *,
        client: str = DEFAULT_CLIENT,
        subject: str | None = None,
        scopes: tuple[str, ...] = SCOPES,
        expires_in_s: int = TOKEN_LIFETIME_S,
    ) -> str:
        """A signed access token. Without `subject` it is two-legged: `sub` is the client (RFC 9068, 2.2)."""
        now = int(self.clock.now())
        claims = {
            "iss": self.url,
            "aud": self.audience,
            "sub": subject or client,
            "client_id": client,
            "scope": " ".join(scopes),
            "iat": now,
            "exp": now + expires_in_s,
            "jti": str(uuid.uuid4()),
        }
        headers = {"kid": self.key.kid, "typ": "at+jwt"}
        return jwt.encode(claims, self.key.private, algorithm=self.key.algorithm, headers=headers)


def issuer_app(issuer: Issuer) -> Flask:
    """The issuer's pages, to be mounted where `issuer.url` points."""
    app = Flask("webrtc_events.local.stack.issuer")
    app.config["MAX_CONTENT_LENGTH"] = 16 * 1024

    @app.before_request
    def refuse_other_names() -> None:
        # A page that has its own name resolve to loopback must not get a token.
        # (Flask's TRUSTED_HOSTS cannot hold an IPv6 address.)
        if not _names_this_machine(request.headers.get("Host", "")):
            abort(400)

    @app.get("/.well-known/openid-configuration")
    def discovery() -> Response:
        return jsonify(issuer.discovery())

    @app.get("/jwks.json")
    def jwks() -> Response:
        return jsonify(issuer.jwks())

    @app.post("/token")
    def token() -> tuple[Response, int]:
        answer, status = _token(issuer)
        response = jsonify(answer)
        response.headers["Cache-Control"] = "no-store"
        return response, status

    return app


def _names_this_machine(host: str) -> bool:
    try:
        return urlsplit(f"//{host}").hostname in _NAMES
    except ValueError:
        return False


def _token(issuer: Issuer) -> tuple[dict[str, Any], int]:
    """Source: RFC 6749, 4.4 and 5.2."""
    if not ipaddress.ip_address(request.remote_addr or "::").is_loopback:
        return {"error": "unauthorized_client", "error_description": "tokens are given on loopback only"}, 403
    if request.form.get("grant_type") != "client_credentials":
        return {"error": "unsupported_grant_type"}, 400
    basic = request.authorization
    client = request.form.get("client_id") or (basic.username if basic else None) or DEFAULT_CLIENT
    scopes = tuple(request.form.get("scope", "").split()) or SCOPES
    if unknown := [scope for scope in scopes if scope not in SCOPES]:
        return {"error": "invalid_scope", "error_description": f"unknown: {' '.join(unknown)}"}, 400
    return {
        "access_token": issuer.mint(client=client, scopes=scopes),
        "token_type": "Bearer",
        "expires_in": TOKEN_LIFETIME_S,
        "scope": " ".join(scopes),
    }, 200
