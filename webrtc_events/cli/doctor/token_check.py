"""Checks an access token as the API would: signature, audience, times, client, scopes."""

import asyncio
import json
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from typing import Any, Final

from webrtc_events.api.access_tokens import TokenVerifier
from webrtc_events.cli.doctor.findings import Area, Finding, error, fine, warning
from webrtc_events.core.clock import Clock, format_time
from webrtc_events.core.egress_proxy import EgressProxy
from webrtc_events.core.errors import InvalidToken, TokenFault, Unavailable
from webrtc_events.core.model import Caller
from webrtc_events.core.settings import Settings

__all__ = ["check_token"]

_SOON_S: Final = 60
_KNOWN: Final = ("webrtc-events:", "webrtc-events-subscriptions:")
_ACTIONS: Final = {
    TokenFault.AUDIENCE: "Ask the issuer for one for this audience, or set WEBRTC_EVENTS_AUDIENCE to its.",
    TokenFault.EXPIRED: "Get a new one. If it is new, compare this machine's clock with the issuer's.",
    TokenFault.NOT_YET_VALID: "Compare this machine's clock with the issuer's (NTP).",
    TokenFault.ISSUER: "It is of another issuer than WEBRTC_EVENTS_OPENID_CONFIGURATION_URL names.",
    TokenFault.KEY: "The issuer does not publish it: is the token of another one, or from before a rotation?",
}
_ACTION: Final = "Is this the whole access token, and not an ID token or a refresh token?"


def check_token(token: str, settings: Settings, clock: Clock) -> Iterator[Finding]:
    """Nothing of the token is shown but what it claims: client, scopes, times."""
    verifier = TokenVerifier(
        openid_configuration_url=settings.openid_configuration_url,
        audience=settings.audience,
        clock=clock,
        proxy=EgressProxy.of(settings),
    )
    try:
        caller = asyncio.run(verifier.caller(token))
    except InvalidToken as fault:
        action = _ACTIONS.get(fault.fault, _ACTION)
        yield error(Area.TOKEN, f"the API would refuse it with 401: it {fault.detail}", action)
        return
    except Unavailable:
        yield error(
            Area.TOKEN,
            "it cannot be verified without the issuer's keys",
            "See the findings about the issuer.",
        )
        return
    whose = "of a user alone" if caller.is_user else f"of client {caller.client}"
    kind = "two-legged" if caller.subject is None else "three-legged"
    yield fine(Area.TOKEN, f"the API takes it: {whose}, {kind}, audience {settings.audience}")
    yield _expiry(token, clock)
    yield _scopes(caller)


def _expiry(token: str, clock: Clock) -> Finding:
    """It is verified, so it has this claim."""
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    left_s = float(claims["exp"]) - clock.now()
    text = f"it expires in {left_s:.0f} s, at {format_time(round(float(claims['exp']) * 1000))}"
    return warning(Area.TOKEN, text, "Get a new one soon.") if left_s < _SOON_S else fine(Area.TOKEN, text)


def _scopes(caller: Caller) -> Finding:
    known = sorted(scope for scope in caller.scopes if any(name in scope for name in _KNOWN))
    if known:
        return fine(Area.TOKEN, f"its scopes: {', '.join(known)}")
    text = f"none of its scopes is of this service: {', '.join(sorted(caller.scopes)) or 'it has none'}"
    return warning(
        Area.TOKEN, text, "Every request would be answered 403. Ask for scopes that the contracts list."
    )
