"""Answers in JSON; errors as CAMARA's ErrorInfo."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from webrtc_events.contract.webrtc_events_types import ErrorInfo
from webrtc_events.core.errors import ServiceError

# Source: webrtc-events-subscriptions.yaml, ErrorInfo. A longer message helps nobody elsewhere either.
_MAX_MESSAGE_CHARACTERS = 512

__all__ = ["error_info", "error_response", "json_response"]


def error_info(error: ServiceError) -> ErrorInfo:
    message = error.message
    if len(message) > _MAX_MESSAGE_CHARACTERS:
        message = f"{message[: _MAX_MESSAGE_CHARACTERS - 3]}..."
    return {"status": error.status, "code": error.code, "message": message}


def error_response(error: ServiceError) -> Response:
    return json_response(error_info(error), error.status, error.headers)


def json_response(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(json.dumps(content), status, headers, "application/json")
