"""Which error a failed request is answered with, and what the log says of it.

Sources: CAMARA API Design Guide, section 3; RFC 6750 (bearer tokens), section 3.
"""

import logging
from collections.abc import Mapping
from typing import Any

import werkzeug.exceptions
from connexion.exceptions import ProblemException
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from webrtc_events.core.clock import Clock
from webrtc_events.core.errors import (
    DamagedRecord,
    InsufficientScope,
    Internal,
    InvalidArgument,
    InvalidToken,
    ServiceError,
    Unavailable,
    by_status,
)
from webrtc_events.core.log_limit import LineLimit

__all__ = ["Failures"]

# Of a path, which is the client's.
_SHOWN_CHARACTERS = 200

_logger = logging.getLogger(__name__)


class Failures:
    """Logs what an operator must know: why a token was refused, and every 5xx.

    Each kind of line has a maximum a minute: whoever sends bad tokens must not fill the
    disk, nor an outage under load.
    """

    def __init__(self, clock: Clock) -> None:
        self._limit = LineLimit(clock)

    def answer(self, error: Exception, scope: Mapping[str, Any]) -> ServiceError:
        """The error to answer `error` with. To be called once for a request, on the event loop.

        A framework's own words are not passed on: they may repeat what the request held.
        """
        answer = _answer(error)
        match answer:
            case InvalidToken(fault=fault, detail=detail):
                self._log(logging.INFO, f"token {fault}", "access token refused (%s): it %s", fault, detail)
            case InsufficientScope(message=message):
                self._log(logging.INFO, "scope", "%s refused: %s", _asked(scope), message)
            case Unavailable(message=message):
                cause = error.__cause__ or message
                kind = f"unavailable {type(cause).__name__}"
                self._log(logging.WARNING, kind, "%s answered 503: %s", _asked(scope), cause)
            case DamagedRecord(name=name, why=why):
                record = f"subscription={name}" if name else "a stored record"
                message = "%s answered 500: %s is damaged: %s. Find it: webrtc-events damaged list"
                self._log(logging.ERROR, "damaged", message, _asked(scope), record, why)
            case Internal():
                name = type(error).__name__
                self._log(
                    logging.ERROR, f"bug {name}", "%s failed by a bug: %s", _asked(scope), name, error=error
                )
            case ServiceError(status=status) if status >= 500:
                self._log(logging.ERROR, f"answered {status}", "%s answered %d", _asked(scope), status)
        return answer

    def cut(self, error: Exception) -> None:
        """Logs that an answer ended in its middle. To be called on the event loop."""
        name = type(error).__name__
        if isinstance(error, ServiceError):
            cause = error.__cause__ or error.message
            self._log(logging.WARNING, f"cut {name}", "an answer that had begun was cut off: %s", cause)
        else:
            message = "an answer that had begun was cut off by a bug: %s"
            self._log(logging.ERROR, f"cut bug {name}", message, name, error=error)

    def _log(self, level: int, kind: str, message: str, *args: Any, error: Exception | None = None) -> None:
        left_out = self._limit.admit(kind)
        if left_out is None:
            return
        if left_out:
            message, args = f"{message} (%d like it were not logged)", (*args, left_out)
        _logger.log(level, message, *args, exc_info=error)


def _answer(error: Exception) -> ServiceError:
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, ClientDisconnect):
        return InvalidArgument("The request ended before its body was complete.")
    status = _status(error)
    return Internal() if status is None or status >= 500 else by_status(status)


def _status(error: Exception) -> int | None:
    if isinstance(error, ProblemException):
        return int(error.status)
    if isinstance(error, HTTPException):
        return error.status_code
    return error.code if isinstance(error, werkzeug.exceptions.HTTPException) else None


def _asked(scope: Mapping[str, Any]) -> str:
    # An upgrade to a WebSocket is a GET, and its scope does not say so.
    return f"{scope.get('method', 'GET')} {scope.get('path', '')[:_SHOWN_CHARACTERS]}"
