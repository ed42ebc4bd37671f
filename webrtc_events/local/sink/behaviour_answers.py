"""The answer that a behaviour asks for, as Flask gives it; a misbehaviour is noted for the server."""

import json
from http import HTTPStatus

from flask import Response, request

from webrtc_events.local.sink.behaviours import Behaviour, Misbehaviour
from webrtc_events.local.sink.misbehaving import note

__all__ = ["behaved"]


def behaved(behaviour: Behaviour) -> Response:
    """An answer within a request to the sink."""
    if isinstance(behaviour.answer, Misbehaviour):
        note(request.environ["asgi.scope"], behaviour.answer)
        # Nobody gets to see it.
        return Response(status=204)
    response = Response(status=behaviour.answer)
    if behaviour.answer >= 400:
        response.data = json.dumps(_error_info(behaviour.answer))
        response.content_type = "application/json"
    if behaviour.retry_after_s is not None:
        response.headers["Retry-After"] = str(behaviour.retry_after_s)
    return response


def _error_info(status: int) -> dict[str, str | int]:
    """Source: webrtc-events.yaml, ErrorInfo."""
    try:
        code = HTTPStatus(status).name
    except ValueError:
        code = "UNKNOWN"
    return {"status": status, "code": code, "message": "A behaviour of the local sink at this path."}
