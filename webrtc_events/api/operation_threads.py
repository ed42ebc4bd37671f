"""Threads that run what blocks, and give the event loop what it returned.

As `run_in_executor`, without a future of the thread beside that of the loop, and without locks around each.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, copy_context
from queue import SimpleQueue
from typing import Any, TypeVar

__all__ = ["OperationThreads"]

log = logging.getLogger(__name__)

_T = TypeVar("_T")

_Job = tuple["asyncio.Future[Any]", Context, Callable[[], Any]]
_Result = tuple["asyncio.Future[Any]", Any, BaseException | None]


class OperationThreads:
    """At most `max_threads`, each of which is started once there is more to do than there are.

    They end with the process, which does not wait for them. For use on one event loop at a time.
    """

    def __init__(self, max_threads: int) -> None:
        self._max_threads = max_threads
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        self._started = 0
        self._enter(None)

    def _enter(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """What came too late for the loop before is for nobody."""
        self._loop = loop
        self._under_way = 0
        self._results: deque[_Result] = deque()
        self._is_called = False

    async def run(self, work: Callable[[], _T]) -> _T:
        """What `work` returns, or raises, in a thread. It has the context variables of the caller."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._enter(loop)
        future: asyncio.Future[_T] = loop.create_future()
        self._see_to_threads()
        self._under_way += 1
        self._jobs.put((future, copy_context(), work))
        try:
            return await future
        finally:
            # An error's traceback has this frame, and the future has the error.
            del future

    def _see_to_threads(self) -> None:
        """One more, if there are fewer than what is under way with one that is about to come.

        Raises:
            RuntimeError: the system lets no thread be started, and there is none.
        """
        if self._started > min(self._under_way, self._max_threads - 1):
            return
        thread = threading.Thread(target=self._work, name=f"operation_{self._started + 1}", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            if not self._started:
                raise
            log.warning("no thread can be started beside %d others", self._started)
        else:
            self._started += 1

    def _work(self) -> None:
        while True:
            future, context, work = self._jobs.get()
            result: Any = None
            error: BaseException | None = None
            try:
                # Who asked may be gone before it began.
                if not future.cancelled():
                    result = context.run(work)
            except StopIteration as raised:
                # No future takes it; in a coroutine it becomes this too.
                error = RuntimeError("StopIteration was raised")
                error.__cause__ = raised
            except BaseException as raised:  # noqa: BLE001 (whatever it is, it is raised where it is awaited)
                error = raised
            self._give(future, result, error)
            # What came of it is not held until the next.
            del future, context, work, result, error

    def _give(self, future: "asyncio.Future[Any]", result: Any, error: BaseException | None) -> None:
        loop = future.get_loop()
        if loop is not self._loop or loop.is_closed():
            return
        # In this order: a call that has not begun takes this too.
        self._results.append((future, result, error))
        if not self._is_called:
            self._is_called = True
            # The loop may be closed by now.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._hand_out)

    def _hand_out(self) -> None:
        """On the event loop: all that has come, for one call of it."""
        self._is_called = False
        while self._results:
            future, result, error = self._results.popleft()
            self._under_way -= 1
            if future.cancelled():
                continue
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
