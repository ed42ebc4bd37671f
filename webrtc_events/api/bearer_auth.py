"""Bearer tokens of an operation's callers, as Connexion asks for them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from connexion.lifecycle import ConnexionRequest
from connexion.security import AbstractSecurityHandler

from webrtc_events.api.access_tokens import TokenVerifier
from webrtc_events.core.errors import InvalidToken, Unauthenticated
from webrtc_events.core.log_masking import Masking
from webrtc_events.core.model import Caller, ReaderToken
from webrtc_events.core.request_context import current_request
from webrtc_events.core.scopes import require_any_scope

__all__ = ["CountRequest", "security_map"]


CountRequest = Callable[[Caller], None]
"""Counts a caller's request; raises TooManyRequests. It may ask the store, so it runs in a thread."""


def security_map(
    verifier: TokenVerifier, masking: Masking, count_request: CountRequest | None
) -> dict[str, Any]:
    """For Connexion's option of that name. `masking` writes the client into the log."""
    return {"openIdConnect": lambda: OpenIdConnect(verifier, masking, count_request), "bearer": ReaderTokens}


class OpenIdConnect(AbstractSecurityHandler):  # type: ignore[misc]
    """Wants any one of the scopes that an operation lists.

    The create operation lists three and needs that of the requested type, which its use
    case checks. The handler gets the `Caller` as `caller`.
    """

    def __init__(self, verifier: TokenVerifier, masking: Masking, count_request: CountRequest | None) -> None:
        self._verifier = verifier
        self._masking = masking
        self._count_request = count_request

    def get_fn(
        self, security_scheme: Mapping[str, Any], required_scopes: list[str]
    ) -> Callable[[ConnexionRequest], Awaitable[dict[str, Any]]]:
        del security_scheme

        async def verify(request: ConnexionRequest) -> dict[str, Any]:
            try:
                caller = await self._verifier.caller(_bearer_token(request))
            except InvalidToken as error:
                _log_client(self._masking.text(error.client))
                raise
            _log_client(self._masking.client(caller))
            if self._count_request is not None:
                # Before anything is read: requests that are refused count too.
                await asyncio.to_thread(self._count_request, caller)
            require_any_scope(caller, required_scopes)
            request.context["caller"] = caller
            return {"sub": caller.subject or caller.client}

        return verify


class ReaderTokens(AbstractSecurityHandler):  # type: ignore[misc]
    """Tokens of readers, which are no access tokens: the use case compares them.

    The handler gets one as `caller`.
    """

    def get_fn(
        self, security_scheme: Mapping[str, Any], required_scopes: list[str]
    ) -> Callable[[ConnexionRequest], Awaitable[dict[str, Any]]]:
        del security_scheme, required_scopes

        async def take(request: ConnexionRequest) -> dict[str, Any]:
            request.context["caller"] = ReaderToken(_bearer_token(request))
            return {}

        return take


def _log_client(client: str) -> None:
    """What is logged for the request from here on names the client."""
    context = current_request()
    if context is not None:
        context.client = client


def _bearer_token(request: ConnexionRequest) -> str:
    """Source: RFC 6750, section 2.1."""
    values: list[str] = request.headers.getlist("authorization")
    if len(values) != 1:
        raise Unauthenticated
    scheme, _, token = values[0].partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated
    return token.strip()
