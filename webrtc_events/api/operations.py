"""Operations of the contracts: a request is checked, its function called, its answer checked.

Connexion has found the operation, by its routing, and the caller, by its security, before one is called here.
What else Connexion does for a request it finds out anew each time: what a function takes, what a document
says. Here that is known from the start.
"""

from collections.abc import Callable, Mapping
from functools import partial
from inspect import Parameter, iscoroutinefunction, signature
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from webrtc_events.api.binding import parameter_name
from webrtc_events.api.operation_threads import OperationThreads
from webrtc_events.api.paging import ArrayPage, PagedArray
from webrtc_events.api.query_parameters import query_values
from webrtc_events.api.streams import EventStream
from webrtc_events.api.validators import ConformingAnswer, check_path_parameters, received_payload
from webrtc_events.contract.openapi import Operation
from webrtc_events.core.errors import NotFound

__all__ = ["BoundOperation", "Operations"]

_JSON = "application/json"
_ENCODER = msgspec.json.Encoder()


class Operations:
    """An ASGI application. `bound` has the operations of each contract by their ids, by the base path.

    Their functions run in `threads`, but coroutines on the event loop; what they log names the request.
    """

    def __init__(
        self, bound: Mapping[str, Mapping[str, "BoundOperation"]], threads: OperationThreads
    ) -> None:
        self._bound = bound
        self._threads = threads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        routing = scope["extensions"]["connexion_routing"]
        operation_id = routing["operation_id"]
        if operation_id is None:
            raise NotFound
        bound = self._bound[routing["api_base_path"]][operation_id]
        arguments = await bound.arguments(scope, receive)
        if bound.is_coroutine:
            response = await bound.awaited(arguments)
        else:
            response = await self._threads.run(partial(bound.call, arguments))
        if isinstance(response, EventStream):
            await response(scope, receive, send)
            return
        if isinstance(response, PagedArray):
            response.read_in(self._threads)
        items = response.items if isinstance(response, ArrayPage | PagedArray) else None
        await response(scope, receive, ConformingAnswer(bound.operation, send, items).send)


class BoundOperation:
    """One operation and its function, which gets by name what binding.py says.

    It returns what the answer holds, or that with a status, or with a status and headers, or a response.
    Without a status that is 200, or 204 for None.
    """

    def __init__(self, operation: Operation, function: Callable[..., Any]) -> None:
        self.operation = operation
        self._function = function
        self._path_arguments = [(name, parameter_name(name)) for name in operation.parameters]
        self._query_arguments = {name: parameter_name(name) for name in operation.query}
        taken = signature(function).parameters.values()
        takes_all = any(parameter.kind is Parameter.VAR_KEYWORD for parameter in taken)
        names = {parameter.name for parameter in taken}
        self.is_coroutine = iscoroutinefunction(function)
        self._takes_payload = takes_all or "payload" in names
        self._takes_payload_bytes = "payload_bytes" in names
        self._takes_caller = takes_all or "caller" in names
        media_types = {media_type for contents in operation.responses.values() for media_type in contents}
        self._media_type = media_types.pop() if len(media_types) == 1 else _JSON

    async def arguments(self, scope: Scope, receive: Receive) -> dict[str, Any]:
        """What the function gets by name, of a request that conforms to the contract.

        Raises:
            InvalidArgument, UnsupportedMediaType: it does not.
        """
        values = scope["path_params"]
        check_path_parameters(self.operation, values)
        arguments = {argument: values[name] for name, argument in self._path_arguments}
        for name, value in query_values(self.operation, scope["query_string"]).items():
            arguments[self._query_arguments[name]] = value
        if self.operation.bodies:
            body, payload = await received_payload(self.operation, scope, receive)
            if body and self._takes_payload:
                arguments["payload"] = payload
            if body and self._takes_payload_bytes:
                arguments["payload_bytes"] = len(body)
        context = scope["extensions"].get("connexion_context", {})
        if self._takes_caller and "caller" in context:
            arguments["caller"] = context["caller"]
        return arguments

    def call(self, arguments: Mapping[str, Any]) -> Response:
        """Calls the function, which may block, and writes what it returns."""
        return self._response(self._function(**arguments))

    async def awaited(self, arguments: Mapping[str, Any]) -> Response:
        """The same for a coroutine function."""
        return self._response(await self._function(**arguments))

    def _response(self, result: Any) -> Response:
        if isinstance(result, Response):
            return result
        content, status, headers = _parts(result)
        text = None if content is None else _ENCODER.encode(content) + b"\n"
        status = status or (204 if text is None else 200)
        return Response(text, status, {"Content-Type": self._media_type, **headers})


def _parts(result: Any) -> tuple[Any, int | None, Mapping[str, str]]:
    """What the answer holds, its status if the function says one, its headers."""
    if not isinstance(result, tuple):
        return result, None, {}
    content, *rest = result
    status = int(rest.pop(0)) if rest and isinstance(rest[0], int) else None
    (headers,) = rest or ({},)
    return content, status, headers
