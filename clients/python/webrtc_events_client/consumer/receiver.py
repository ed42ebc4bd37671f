"""Receives notifications, in one call that suits any framework: for threads, and for asyncio."""

import logging
from collections.abc import Awaitable, Callable

from webrtc_events_client.consumer.async_memory import as_async
from webrtc_events_client.consumer.errors import ReceiveError
from webrtc_events_client.consumer.in_memory import InMemory
from webrtc_events_client.consumer.keys import AsyncKeySource, KeySource
from webrtc_events_client.consumer.memory import AsyncMemory, Memory
from webrtc_events_client.consumer.messages import Headers, Request, Response
from webrtc_events_client.consumer.parsing import parse_notification
from webrtc_events_client.consumer.reception import (
    ACCEPTED,
    Delivery,
    ReceiverSettings,
    Reception,
    delivery_of,
)

__all__ = ["AsyncReceiver", "Receiver"]

log = logging.getLogger(__name__)


class Receiver:
    """Hands each notification to `handler` once, and answers 204 after it has returned.

    An exception of the handler is raised by `receive`, so that the framework answers 500: the service sends
    the event again. `TryLater`, `Refuse` and `Gone` are answers instead. The service waits for 10 s: what
    takes longer belongs into a queue. If the process dies between the handler and the answer, the event
    comes again, to a handler that has seen it.

    Args:
        handler: called in the thread of the request.
        settings: see `ReceiverSettings`.
        keys: of the service, to verify signatures; None does not look at signatures.
        memory: what was handled; without one, this process alone remembers it.

    Raises:
        ValueError: the settings contradict each other.
    """

    def __init__(
        self,
        handler: Callable[[Delivery], None],
        settings: ReceiverSettings,
        *,
        keys: KeySource | None = None,
        memory: Memory | None = None,
    ) -> None:
        self._handler = handler
        self._reception = Reception(settings, has_keys=keys is not None)
        self._keys = keys
        self._memory = memory or InMemory()
        self.max_body = settings.max_body

    def receive(self, method: str, url: str, headers: Headers, body: bytes) -> Response:
        """The answer to a request.

        Args:
            url: as it was sent, percent-encoded: path and query, or all of it.
            headers: all field lines, or a mapping.
            body: whole, or so much of it that it has more than `max_body` bytes.
        """
        try:
            return self._receive(Request.of(method, url, headers, body))
        except ReceiveError as error:
            _log(error)
            return error.response()

    def _receive(self, request: Request) -> Response:
        reception = self._reception
        if (answer := reception.check(request)) is not None:
            return answer
        if self._keys is not None and reception.signatures is not None:
            kid = reception.signatures.key_id(request)
            reception.signatures.verify(request, kid, self._keys.get(kid))
        notification = parse_notification(request.body)
        claim = self._memory.begin(reception.event_of(notification), reception.now())
        if reception.is_over(claim):
            return ACCEPTED
        try:
            if not reception.is_dropped(claim):
                self._handler(delivery_of(request, notification, claim))
            self._memory.done(claim, reception.now())
        except BaseException:
            self._memory.abandon(claim)
            raise
        return ACCEPTED


class AsyncReceiver:
    """The same for asyncio; `handler` is awaited. A memory that is not for asyncio is called in threads."""

    def __init__(
        self,
        handler: Callable[[Delivery], Awaitable[None]],
        settings: ReceiverSettings,
        *,
        keys: AsyncKeySource | None = None,
        memory: Memory | AsyncMemory | None = None,
    ) -> None:
        self._handler = handler
        self._reception = Reception(settings, has_keys=keys is not None)
        self._keys = keys
        self._memory = as_async(memory or InMemory())
        self.max_body = settings.max_body

    async def receive(self, method: str, url: str, headers: Headers, body: bytes) -> Response:
        """See `Receiver.receive`."""
        try:
            return await self._receive(Request.of(method, url, headers, body))
        except ReceiveError as error:
            _log(error)
            return error.response()

    async def _receive(self, request: Request) -> Response:
        reception = self._reception
        if (answer := reception.check(request)) is not None:
            return answer
        if self._keys is not None and reception.signatures is not None:
            kid = reception.signatures.key_id(request)
            reception.signatures.verify(request, kid, await self._keys.get(kid))
        notification = parse_notification(request.body)
        claim = await self._memory.begin(reception.event_of(notification), reception.now())
        if reception.is_over(claim):
            return ACCEPTED
        try:
            if not reception.is_dropped(claim):
                await self._handler(delivery_of(request, notification, claim))
            await self._memory.done(claim, reception.now())
        except BaseException:
            await self._memory.abandon(claim)
            raise
        return ACCEPTED


def _log(error: ReceiveError) -> None:
    # Strangers can make as many of these as they like.
    log.info("answered %d: %s: %s", error.status, type(error).__name__, error)
