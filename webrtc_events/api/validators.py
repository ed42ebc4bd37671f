"""Holds requests and responses to their operation of the contract."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import msgspec
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from webrtc_events.api.error_codes import refusal
from webrtc_events.contract.openapi import Operation
from webrtc_events.contract.strict_json import parse_json
from webrtc_events.contract.validators import KnownItems, Validator
from webrtc_events.core.errors import InvalidArgument, UnsupportedMediaType

__all__ = [
    "LARGE_BYTES",
    "ConformingAnswer",
    "NonConformingResponseError",
    "check_path_parameters",
    "received_payload",
]

_Result = TypeVar("_Result")

LARGE_BYTES = 64 * 1024
"""A body from this size on is worked on in a thread, so that others need not wait."""


class NonConformingResponseError(Exception):
    """A handler's answer breaks the contract; a bug, answered with 500."""


def check_path_parameters(operation: Operation, values: Mapping[str, Any]) -> None:
    """x-correlator is checked for every request, see middleware.py.

    Raises:
        InvalidArgument: one breaks its schema.
    """
    for name, validator in operation.parameters.items():
        fault = validator.first_fault(values[name])
        if fault is not None:
            raise InvalidArgument(f"{name}: {fault.message}")


async def received_payload(operation: Operation, scope: Scope, receive: Receive) -> tuple[bytes, Any]:
    """The body and what it says, parsed strictly and valid. Of an empty body, where it may be, that is None.

    Raises:
        InvalidArgument: it is missing, or breaks its schema.
        UnsupportedMediaType: the operation takes no such body.
    """
    body = await _read(receive)
    if not body:
        if operation.body_required:
            raise InvalidArgument("A request body is required.")
        return body, None
    validator = operation.bodies.get(_media_type(scope["headers"]))
    if validator is None:
        raise UnsupportedMediaType(f"Content-Type must be {' or '.join(operation.bodies)}.")
    return body, await _in_thread_if_large(body, partial(_checked, operation, validator, body))


class ConformingAnswer:
    """Holds an answer back until it is known to conform; of a paged array (paging.py), each page.

    `items` is what is known of those of an array, None if nothing is.
    """

    def __init__(self, operation: Operation, send: Send, items: KnownItems | None = None) -> None:
        self._items = items
        self._operation = operation
        self._send = send
        self._start: Message = {}
        self._sent = 0

    async def send(self, message: Message) -> None:
        """For what the answer is sent by.

        Raises:
            NonConformingResponseError: it breaks the contract.
        """
        if message["type"] == "http.response.start":
            self._start = message
            return
        await self._conforms(message.get("body", b""), last=not message.get("more_body", False))
        if not self._sent:
            await self._send(self._start)
        self._sent += 1
        await self._send(message)

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
        if self._items is not None and validator.takes(self._items):
            return
        # Nobody else wrote it, so it need not be read as strictly as a request.
        fault = validator.first_fault(msgspec.json.decode(body))
        if fault is not None:
            raise NonConformingResponseError(f"{described}: {fault}")


def _page(body: bytes, opening: bytes) -> bytes:
    """A page of an array, validated as an array: where no page breaks the contract, the array does not."""
    if not body.startswith(opening):
        raise NonConformingResponseError(f"a page of an array begins with {body[:9]!r}, not {opening!r}")
    return b"[" + body[1:] + b"]"


def _checked(operation: Operation, validator: Validator, body: bytes) -> Any:
    payload = parse_json(body)
    if not validator.is_valid(payload):
        error = refusal(operation, validator.faults(payload))
        if error is not None:
            raise error
    return payload


async def _in_thread_if_large(body: bytes, work: Callable[[], _Result]) -> _Result:
    return await asyncio.to_thread(work) if len(body) >= LARGE_BYTES else work()


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


def _media_type(headers: list[tuple[bytes, bytes]]) -> str:
    """Without parameters, in lower case; empty if there is none."""
    for name, value in headers:
        if name.lower() == b"content-type":
            return value.decode("latin-1").partition(";")[0].strip().lower()
    return ""
