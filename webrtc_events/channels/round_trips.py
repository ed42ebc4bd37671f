"""Questions of many to the store that go there together, in one round trip after the other."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any, Generic, TypeVar

__all__ = ["RoundTrips"]

_Q = TypeVar("_Q")
_A = TypeVar("_A")


class RoundTrips(Generic[_Q, _A]):
    """For use on one event loop. `ask` blocks, and gives an answer for each question, in their order.

    It runs in one of `threads` once a time, for at most `max_questions`, or those of one who has more.
    """

    def __init__(
        self, ask: Callable[[Sequence[_Q]], Sequence[_A]], threads: Executor, max_questions: int
    ) -> None:
        self._ask = ask
        self._threads = threads
        self._max_questions = max_questions
        self._waiting: dict[asyncio.Future[list[_A]], Sequence[_Q]] = {}
        self._is_under_way = False

    async def answers(self, questions: Sequence[_Q]) -> list[_A]:
        """What `ask` gives, or raises: what others want to know meanwhile is asked with it."""
        future: asyncio.Future[list[_A]] = asyncio.get_running_loop().create_future()
        self._waiting[future] = questions
        if not self._is_under_way:
            self._set_out()
        return await future

    def _set_out(self) -> None:
        under_way: dict[asyncio.Future[list[_A]], Sequence[_Q]] = {}
        questions: list[_Q] = []
        while self._waiting and len(questions) < self._max_questions:
            future = next(iter(self._waiting))
            under_way[future] = self._waiting.pop(future)
            questions += under_way[future]
        self._is_under_way = True
        asked = asyncio.get_running_loop().run_in_executor(self._threads, self._ask, questions)
        asked.add_done_callback(lambda done: self._hand_out(under_way, done))

    def _hand_out(
        self, under_way: dict["asyncio.Future[list[_A]]", Sequence[_Q]], done: "asyncio.Future[Any]"
    ) -> None:
        self._is_under_way = False
        error = asyncio.CancelledError() if done.cancelled() else done.exception()
        found = iter(done.result() if error is None else ())
        for future, questions in under_way.items():
            own = [next(found) for _ in questions] if error is None else []
            if future.done():
                continue
            if error is None:
                future.set_result(own)
            else:
                future.set_exception(error)
        if self._waiting:
            self._set_out()
