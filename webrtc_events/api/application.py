"""The Connexion application: contracts bound to handlers."""

import copy
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from connexion import AsyncApp
from connexion.lifecycle import ConnexionRequest, ConnexionResponse
from connexion.options import SwaggerUIOptions

from webrtc_events.api.access_tokens import TokenVerifier
from webrtc_events.api.bearer_auth import CountRequest, security_map
from webrtc_events.api.binding import HandlerResolver, MissingHandlersError
from webrtc_events.api.failures import FRAMEWORK_ERRORS, Failures
from webrtc_events.api.responses import error_response
from webrtc_events.api.validators import validator_map
from webrtc_events.contract.openapi import Contract
from webrtc_events.core.errors import ServiceError
from webrtc_events.core.log_masking import Masking

__all__ = ["Api", "connexion_app"]


@dataclass(frozen=True, slots=True)
class Api:
    """One contract, the module with its handlers, and the use case that they get.

    `count_request` limits the rate of each caller's requests; None: there is no limit.
    """

    contract: Contract
    handlers: ModuleType
    use_case: object
    count_request: CountRequest | None = None


def connexion_app(
    apis: Sequence[Api],
    verifier: TokenVerifier,
    failures: Failures,
    masking: Masking,
    lifespan: Callable[[Any], AbstractAsyncContextManager[None]],
) -> AsyncApp:
    """
    Raises:
        MissingHandlersError: some operation has no function; names all of them.
    """
    resolvers = [
        HandlerResolver(api.handlers, api.use_case, api.contract.operations, failures.cut) for api in apis
    ]
    missing = [name for resolver in resolvers for name in resolver.missing]
    if missing:
        raise MissingHandlersError(missing)
    # It warns of the two media types of publishEvents several times with every request.
    logging.getLogger("connexion.operations.openapi3").setLevel(logging.ERROR)
    app = AsyncApp(
        "webrtc_events",
        lifespan=lifespan,
        pythonic_params=True,
        validate_responses=True,
        # The document itself is served by routes.py; Connexion would resolve it anew for every reader.
        swagger_ui_options=SwaggerUIOptions(serve_spec=False),
    )
    for api, resolver in zip(apis, resolvers, strict=True):
        app.add_api(
            copy.deepcopy(api.contract.document),
            base_path=api.contract.base_path,
            resolver=resolver,
            validator_map=validator_map(api.contract),
            security_map=security_map(verifier, masking, api.count_request),
        )
    for kind in (ServiceError, *FRAMEWORK_ERRORS, Exception):
        app.add_error_handler(kind, _answering(failures))
    return app


def _answering(failures: Failures) -> Callable[[ConnexionRequest, Exception], Awaitable[ConnexionResponse]]:
    async def answer(request: ConnexionRequest, error: Exception) -> ConnexionResponse:
        response = error_response(failures.answer(error, request.scope))
        headers = {name: value for name, value in response.headers.items() if name != "content-length"}
        return ConnexionResponse(response.status_code, body=response.body, headers=headers)

    return answer
