"""The outermost ASGI layer: what holds for every request and every answer.

Sources: CAMARA API design guide, sections 3 (errors) and 5 (x-correlator).
"""

from collections.abc import Callable, Mapping
from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from webrtc_events.api.bodies import Bodies
from webrtc_events.api.failures import Failures
from webrtc_events.api.responses import error_response
from webrtc_events.contract.validators import Validator
from webrtc_events.core.clock import Clock
from webrtc_events.core.errors import InvalidArgument
from webrtc_events.core.random_uuids import random_uuids
from webrtc_events.core.request_context import entered_request
from webrtc_events.telemetry.families import UNKNOWN
from webrtc_events.telemetry.request_counts import OPERATION, RequestCounts

__all__ = ["Middleware"]

_HEADER = b"x-correlator"


class Middleware:
    """Adds x-correlator, limits bodies (bodies.py), and turns what nobody caught into an ErrorInfo.

    `limits` maps a path prefix to the largest body, in bytes; `default_limit` holds for
    other paths. `correlator` validates what a client may send as x-correlator. `lifespan`
    gets the server's start and stop. What is logged for a request carries its x-correlator. `requests` counts
    them.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        lifespan: ASGIApp,
        correlator: Validator,
        failures: Failures,
        limits: Mapping[str, int],
        default_limit: int,
        requests: RequestCounts,
        clock: Clock,
    ) -> None:
        self._app = app
        self._requests = requests
        self._now_s = clock.monotonic
        self._lifespan = lifespan
        self._correlator = correlator
        self._failures = failures
        self._correlators = random_uuids()
        self._limits = [(f"{prefix}/", limit) for prefix, limit in limits.items()]
        self._default_limit = default_limit
        self._bodies = Bodies()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = [value.decode("latin-1") for name, value in scope["headers"] if name == _HEADER and value]
        valid = len(given) == 1 and self._correlator.is_valid(given[0])
        correlator = given[0] if valid else next(self._correlators)
        came_s = self._now_s()

        def note(status: int) -> None:
            self._requests.note(scope.get(OPERATION, UNKNOWN), status, self._now_s() - came_s)

        with entered_request(correlator):
            await self._answered(scope, receive, _Answer(send, correlator, note), valid=valid or not given)

    async def _answered(self, scope: Scope, receive: Receive, answer: "_Answer", *, valid: bool) -> None:
        """`valid`: the x-correlator is, if there is one."""
        try:
            if not valid:
                raise InvalidArgument("x-correlator: the value does not match its pattern.")
            _check_path(scope)
            with self._bodies.watched(scope, receive, self._limit(scope["path"])) as watched:
                await self._app(scope, watched, answer.send)
        except Exception as error:
            failure = self._failures.answer(error, scope)
            if answer.started:
                raise
            await error_response(failure)(scope, receive, answer.send)

    def _limit(self, path: str) -> int:
        for prefix, limit in self._limits:
            if path.startswith(prefix):
                return limit
        return self._default_limit


class _Answer:
    """The way back to the client. `note` is given the status of the answer when it begins."""

    def __init__(self, send: Send, correlator: str, note: Callable[[int], None]) -> None:
        self._send = send
        self._correlator = correlator
        self._note = note
        self.started = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            self._note(message["status"])
            dropped = {_HEADER} | ({b"content-type"} if message["status"] == 204 else set())
            headers = [
                (name, value) for name, value in message.get("headers", []) if name.lower() not in dropped
            ]
            headers.append((_HEADER, self._correlator.encode("latin-1")))
            message = {**message, "headers": headers}
        await self._send(message)


def _check_path(scope: Scope) -> None:
    """Bytes that are no UTF-8 were replaced on the way here: two paths would look like one."""
    path: bytes = scope["raw_path"]
    if b"%" not in path and path.isascii():
        return
    try:
        unquote_to_bytes(path).decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidArgument("The path is not UTF-8.") from None
