"""Answers in JSON; errors as CAMARA's ErrorInfo."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from webrtc_events.contract.webrtc_events_types import ErrorInfo
from webrtc_events.core.errors import ServiceError

__all__ = ["error_info", "error_response", "json_response"]


def error_info(error: ServiceError) -> ErrorInfo:
    return {"status": error.status, "code": error.code, "message": error.message}


def error_response(error: ServiceError) -> Response:
    return json_response(error_info(error), error.status, error.headers)


def json_response(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(json.dumps(content), status, headers, "application/json")
