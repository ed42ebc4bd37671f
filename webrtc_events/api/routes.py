"""What a path and a method mean, before Connexion sees them.

Connexion's own router redirects paths with another trailing slash, runs GET for HEAD and
names one method in `Allow`; here the contract decides. What is found here it need not find again.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from connexion.middleware.abstract import ROUTING_CONTEXT
from starlette.types import ASGIApp, Receive, Scope, Send

from webrtc_events.api.application import ConnexionApp
from webrtc_events.api.health import Check, healthy, ready
from webrtc_events.api.responses import json_response
from webrtc_events.contract.openapi import Contract, Operation
from webrtc_events.core.errors import InvalidArgument, MethodNotAllowed, NotFound
from webrtc_events.core.request_context import api_name, known_as

__all__ = ["CLIENT_KEY_SET", "SIGNING_KEY_SET", "Routes", "published_document"]

SIGNING_KEY_SET: Final = "/.well-known/jwks.json"
"""Where consumers find the keys that sign notifications."""

CLIENT_KEY_SET: Final = "/.well-known/client-keys.json"
"""Where subscribers' token servers find the keys by which this service is their client."""

_READ = ("GET", "HEAD")
# How long a key must be published before it signs: see docs/signatures.md.
_KEY_SET_HEADERS = {"Content-Type": "application/jwk-set+json", "Cache-Control": "public, max-age=300"}


@dataclass(frozen=True, slots=True)
class _Path:
    """One path of a contract. An empty parameter matches too, to be refused."""

    pattern: re.Pattern[str]
    operations: Mapping[str, Operation]

    def values(self, path: str) -> Mapping[str, str] | None:
        """The parameters in a path, decoded; None if it is another path."""
        match = self.pattern.fullmatch(path)
        return None if match is None else match.groupdict()

    def values_with_slashes(self, base: str, scope: Scope) -> Mapping[str, str] | None:
        """The same where a parameter holds an encoded slash."""
        raw: str = scope["raw_path"].decode("latin-1")
        if "%2f" not in raw.lower():
            return None
        values = self.values(raw.removeprefix(base))
        return None if values is None else {name: unquote(value) for name, value in values.items()}


class Routes:
    """Dispatches to the operations, their reference, public keys, the health checks and the pages.

    `documents` maps a contract's base path to the document shown to readers. `pages` maps a
    path prefix to an ASGI application; the longest prefix wins. `key_sets` are JWK Sets by their
    paths, see `SIGNING_KEY_SET` and `CLIENT_KEY_SET`.
    """

    def __init__(
        self,
        api: ConnexionApp,
        contracts: Sequence[Contract],
        documents: Mapping[str, Mapping[str, Any]],
        checks: Mapping[str, Check],
        pages: Mapping[str, ASGIApp],
        key_sets: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self._api = api
        self._paths = {contract.base_path: list(_paths(contract)) for contract in contracts}
        self._documents = documents
        self._checks = checks
        self._key_sets = key_sets
        self._pages = sorted(pages.items(), key=lambda page: len(page[0]), reverse=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        for base in self._paths:
            if path.startswith(f"{base}/"):
                await self._contract(base, path.removeprefix(base), scope, receive, send)
                return
        if path in ("/healthz", "/readyz"):
            known_as(path=path)
            _allow(scope, _READ)
            response = healthy() if path == "/healthz" else await ready(self._checks)
            await response(scope, receive, send)
            return
        if path in self._key_sets:
            known_as(path=path)
            _allow(scope, _READ)
            await json_response(self._key_sets[path], headers=_KEY_SET_HEADERS)(scope, receive, send)
            return
        await self._page(path, scope, receive, send)

    async def _contract(self, base: str, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        if path == "/openapi.json":
            known_as(path=f"{base}/openapi.json")
            _allow(scope, _READ)
            await json_response(self._documents[base])(scope, receive, send)
        elif path == "/ui" or path.startswith("/ui/"):
            known_as(path=f"{base}/ui")
            _allow(scope, _READ)
            await self._api(_below(scope), receive, send)
        else:
            operation, values = self._operation(base, path, scope)
            plain = _plain(_below(scope), operation)
            if values is None:
                await self._api(plain, receive, send)
                return
            routed = {"api_base_path": base, "operation_id": operation.id}
            plain["path_params"] = values
            plain["extensions"] = {**scope.get("extensions", {}), ROUTING_CONTEXT: routed}
            await self._api.operations(plain, receive, send)

    def _operation(self, base: str, path: str, scope: Scope) -> tuple[Operation, Mapping[str, str] | None]:
        """The operation and its path parameters; None where not all are text, and Connexion reads them."""
        for template in self._paths[base]:
            plain = template.values(path)
            values = template.values_with_slashes(base, scope) if plain is None else plain
            if values is None:
                continue
            _allow(scope, tuple(template.operations))
            operation = template.operations[scope["method"]]
            # Versions of an API share operationIds.
            known_as(operation=operation.id, api=api_name(base))
            are_text = True
            for name, value in values.items():
                if not value:
                    raise InvalidArgument(f"Expected property is missing: {name}")
                fault = operation.parameters[name].first_fault(value)
                if fault is None:
                    continue
                # A number is still text here; Connexion reads it as what it is to be.
                are_text = False
                if fault.rule != "type":
                    raise InvalidArgument(f"{name}: {fault.message}")
            if plain is None:
                # Connexion's router would take the slash for one of the path; nothing has such an id.
                raise NotFound
            return operation, values if are_text else None
        raise NotFound

    async def _page(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        for prefix, page in self._pages:
            prefix = prefix.rstrip("/")
            if path == prefix or path.startswith(f"{prefix}/"):
                known_as(path=prefix or "/")
                root_path = scope.get("root_path", "") + prefix
                await page({**_below(scope), "root_path": root_path}, receive, send)
                return
        raise NotFound


def published_document(
    contract: Contract, openid_configuration_url: str, base_path: str = ""
) -> Mapping[str, Any]:
    """The contract for readers, with this server and this issuer in it. `base_path`: before all others."""
    document: dict[str, Any] = json.loads(json.dumps(contract.reference))
    document["servers"] = [{"url": base_path + contract.base_path}]
    for scheme in document["components"]["securitySchemes"].values():
        if scheme["type"] == "openIdConnect":
            scheme["openIdConnectUrl"] = openid_configuration_url
    return document


def _paths(contract: Contract) -> Iterator[_Path]:
    """Paths without parameters first, as OpenAPI wants them matched."""
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in contract.operations.values():
        by_path.setdefault(operation.path, {})[operation.method] = operation
    for path in sorted(by_path, key=lambda path: "{" in path):
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]*)", re.escape(path))
        yield _Path(re.compile(pattern), by_path[path])


def _below(scope: Scope) -> Scope:
    """For an application below: there the path begins with the `root_path`, as ASGI has it."""
    root_path = scope.get("root_path", "")
    if not root_path:
        return scope
    raw_path: bytes = scope["raw_path"]
    return {**scope, "path": root_path + scope["path"], "raw_path": root_path.encode("ascii") + raw_path}


def _allow(scope: Scope, methods: Sequence[str]) -> None:
    if scope["method"] not in methods:
        raise MethodNotAllowed(headers={"Allow": ", ".join(methods)})


def _plain(scope: Scope, operation: Operation) -> Scope:
    """`scope` with a Content-Type that Connexion cannot misread.

    It compares media types letter by letter, stumbles over parameters, and refuses what the
    operation does not take without a word of what it does take. There is none where the header
    came twice or names another type; validators.py refuses such a body.
    """
    types = [value for name, value in scope["headers"] if name == b"content-type"]
    headers = [header for header in scope["headers"] if header[0] != b"content-type"]
    plain = [value.partition(b";")[0].strip().lower() for value in types]
    if len(plain) == 1 and plain[0].decode("latin-1") in operation.bodies:
        headers.append((b"content-type", plain[0]))
    return {**scope, "headers": headers}
