"""Bodies of requests: how large, how slow, and how many of one client at once.

Sources: RFC 9110, 15.5.9 (408), 15.5.14 (413); RFC 6585, section 4 (429); RFC 9112, 9.6 (closing).
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import Message, Receive, Scope

from webrtc_events.core.errors import (
    ContentTooLarge,
    InvalidArgument,
    RequestTimeout,
    ServiceError,
    TooManyRequests,
)

__all__ = ["Bodies"]

_MAX_DIGITS = 18
_START_S = 10.0
_MIN_BYTES_PER_S = 128 * 1024
# Of the largest body, for all requests of one client that are under way.
_AT_ONCE = 4
_CLOSE = {"Connection": "close"}
# Of a body that is refused: so much, for so long, is still taken from the connection.
_REFUSED_BYTES = 1024 * 1024
_REFUSED_S = 1.0


class Bodies:
    """Watches the bodies of one process. A client is known by its Authorization header as it came."""

    def __init__(self) -> None:
        self._held: Counter[bytes] = Counter()

    @contextmanager
    def watched(self, scope: Scope, receive: Receive, limit: int) -> Iterator[Receive]:
        """What to receive the body by, which is forgotten at the end of the block; `limit` in bytes.

        Raises:
            InvalidArgument: Content-Length is not a number.
            ContentTooLarge: the body is larger than `limit`, or said to be. Its receiver raises it too, and
            RequestTimeout: the body is slower than 10 s and 128 KiB/s.
            TooManyRequests: the client's requests hold more than four times the limit.
        """
        _check_content_length(scope, limit)
        client = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        body = _Body(receive, limit, self._held, client)
        try:
            yield body.receive
        finally:
            body.release()


class _Body:
    def __init__(self, receive: Receive, limit: int, held: Counter[bytes], client: bytes) -> None:
        self._receive = receive
        self._limit = limit
        self._held = held
        self._client = client
        self._complete = False
        self._started_s: float | None = None
        self.size = 0

    async def receive(self) -> Message:
        """Counts what comes, since a chunked body does not say how long it is."""
        if self._complete:
            # What comes now is that the client has gone.
            return await self._receive()
        message = await self._in_time()
        size = len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        self.size += size
        self._held[self._client] += size
        if self.size > self._limit:
            raise await self._refused(ContentTooLarge(headers=_CLOSE))
        if self._held[self._client] > _AT_ONCE * self._limit:
            too_many = "Too many request bodies at once; try again later."
            raise await self._refused(TooManyRequests(too_many, headers=_CLOSE | {"Retry-After": "1"}))
        return message

    def release(self) -> None:
        """What came no longer counts as held."""
        if self.size:
            self._held[self._client] -= self.size
            if self._held[self._client] <= 0:
                del self._held[self._client]
            self.size = 0

    async def _refused(self, error: ServiceError) -> ServiceError:
        """The error, once the client has most likely sent the rest, which nobody keeps.

        A connection that is closed over unread data is reset, and takes its answer with it.
        """
        self.release()
        left = _REFUSED_BYTES
        try:
            async with asyncio.timeout(_REFUSED_S):
                while left > 0 and not self._complete:
                    message = await self._receive()
                    self._complete = not message.get("more_body", False)
                    left -= len(message.get("body", b""))
        except TimeoutError:
            pass
        return error

    async def _in_time(self) -> Message:
        now_s = asyncio.get_running_loop().time()
        if self._started_s is None:
            self._started_s = now_s
        until_s = self._started_s + _START_S + self.size / _MIN_BYTES_PER_S
        try:
            async with asyncio.timeout_at(until_s):
                return await self._receive()
        except TimeoutError:
            raise RequestTimeout(headers=_CLOSE) from None


def _check_content_length(scope: Scope, limit: int) -> None:
    for name, value in scope["headers"]:
        if name == b"content-length":
            if not value.isdigit() or len(value) > _MAX_DIGITS:
                raise InvalidArgument("Content-Length is not a number of bytes.")
            if int(value) > limit:
                raise ContentTooLarge
