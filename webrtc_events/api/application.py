"""The Connexion application: contracts bound to handlers."""

import copy
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from webrtc_events.core.late_imports import loaded_once_used

# A test client, a client to ask other servers what a token is worth, and the way to Flask and WSGI.
_LATE = (
    "asgiref",
    "connexion.apps.flask",
    "connexion.frameworks.flask",
    "httpx",
    "starlette.testclient",
    "werkzeug.serving",
    "werkzeug.test",
    "werkzeug.wrappers",
)

# Before the modules below, which find Connexion loaded.
with loaded_once_used(*_LATE):
    from connexion.middleware import ConnexionMiddleware
    from connexion.middleware.lifespan import LifespanMiddleware
    from connexion.middleware.main import API
    from connexion.middleware.routing import RoutingMiddleware
    from connexion.middleware.security import SecurityMiddleware
    from connexion.middleware.swagger_ui import SwaggerUIMiddleware
    from connexion.options import SwaggerUIOptions
    from connexion.spec import OpenAPISpecification

from webrtc_events.api.access_tokens import TokenVerifier
from webrtc_events.api.bearer_auth import CountRequest, security_map
from webrtc_events.api.binding import HandlerResolver, MissingHandlersError
from webrtc_events.api.failures import Failures
from webrtc_events.api.operation_threads import OperationThreads
from webrtc_events.api.operations import BoundOperation, Operations
from webrtc_events.contract.openapi import Contract
from webrtc_events.core.log_masking import Masking

__all__ = ["Api", "ConnexionApp", "connexion_app"]


@dataclass(frozen=True, slots=True)
class Api:
    """One contract, the module with its handlers, and the use case that they get.

    `count_request` limits the rate of each caller's requests; None: there is no limit.
    """

    contract: Contract
    handlers: ModuleType
    use_case: object
    count_request: CountRequest | None = None


class _Document(OpenAPISpecification):  # type: ignore[misc]
    """A contract as Connexion reads it.

    It would hold each against OpenAPI's own schema whenever a process starts, most of what it takes to read
    it. Nobody changes contracts after a release: tests/api/test_unvalidated_contracts.py does it before.
    """

    @classmethod
    def _validate_spec(cls, spec: dict[str, Any]) -> None:
        pass


class ConnexionApp:
    """An ASGI application: all of Connexion, for the reference and the lifespan.

    `operations` is what is behind its router: it asks for the token and calls the operation. It is for a
    request whose scope has path parameters and operation, as routes.py finds them.
    """

    def __init__(self, app: ConnexionMiddleware) -> None:
        self._app = app
        # As its first call does it.
        app.app, app.middleware_stack = app._build_middleware_stack()
        self.operations: ASGIApp = next(
            layer for layer in app.middleware_stack if isinstance(layer, SecurityMiddleware)
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


def connexion_app(
    apis: Sequence[Api],
    verifier: TokenVerifier,
    failures: Failures,
    masking: Masking,
    lifespan: Callable[[Any], AbstractAsyncContextManager[None]],
    threads: OperationThreads,
) -> ConnexionApp:
    """`threads`: in which functions run that block. Errors are raised through it: middleware.py answers them.

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
    bound = {
        api.contract.base_path: _bound(api, resolver) for api, resolver in zip(apis, resolvers, strict=True)
    }
    app = ConnexionMiddleware(
        Operations(bound, threads),
        import_name="webrtc_events",
        lifespan=lifespan,
        # Those that operations.py does not replace.
        middlewares=[SwaggerUIMiddleware, RoutingMiddleware, SecurityMiddleware, LifespanMiddleware],
        # The document itself is served by routes.py; Connexion would resolve it anew for every reader.
        swagger_ui_options=SwaggerUIOptions(serve_spec=False),
    )
    for api, resolver in zip(apis, resolvers, strict=True):
        options = app.options.replace(
            resolver=resolver, security_map=security_map(verifier, masking, api.count_request)
        )
        # As `add_api` does it, which always validates.
        document = _Document(copy.deepcopy(api.contract.document))
        app.apis.append(API(document, base_path=api.contract.base_path, **vars(options)))
    return ConnexionApp(app)


def _bound(api: Api, resolver: HandlerResolver) -> dict[str, BoundOperation]:
    return {
        operation_id: BoundOperation(operation, resolver.functions[operation_id])
        for operation_id, operation in api.contract.operations.items()
    }
