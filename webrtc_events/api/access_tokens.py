"""Access tokens: signed JWTs of one OpenID Connect issuer.

Sources: RFC 7519 (JWT), RFC 8725 (its best practice), RFC 9068 (JWT as access token).
"""

from collections.abc import Mapping
from typing import Any

import jwt

from webrtc_events.api.issuer_keys import IssuerKeys
from webrtc_events.api.openid import ALGORITHMS, Issuer
from webrtc_events.api.verified_tokens import VerifiedToken, VerifiedTokens
from webrtc_events.contract.strict_json import parse_json
from webrtc_events.core.clock import Clock
from webrtc_events.core.conditions import Condition
from webrtc_events.core.egress_proxy import EgressProxy
from webrtc_events.core.errors import InvalidArgument, InvalidToken, TokenFault
from webrtc_events.core.model import Caller

__all__ = ["TokenVerifier"]

_LEEWAY_S = 5

_TYPES = frozenset({None, "jwt", "at+jwt", "application/at+jwt"})
"""Of the `typ` header, in lower case. Other kinds of JWT of the same issuer are no access tokens."""

# Of what a token says, shown in the log.
_SHOWN_CHARACTERS = 100


class TokenVerifier:
    """Verifies access tokens against the issuer's keys. For use on one event loop; nothing blocks it.

    `proxy`: the egress proxy that the issuer is reached by, if there is one.
    """

    def __init__(
        self, *, openid_configuration_url: str, audience: str, clock: Clock, proxy: EgressProxy | None = None
    ) -> None:
        self._audience = audience
        self._clock = clock
        self._jws = jwt.PyJWS(algorithms=sorted(ALGORITHMS))
        self._keys = IssuerKeys(openid_configuration_url, clock, proxy)
        self._verified = VerifiedTokens()

    async def caller(self, token: str) -> Caller:
        """Whom a bearer token stands for.

        Raises:
            InvalidToken: anything is wrong with the token.
            Unavailable: the issuer's keys have not been had yet.
        """
        remembered = self._verified.find(token)
        if remembered is not None:
            # The keys are read anew as often as for a token that was never seen.
            issuer = await self._keys.knowing(remembered.kid)
            if issuer is remembered.issuer and remembered.begins_s <= self._clock.now() < remembered.ends_s:
                return remembered.caller
            self._verified.forget(token)
        kid, algorithm = self._header(token)
        issuer = await self._keys.knowing(kid)
        claims = self._verified_claims(token, issuer, kid, algorithm)
        try:
            self._check_claims(claims, issuer)
            caller = _caller(claims)
        except InvalidToken as error:
            error.client = _shown_client(claims)
            raise
        self._remember(token, kid, issuer, claims, caller)
        return caller

    def _remember(
        self, token: str, kid: str | None, issuer: Issuer, claims: Mapping[str, Any], caller: Caller
    ) -> None:
        """Without the leeway: what lies in it is verified each time."""
        begins_s = max(_moment(claims, "nbf"), _moment(claims, "iat"))
        ends_s = _moment(claims, "exp", required=True)
        if begins_s <= self._clock.now() < ends_s:
            self._verified.remember(token, VerifiedToken(kid, issuer, caller, begins_s, ends_s))

    async def condition(self) -> Condition:
        """How the issuer is doing."""
        return await self._keys.condition()

    def _header(self, token: str) -> tuple[str | None, str]:
        try:
            header = self._jws.get_unverified_header(token)
        except jwt.PyJWTError:
            raise InvalidToken(TokenFault.FORM, "is no signed JWT") from None
        kid, algorithm, kind = header.get("kid"), header.get("alg"), header.get("typ")
        if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
            raise InvalidToken(TokenFault.FORM, f"has alg {_shown(algorithm)}, which is not taken")
        if "crit" in header:
            raise InvalidToken(TokenFault.FORM, "has crit in its header, which is not known here")
        if (kind.lower() if isinstance(kind, str) else kind) not in _TYPES:
            raise InvalidToken(TokenFault.FORM, f"has typ {_shown(kind)}, which is no access token")
        return kid, algorithm

    def _verified_claims(
        self, token: str, issuer: Issuer, kid: str | None, algorithm: str
    ) -> Mapping[str, Any]:
        candidates = issuer.candidates(kid, algorithm)
        if not candidates:
            raise InvalidToken(
                TokenFault.KEY, f"has kid {_shown(kid)}, alg {algorithm}: the issuer has no such key"
            )
        for key in candidates:
            try:
                payload: bytes = self._jws.decode(token, key=key.public, algorithms=[algorithm])
            except jwt.PyJWTError:
                continue
            return _claims(payload)
        raise InvalidToken(TokenFault.SIGNATURE, f"is not signed by the issuer's key {_shown(kid)}")

    def _check_claims(self, claims: Mapping[str, Any], issuer: Issuer) -> None:
        """Time comes from the injected clock, so PyJWT's own checks of claims are not used."""
        now = self._clock.now()
        if claims.get("iss") != issuer.name:
            raise InvalidToken(
                TokenFault.ISSUER, f"has iss {_shown(claims.get('iss'))}, not {_shown(issuer.name)}"
            )
        given = claims.get("aud")
        audiences = [given] if isinstance(given, str) else given
        if not isinstance(audiences, list) or self._audience not in audiences:
            raise InvalidToken(TokenFault.AUDIENCE, f"has aud {_shown(given)}, not {_shown(self._audience)}")
        expired_s = now - _moment(claims, "exp", required=True)
        if expired_s >= _LEEWAY_S:
            raise InvalidToken(TokenFault.EXPIRED, f"expired {expired_s:.0f} s ago")
        for name in ("nbf", "iat"):
            ahead_s = _moment(claims, name) - now
            if ahead_s > _LEEWAY_S:
                raise InvalidToken(
                    TokenFault.NOT_YET_VALID, f"has {name} {ahead_s:.0f} s from now; is a clock wrong?"
                )


def _claims(payload: bytes) -> Mapping[str, Any]:
    try:
        claims = parse_json(payload)
    except InvalidArgument as error:
        raise InvalidToken(TokenFault.FORM, f"has a payload that is not taken: {error.message}") from None
    if not isinstance(claims, dict):
        raise InvalidToken(TokenFault.FORM, "has a payload that is no JSON object")
    return claims


def _moment(claims: Mapping[str, Any], name: str, *, required: bool = False) -> float:
    """A NumericDate, seconds since the epoch; 0 if it is absent and may be."""
    moment = claims.get(name, None if required else 0)
    if isinstance(moment, bool) or not isinstance(moment, int | float):
        raise InvalidToken(TokenFault.FORM, f"has {name} {_shown(moment)}, which is no NumericDate")
    return moment


def _caller(claims: Mapping[str, Any]) -> Caller:
    subject = _name(claims, "sub")
    named = _name(claims, "client_id") or _name(claims, "azp")
    client = named or subject
    if client is None:
        raise InvalidToken(TokenFault.CLIENT, "names no client: it has neither client_id, azp nor sub")
    return Caller(client, None if subject == client else subject, _scopes(claims), is_user=named is None)


def _name(claims: Mapping[str, Any], claim: str) -> str | None:
    value = claims.get(claim)
    if value is not None and (not isinstance(value, str) or not value):
        # Not shown: a `sub` is a person.
        raise InvalidToken(TokenFault.CLIENT, f"has no text as its {claim}")
    return value


def _shown_client(claims: Mapping[str, Any]) -> str:
    """Never `sub`, which may be a person."""
    return str(claims.get("client_id") or claims.get("azp") or "")[:_SHOWN_CHARACTERS]


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    """`scope` as RFC 9068 has it, or `scp` as some issuers do, a string or a list."""
    granted = claims.get("scope", claims.get("scp", ""))
    if isinstance(granted, str):
        return frozenset(granted.split())
    if isinstance(granted, list):
        return frozenset(scope for scope in granted if isinstance(scope, str))
    raise InvalidToken(TokenFault.FORM, "has a scope that is neither text nor a list")


def _shown(value: object) -> str:
    text = "none" if value is None else repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
