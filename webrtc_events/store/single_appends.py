"""Events that come one by one, each accepted together with those that came meanwhile."""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from contextvars import Context
from copy import copy
from functools import partial

from webrtc_events.core.errors import Unavailable, Unreachable
from webrtc_events.core.model import NetworkEvent
from webrtc_events.store.appends import AppendResult
from webrtc_events.store.awaited_steps import InThread, run_step
from webrtc_events.store.event_runs import MAX_EVENTS
from webrtc_events.store.events import NetworkEvents

__all__ = ["SingleAppends"]

log = logging.getLogger(__name__)

_Waiting = tuple[NetworkEvent, "asyncio.Future[AppendResult | None]"]


class SingleAppends:
    """One step with the store is under way at a time: what comes until it is done goes with the next.

    So an event that comes alone waits for nobody, and many that come at once cost less each. What a step
    does not do is done for that event alone, in a thread. For use on one event loop at a time.
    """

    def __init__(self, events: NetworkEvents, in_thread: InThread) -> None:
        self._events = events
        self._in_thread = in_thread
        self._enter(None)

    def _enter(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Who waited on the loop before is gone with it."""
        self._loop = loop
        self._waiting: deque[_Waiting] = deque()
        self._under_way: asyncio.Task[None] | None = None

    async def append(self, event: NetworkEvent) -> AppendResult:
        """What `NetworkEvents.accept` says of it.

        Raises:
            Unavailable: some outbox may lack it. To give it again completes it.
        """
        result = await self._with_others(event)
        if result is None:
            (result,) = await self._in_thread(partial(self._events.accept, [event]))
        elif result.device is not None:
            result = await self._in_thread(partial(self._events.complete, event, result))
        return result

    async def _with_others(self, event: NetworkEvent) -> AppendResult | None:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._enter(loop)
        future: asyncio.Future[AppendResult | None] = loop.create_future()
        self._waiting.append((event, future))
        if self._under_way is None:
            # Of no request: what it logs is of all whose events it appends.
            self._under_way = loop.create_task(self._append_all(), context=Context())
        try:
            return await future
        finally:
            # An error's traceback has this frame, and the future has the error.
            del future

    async def _append_all(self) -> None:
        try:
            while self._waiting:
                await self._append_some()
        finally:
            self._under_way = None

    async def _append_some(self) -> None:
        """Some of those that wait, the first of them at least."""
        taken = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_EVENTS))]
        try:
            step = self._events.step([event for event, _ in taken])
            if step is None and len(taken) > 1:
                # It may be for what they are together.
                self._waiting.extendleft(reversed(taken[1:]))
                del taken[1:]
                step = self._events.step([taken[0][0]])
            results: list[AppendResult | None] = [None]
            if step is not None:
                results = await run_step(step, self._in_thread)
        except Unreachable as error:
            # Who came meanwhile need not wait for it once more.
            _fail([*taken, *self._waiting], error)
            self._waiting.clear()
        except Exception as error:
            if len(taken) == 1:
                _fail(taken, error)
                return
            if not isinstance(error, Unavailable):
                log.warning("%d events are appended one by one after an error", len(taken), exc_info=True)
            # Each alone says whose error it is, and it harms no other.
            _set(taken, [None] * len(taken))
        else:
            _set(taken, results)


def _set(waiting: Sequence[_Waiting], results: Sequence[AppendResult | None]) -> None:
    for (_, future), result in zip(waiting, results, strict=True):
        # Who asked may be gone.
        if not future.done():
            future.set_result(result)


def _fail(waiting: Sequence[_Waiting], error: Exception) -> None:
    """Each gets an error of its own, which takes a way of its own."""
    for _, future in waiting:
        if not future.done():
            own = copy(error)
            own.__cause__ = error
            future.set_exception(own)
