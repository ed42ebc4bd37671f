"""What Connexion validates requests and responses with: the compiled validators of a contract.

Connexion makes an object of these classes for every request. They find their operation by
the routing information in the ASGI scope, as the schemas that Connexion hands over have lost
their names, and with them their discriminators.
"""

import asyncio
from collections.abc import Callable, MutableMapping
from functools import partial
from typing import Any, TypeVar

from connexion.datastructures import MediaTypeDict
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from webrtc_events.api.error_codes import refusal
from webrtc_events.contract.openapi import Contract, Operation
from webrtc_events.contract.strict_json import parse_json
from webrtc_events.contract.validators import Validator
from webrtc_events.core.errors import InvalidArgument, UnsupportedMediaType

__all__ = ["NonConformingResponseError", "validator_map"]

_Result = TypeVar("_Result")

_LARGE_BYTES = 64 * 1024
"""A body from this size on is parsed and validated in a thread, so that others need not wait."""


class NonConformingResponseError(Exception):
    """A handler's answer breaks the contract; a bug, answered with 500."""


def validator_map(contract: Contract) -> dict[str, Any]:
    """For Connexion's option of that name."""
    return {
        "parameter": partial(PathParameters, contract),
        "body": MediaTypeDict({"*": partial(RequestBody, contract)}),
        "response": MediaTypeDict({"*": partial(ResponseBody, contract)}),
    }


class PathParameters:
    """The parameters in the path. x-correlator is checked for every request, see middleware.py."""

    def __init__(self, contract: Contract, *_: Any, **__: Any) -> None:
        self._contract = contract

    def validate(self, scope: Scope) -> None:
        operation = _operation(self._contract, scope)
        for name, validator in operation.parameters.items():
            fault = validator.first_fault(scope["path_params"][name])
            if fault is not None:
                raise InvalidArgument(f"{name}: {fault.message}")


class RequestBody:
    """Parses the body strictly, validates it, and hands it to the handler as `payload`."""

    def __init__(self, contract: Contract, **_: Any) -> None:
        self._contract = contract

    async def wrap_receive(self, receive: Receive, *, scope: Scope) -> tuple[Receive, Scope]:
        operation = _operation(self._contract, scope)
        body = await _read(receive)
        validator = operation.bodies.get(_content_type(scope))
        if not body and operation.body_required:
            raise InvalidArgument("A request body is required.")
        if body:
            if validator is None:
                raise UnsupportedMediaType(f"Content-Type must be {' or '.join(operation.bodies)}.")
            payload = await _in_thread_if_large(body, partial(_checked, operation, validator, body))
            _context(scope)["payload"] = payload
        return _replay(body, receive), scope


class ResponseBody:
    """Holds a handler's answer back until it is known to conform; of a paged array (pages.py), each page."""

    def __init__(self, contract: Contract, scope: Scope, **_: Any) -> None:
        self._operation = _operation(contract, scope)
        self._start: Message = {}
        self._sent = 0

    def wrap_send(self, send: Send) -> Send:
        async def send_valid(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._start = message
                return
            await self._conforms(message.get("body", b""), last=not message.get("more_body", False))
            if not self._sent:
                await send(self._start)
            self._sent += 1
            await send(message)

        return send_valid

    async def _conforms(self, body: bytes, *, last: bool) -> None:
        if last and self._sent:
            if body != b"]":
                raise NonConformingResponseError(f"{self._operation.id}: a paged array ends in {body[:9]!r}")
            return
        text = body if last else _page(body, b"," if self._sent else b"[")
        await _in_thread_if_large(text, partial(self._check, self._start, text))

    def _check(self, start: Message, body: bytes) -> None:
        described = f"{self._operation.id} {start['status']}"
        contents = self._operation.responses.get(str(start["status"]))
        if contents is None:
            raise NonConformingResponseError(f"{described}: the contract has no such status")
        if not contents:
            if body:
                raise NonConformingResponseError(f"{described}: the contract has no body")
            return
        validator = contents.get(_media_type(start["headers"]))
        if validator is None:
            raise NonConformingResponseError(f"{described}: the contract has no such media type")
        fault = validator.first_fault(parse_json(body))
        if fault is not None:
            raise NonConformingResponseError(f"{described}: {fault}")


def _page(body: bytes, opening: bytes) -> bytes:
    """A page of an array, validated as an array: where no page breaks the contract, the array does not."""
    if not body.startswith(opening):
        raise NonConformingResponseError(f"a page of an array begins with {body[:9]!r}, not {opening!r}")
    return b"[" + body[1:] + b"]"


def _operation(contract: Contract, scope: Scope) -> Operation:
    return contract.operations[scope["extensions"]["connexion_routing"]["operation_id"]]


def _context(scope: Scope) -> MutableMapping[str, Any]:
    """What Connexion passes to a handler by the name of its argument."""
    extensions: dict[str, Any] = scope.setdefault("extensions", {})
    context: MutableMapping[str, Any] = extensions.setdefault("connexion_context", {})
    return context


def _checked(operation: Operation, validator: Validator, body: bytes) -> Any:
    payload = parse_json(body)
    if not validator.is_valid(payload):
        error = refusal(operation.id, validator.faults(payload))
        if error is not None:
            raise error
    return payload


async def _in_thread_if_large(body: bytes, work: Callable[[], _Result]) -> _Result:
    return await asyncio.to_thread(work) if len(body) >= _LARGE_BYTES else work()


async def _read(receive: Receive) -> bytes:
    """Content-Length is not looked at: a chunked body has none."""
    pieces = []
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        pieces.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(pieces)


def _replay(body: bytes, receive: Receive) -> Receive:
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return pending.pop() if pending else await receive()

    return receive_again


def _content_type(scope: Scope) -> str:
    return _media_type(scope["headers"])


def _media_type(headers: list[tuple[bytes, bytes]]) -> str:
    """Without parameters, in lower case; empty if there is none."""
    for name, value in headers:
        if name.lower() == b"content-type":
            return value.decode("latin-1").partition(";")[0].strip().lower()
    return ""
