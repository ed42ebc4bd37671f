"""The endpoint of a Starlette application, so of FastAPI too."""

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from webrtc_events_client.consumer.receiver import AsyncReceiver

__all__ = ["respond"]


async def respond(receiver: AsyncReceiver, request: Request) -> Response:
    """The answer to a request; for a route with the methods POST and OPTIONS.

    ASGI does not say whether a URL ended in a `?` with nothing behind it: let no sink's URL end so.
    """
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > receiver.max_body:
            break
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
    answer = await receiver.receive(request.method, _sent_target(request), headers, bytes(body))
    response = Response(answer.body, answer.status)
    for name, value in answer.headers:
        response.headers[name] = value
    return response


def _sent_target(request: Request) -> str:
    path = request.scope.get("raw_path") or quote(request.scope["path"]).encode()
    query = request.scope["query_string"]
    return str((path + (b"?" + query if query else b"")).decode("latin-1"))
