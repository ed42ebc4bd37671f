"""Every error as CAMARA's ErrorInfo, whoever raised it."""

import json
import logging
from collections.abc import Mapping
from typing import Any

import werkzeug.exceptions
from connexion.exceptions import ProblemException
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from webrtc_events.errors import Internal, InvalidArgument, ServiceError, by_status

__all__ = ["CORRELATOR", "FRAMEWORK_ERRORS", "error_response", "json_response", "service_error"]

CORRELATOR = "webrtc_events.correlator"
"""Where the ASGI scope holds the request's x-correlator."""

FRAMEWORK_ERRORS = (ProblemException, HTTPException, werkzeug.exceptions.HTTPException)

_logger = logging.getLogger(__name__)


def service_error(error: Exception, scope: Mapping[str, Any]) -> ServiceError:
    """The error to answer `error` with; one that nobody expected is logged.

    A framework's own words are not passed on: they may repeat what the request held.
    """
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, ClientDisconnect):
        return InvalidArgument("The request ended before its body was complete.")
    status = _status(error)
    if status is not None and status < 500:
        return by_status(status)
    _logger.error(
        "%s %s failed, x-correlator %s",
        scope.get("method"),
        scope.get("path"),
        scope.get(CORRELATOR),
        exc_info=error,
    )
    return Internal()


def _status(error: Exception) -> int | None:
    if isinstance(error, ProblemException):
        return int(error.status)
    if isinstance(error, HTTPException):
        return error.status_code
    return error.code if isinstance(error, werkzeug.exceptions.HTTPException) else None


def error_response(error: ServiceError) -> Response:
    return json_response(error.info(), error.status, error.headers)


def json_response(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(json.dumps(content), status, headers, "application/json")
