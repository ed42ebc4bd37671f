"""Access tokens: signed JWTs of one OpenID Connect issuer.

Sources: RFC 7519 (JWT), RFC 8725 (its best practice), RFC 9068 (JWT as access token).
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any

import jwt

from webrtc_events.clock import Clock
from webrtc_events.errors import InvalidArgument, PermissionDenied, Unauthenticated, Unavailable
from webrtc_events.model import Caller
from webrtc_events.openid import ALGORITHMS, Issuer, IssuerError, fetch_issuer
from webrtc_events.strict_json import parse_json

__all__ = ["TokenVerifier", "require_any_scope"]

_LEEWAY_S = 5
_REFRESH_S = 3600
_MIN_INTERVAL_S = 10
_MIN_INTERVAL_WITHOUT_KEYS_S = 1
_FETCH_TIMEOUT_S = 20

_TYPES = frozenset({None, "jwt", "at+jwt", "application/at+jwt"})
"""Of the `typ` header, in lower case. Other kinds of JWT of the same issuer are no access tokens."""

_logger = logging.getLogger(__name__)


class TokenVerifier:
    """Verifies access tokens against the issuer's keys, which it caches.

    The keys are read when first needed, again when a token names an unknown one (at most
    every 10 s, one request at a time), and every hour in passing. While the issuer is out
    of reach the cached keys go on working. For use on one event loop; nothing blocks it.
    """

    def __init__(self, *, openid_configuration_url: str, audience: str, clock: Clock) -> None:
        self._url = openid_configuration_url
        self._audience = audience
        self._clock = clock
        self._jws = jwt.PyJWS(algorithms=sorted(ALGORITHMS))
        self._issuer: Issuer | None = None
        self._fetching: asyncio.Task[None] | None = None
        self._not_before = float("-inf")

    async def caller(self, token: str) -> Caller:
        """Whom a bearer token stands for.

        Raises:
            Unauthenticated: anything is wrong with the token.
            Unavailable: the issuer's keys have not been had yet.
        """
        kid, algorithm = self._header(token)
        issuer = await self._issuer_knowing(kid)
        claims = self._verified_claims(token, issuer, kid, algorithm)
        self._check_claims(claims, issuer)
        return _caller(claims)

    def _header(self, token: str) -> tuple[str | None, str]:
        try:
            header = self._jws.get_unverified_header(token)
        except jwt.PyJWTError:
            raise Unauthenticated from None
        kid, algorithm, kind = header.get("kid"), header.get("alg"), header.get("typ")
        if not isinstance(algorithm, str) or algorithm not in ALGORITHMS or "crit" in header:
            raise Unauthenticated
        if (kind.lower() if isinstance(kind, str) else kind) not in _TYPES:
            raise Unauthenticated
        return kid, algorithm

    async def _issuer_knowing(self, kid: str | None) -> Issuer:
        """The issuer with cached keys; read anew if they lack `kid`, as far as the rate allows."""
        if self._issuer is None or (kid is not None and not self._issuer.knows(kid)):
            fetching = self._start_fetching()
            if fetching is not None:
                # Shielded: one client that goes away must not stop what others wait for.
                await asyncio.shield(fetching)
        elif self._clock.monotonic() - self._issuer.fetched_at > _REFRESH_S:
            self._start_fetching()
        if self._issuer is None:
            raise Unavailable("Access tokens cannot be verified at the moment; try again.")
        return self._issuer

    def _start_fetching(self) -> "asyncio.Task[None] | None":
        """The fetch under way, a new one, or None: it is too early for one."""
        now = self._clock.monotonic()
        if self._fetching is None and now >= self._not_before:
            self._not_before = now + (_MIN_INTERVAL_S if self._issuer else _MIN_INTERVAL_WITHOUT_KEYS_S)
            self._fetching = asyncio.create_task(self._fetch())
        return self._fetching

    async def _fetch(self) -> None:
        try:
            reading = asyncio.to_thread(fetch_issuer, self._url, self._clock)
            self._issuer = await asyncio.wait_for(reading, _FETCH_TIMEOUT_S)
        except (IssuerError, TimeoutError) as error:
            _logger.warning("token issuer out of reach: %s", error or "timeout")
        finally:
            self._fetching = None

    def _verified_claims(
        self, token: str, issuer: Issuer, kid: str | None, algorithm: str
    ) -> Mapping[str, Any]:
        for key in issuer.candidates(kid, algorithm):
            try:
                payload: bytes = self._jws.decode(token, key=key.public, algorithms=[algorithm])
                claims = parse_json(payload)
            except (jwt.PyJWTError, InvalidArgument):
                continue
            if isinstance(claims, dict):
                return claims
        raise Unauthenticated

    def _check_claims(self, claims: Mapping[str, Any], issuer: Issuer) -> None:
        """Time comes from the injected clock, so PyJWT's own checks of claims are not used."""
        now = self._clock.now()
        audiences = claims.get("aud")
        if isinstance(audiences, str):
            audiences = [audiences]
        if (
            claims.get("iss") != issuer.name
            or not isinstance(audiences, list)
            or self._audience not in audiences
            or _moment(claims, "exp", required=True) <= now - _LEEWAY_S
            or _moment(claims, "nbf") > now + _LEEWAY_S
            or _moment(claims, "iat") > now + _LEEWAY_S
        ):
            raise Unauthenticated


def require_any_scope(caller: Caller, scopes: Iterable[str]) -> None:
    """
    Raises:
        PermissionDenied: the token has none of `scopes`.
    """
    if caller.scopes.isdisjoint(scopes):
        raise PermissionDenied


def _moment(claims: Mapping[str, Any], name: str, *, required: bool = False) -> float:
    """A NumericDate, seconds since the epoch; 0 if it is absent and may be."""
    moment = claims.get(name, None if required else 0)
    if isinstance(moment, bool) or not isinstance(moment, int | float):
        raise Unauthenticated
    return moment


def _caller(claims: Mapping[str, Any]) -> Caller:
    subject = _name(claims, "sub")
    client = _name(claims, "client_id") or _name(claims, "azp") or subject
    if client is None:
        raise Unauthenticated
    return Caller(client, None if subject == client else subject, _scopes(claims))


def _name(claims: Mapping[str, Any], claim: str) -> str | None:
    value = claims.get(claim)
    if value is not None and (not isinstance(value, str) or not value):
        raise Unauthenticated
    return value


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    """`scope` as RFC 9068 has it, or `scp` as some issuers do, a string or a list."""
    granted = claims.get("scope", claims.get("scp", ""))
    if isinstance(granted, str):
        return frozenset(granted.split())
    if isinstance(granted, list):
        return frozenset(scope for scope in granted if isinstance(scope, str))
    raise Unauthenticated
