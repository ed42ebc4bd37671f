"""Carry flows out over httpx2: one for threads, one for asyncio."""

import asyncio
import inspect
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import httpx2

from webrtc_events_client import __version__
from webrtc_events_client.client.errors import AnswerLost, ClientError, NotConnected, UnexpectedAnswer
from webrtc_events_client.client.flows import Ask, Call, Flow, Send, Step, TakeToken, Wait, perform
from webrtc_events_client.client.messages import Answer, Request
from webrtc_events_client.client.options import LIMITS, Options
from webrtc_events_client.client.tokens import TokenSource

__all__ = ["AsyncDriver", "Driver"]

T = TypeVar("T")

# Nothing was sent: the connection was not there yet.
_BEFORE_SENDING = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
    httpx2.InvalidURL,
)


class _Body:
    """Collects the pieces of a body, as large and as slow as they may be."""

    def __init__(self, status: int, options: Options, send: Send) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._status = status
        self._options = options
        self._send = send
        self._deadline_s = options.clock.monotonic() + options.timeout_s

    def add(self, piece: bytes) -> None:
        """
        Raises:
            UnexpectedAnswer: it is larger than `max_answer_bytes`.
            AnswerLost: it comes more slowly than `timeout_s` allows.
        """
        self._size += len(piece)
        self._pieces.append(piece)
        if self._size > self._options.max_answer_bytes:
            raise UnexpectedAnswer(
                f"an answer of more than {self._options.max_answer_bytes} bytes",
                status=self._status,
                correlator=self._send.correlator,
            )
        if self._options.clock.monotonic() > self._deadline_s:
            raise AnswerLost("the answer did not end in time", correlator=self._send.correlator)

    def whole(self) -> bytes:
        return b"".join(self._pieces)


class Driver:
    """Threads may share it. `close` ends its connections."""

    def __init__(self, options: Options, tokens: TokenSource) -> None:
        self._options = options
        self._context = options.context()
        self._tokens = tokens
        self._token_lock = threading.Lock()
        self._http = httpx2.Client(
            verify=options.tls(), timeout=options.timeouts(), limits=LIMITS, follow_redirects=False
        )

    def run(self, flow: Flow[T]) -> T:
        """
        Raises:
            ClientError: as the flow does.
        """
        advance: Callable[[Any], Step] = flow.send
        given: Answer | str | ClientError | None = None
        try:
            while True:
                try:
                    step = advance(given)
                except StopIteration as end:
                    value: T = end.value
                    return value
                try:
                    advance, given = flow.send, self._do(step)
                except ClientError as error:
                    advance, given = flow.throw, error
        finally:
            flow.close()

    def perform(self, call: Call[T]) -> T:
        return self.run(perform(call, self._context))

    def close(self) -> None:
        self._http.close()

    def _do(self, step: Step) -> Answer | str | None:
        match step:
            case Send():
                return self._sent(step)
            case Wait(seconds):
                self._options.clock.sleep(seconds)
                return None
            case TakeToken(refused):
                # One thread renews it; the others get what it got.
                with self._token_lock:
                    return self.run(self._tokens.token(refused, self._context))
            case Ask(function):
                return _text(function())

    def _sent(self, send: Send) -> Answer:
        try:
            request = _http_request(self._http, send.request)
            response = self._http.send(request, stream=True)
            try:
                body = _Body(response.status_code, self._options, send)
                for piece in response.iter_raw():
                    body.add(piece)
            finally:
                response.close()
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise _no_answer(error, send) from error
        return _answer(response, body)


class AsyncDriver:
    """See `Driver`; tasks of one event loop may share it."""

    def __init__(self, options: Options, tokens: TokenSource) -> None:
        self._options = options
        self._context = options.context()
        self._tokens = tokens
        self._token_lock = asyncio.Lock()
        self._http = httpx2.AsyncClient(
            verify=options.tls(), timeout=options.timeouts(), limits=LIMITS, follow_redirects=False
        )

    async def run(self, flow: Flow[T]) -> T:
        """
        Raises:
            ClientError: as the flow does.
        """
        advance: Callable[[Any], Step] = flow.send
        given: Answer | str | ClientError | None = None
        try:
            while True:
                try:
                    step = advance(given)
                except StopIteration as end:
                    value: T = end.value
                    return value
                try:
                    advance, given = flow.send, await self._do(step)
                except ClientError as error:
                    advance, given = flow.throw, error
        finally:
            flow.close()

    async def perform(self, call: Call[T]) -> T:
        return await self.run(perform(call, self._context))

    async def close(self) -> None:
        await self._http.aclose()

    async def _do(self, step: Step) -> Answer | str | None:
        match step:
            case Send():
                return await self._sent(step)
            case Wait(seconds):
                await self._options.clock.sleep_async(seconds)
                return None
            case TakeToken(refused):
                async with self._token_lock:
                    return await self.run(self._tokens.token(refused, self._context))
            case Ask(function):
                text = function()
                return await text if isinstance(text, Awaitable) else text

    async def _sent(self, send: Send) -> Answer:
        try:
            request = _http_request(self._http, send.request)
            response = await self._http.send(request, stream=True)
            try:
                body = _Body(response.status_code, self._options, send)
                async for piece in response.aiter_raw():
                    body.add(piece)
            finally:
                await response.aclose()
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise _no_answer(error, send) from error
        return _answer(response, body)


def _http_request(http: httpx2.Client | httpx2.AsyncClient, request: Request) -> httpx2.Request:
    # What is not compressed cannot grow.
    own = {"User-Agent": f"webrtc-events-client/{__version__}", "Accept-Encoding": "identity"}
    headers = {**own, **request.headers}
    return http.build_request(request.method, request.url, headers=headers, content=request.body or None)


def _answer(response: httpx2.Response, body: _Body) -> Answer:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status_code, headers, body.whole())


def _no_answer(error: httpx2.HTTPError | httpx2.InvalidURL, send: Send) -> ClientError:
    """Its text is httpx2's, which names neither headers nor bodies."""
    text = f"{send.request.method} {send.request.url}: {type(error).__name__} {error}".rstrip()
    if not isinstance(error, _BEFORE_SENDING):
        return AnswerLost(text, correlator=send.correlator)
    missed = NotConnected(text, correlator=send.correlator)
    # A wrong address and a certificate that is not trusted stay what they are.
    missed.transient = not isinstance(error, httpx2.InvalidURL | httpx2.UnsupportedProtocol) and not any(
        isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error)
    )
    return missed


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _text(text: str | Awaitable[str]) -> str:
    if not isinstance(text, str):
        if inspect.iscoroutine(text):
            text.close()
        raise TypeError("the sync client takes no async function for its access tokens")
    return text
