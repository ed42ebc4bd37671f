"""The outermost ASGI layer: what holds for every request and every answer.

Sources: CAMARA API design guide, sections 3 (errors) and 5 (x-correlator).
"""

from collections.abc import Callable, Mapping
from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from webrtc_events.api.bodies import Bodies
from webrtc_events.api.failures import Failures
from webrtc_events.api.request_log import RequestLog
from webrtc_events.api.responses import error_response
from webrtc_events.api.websockets import REFUSED_WITH
from webrtc_events.contract.validators import Validator
from webrtc_events.core.clock import Clock
from webrtc_events.core.errors import InvalidArgument
from webrtc_events.core.random_uuids import random_uuids
from webrtc_events.core.request_context import entered_request
from webrtc_events.telemetry.families import OTHER, UNKNOWN
from webrtc_events.telemetry.request_counts import RequestCounts

__all__ = ["Middleware"]

_HEADER = b"x-correlator"
_HEADS = frozenset({"http.response.start", "websocket.http.response.start", "websocket.accept"})


class Middleware:
    """Adds x-correlator, limits bodies (bodies.py), and turns what nobody caught into an ErrorInfo.

    `limits` maps a path prefix to the largest body, in bytes; `default_limit` holds for
    other paths. `correlator` validates what a client may send as x-correlator. `lifespan`
    gets the server's start and stop, `websockets` whoever asks for a WebSocket. What is logged for a
    request carries its x-correlator. `log` None: requests have no line in the log. `counts` counts them.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        lifespan: ASGIApp,
        websockets: ASGIApp,
        correlator: Validator,
        failures: Failures,
        limits: Mapping[str, int],
        default_limit: int,
        clock: Clock,
        counts: RequestCounts,
        log: RequestLog | None = None,
    ) -> None:
        self._app = app
        self._lifespan = lifespan
        self._websockets = websockets
        self._correlator = correlator
        self._failures = failures
        self._correlators = random_uuids()
        self._limits = [(f"{prefix}/", limit) for prefix, limit in limits.items()]
        self._default_limit = default_limit
        self._now_s = clock.monotonic
        self._counts = counts
        self._log = log
        self._bodies = Bodies()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        else:
            await self._asked(scope, receive, send)

    async def _asked(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = [value.decode("latin-1") for name, value in scope["headers"] if name == _HEADER and value]
        valid = len(given) == 1 and self._correlator.is_valid(given[0])
        correlator = given[0] if valid else next(self._correlators)
        came_s = self._now_s()
        with entered_request(correlator, scope["headers"]) as context:

            def note(status: int) -> None:
                name = context.operation or (OTHER if context.path else UNKNOWN)
                self._counts.note(name, status, self._now_s() - came_s, context.api)

            answer = _Answer(send, correlator, note)
            try:
                await self._answered(scope, receive, answer, valid=valid or not given)
            finally:
                if self._log is not None:
                    # A WebSocket begins with a GET.
                    method = scope.get("method", "GET")
                    self._log.finished(method, context, answer.status, self._now_s() - came_s)

    async def _answered(self, scope: Scope, receive: Receive, answer: "_Answer", *, valid: bool) -> None:
        """`valid`: the x-correlator is, if there is one."""
        try:
            if not valid:
                raise InvalidArgument("x-correlator: the value does not match its pattern.")
            _check_path(scope)
            if scope["type"] == "websocket":
                await self._websockets(scope, receive, answer.send)
            else:
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
        self.status: int | None = None

    @property
    def started(self) -> bool:
        return self.status is not None

    async def send(self, message: Message) -> None:
        if message["type"] in _HEADS:
            # A WebSocket that is accepted is 101, unless it was only to say why there will be none.
            self.status = status = message.get("status", message.get(REFUSED_WITH, 101))
            self._note(status)
            dropped = {_HEADER} | ({b"content-type"} if status == 204 else set())
            headers = [
                (name, value) for name, value in message.get("headers", []) if name.lower() not in dropped
            ]
            headers.append((_HEADER, self._correlator.encode("latin-1")))
            message = {**message, "headers": headers}
            message.pop(REFUSED_WITH, None)
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
