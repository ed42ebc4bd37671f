"""The local OIDC issuer: its documents and its access tokens."""

import uuid
from dataclasses import dataclass
from typing import Any

import jwt

from webrtc_events.core.clock import Clock
from webrtc_events.core.event_names import SUBSCRIBABLE, wire_type
from webrtc_events.core.model import ContractVersion
from webrtc_events.local.endpoints import DEFAULT_CLIENT
from webrtc_events.local.stack.key_files import TokenSigningKey

__all__ = ["SCOPES", "TOKEN_LIFETIME_S", "LocalIssuer"]

SCOPES = (
    *(f"webrtc-events:{event_type}:create" for event_type in SUBSCRIBABLE),
    "webrtc-events:read",
    "webrtc-events:update",
    "webrtc-events:delete",
    "webrtc-events:network",
    "webrtc-events:channels:read",
    "webrtc-events:channels:write",
    *(
        f"webrtc-events-subscriptions:{wire_type(ContractVersion.V0_3, event_type)}:create"
        for event_type in SUBSCRIBABLE
    ),
    "webrtc-events-subscriptions:read",
    "webrtc-events-subscriptions:update",
    "webrtc-events-subscriptions:delete",
)
TOKEN_LIFETIME_S = 3600


@dataclass(frozen=True, slots=True)
class LocalIssuer:
    """`url` is the issuer's identifier; its documents lie below it."""

    url: str
    key: TokenSigningKey
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
