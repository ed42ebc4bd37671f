"""Events that come one by one, each accepted together with those that came meanwhile."""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from contextvars import Context
from functools import partial

from webrtc_events.core.errors import Unreachable
from webrtc_events.core.model import NetworkEvent
from webrtc_events.store.appends import AppendResult
from webrtc_events.store.awaited_steps import InThread, run_step
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
        # By the last step.
        self._reached = True

    async def append(self, event: NetworkEvent) -> AppendResult:
        """What `NetworkEvents.accept` says of it.

        Raises:
            Unavailable: some outbox may lack it. To give it again completes it.
        """
        result = await self._with_others(event) if self._events.goes_in_step(event) else None
        if result is None:
            (result,) = await self._in_thread(partial(self._events.accept, [event]))
        elif result.device is not None:
            result = await self._in_thread(partial(self._events.complete, event, result))
        return result

    async def _with_others(self, event: NetworkEvent) -> AppendResult | None:
        """None: it is not done with."""
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
                await self._append_some(self._taken())
        finally:
            self._under_way = None

    def _taken(self) -> list[_Waiting]:
        """Those of the next step, no longer among those that wait. The first of them is one."""
        taken: list[_Waiting] = []
        left: list[_Waiting] = []
        for is_taken in self._events.in_one_step(event for event, _ in self._waiting):
            (taken if is_taken else left).append(self._waiting.popleft())
        self._waiting.extendleft(reversed(left))
        return taken

    async def _append_some(self, taken: Sequence[_Waiting]) -> None:
        results: list[AppendResult | None] = [None] * len(taken)
        try:
            step = self._events.step([event for event, _ in taken])
            results = await run_step(step, self._in_thread)
            self._reached = True
        except Unreachable as error:
            self._fail(taken, error.message)
        except Exception:
            # Who is told nothing here goes on alone: what is wrong with one harms no other.
            log.debug("%d events go on one by one", len(taken), exc_info=True)
        finally:
            for (_, future), result in zip(taken, results, strict=True):
                # Who asked may be gone.
                if not future.done():
                    future.set_result(result)

    def _fail(self, taken: Sequence[_Waiting], message: str) -> None:
        """A step that is not answered may have met a connection that broke. After two nothing is to be hoped
        for, and who came meanwhile need not wait for a third.
        """
        told = [*taken]
        if not self._reached:
            told += self._waiting
            self._waiting.clear()
        self._reached = False
        for _, future in told:
            if not future.done():
                # Each has a way of its own to take, and a traceback.
                future.set_exception(Unreachable(message))
