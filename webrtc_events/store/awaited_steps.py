"""Steps with the store that an event loop awaits; what may take longer goes on in a thread."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar

from webrtc_events.store.redis.begun import Begun
from webrtc_events.store.script_steps import ScriptStep

__all__ = ["InThread", "run_step"]

T = TypeVar("T")


class InThread(Protocol):
    """What `work` returns, or raises, in a thread."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]: ...


async def run_step(step: ScriptStep[T], in_thread: InThread) -> T:
    """As `step.run`, but the event loop goes on meanwhile, and a thread is asked only where it must be.

    That is where a step cannot be begun without a wait, does not fit into the socket, or is not answered
    cleanly.
    """
    begun = step.begin()
    if begun is None:
        return await in_thread(step.run_and_keep)
    try:
        with _Watch(begun, step.timeout_s) as over:
            begun.send()
            if begun.is_sent and not begun.is_over:
                await over
    except BaseException:
        # Nobody waits any more: what comes is not for the next who uses its connections.
        step.end(begun)
        raise
    if not begun.is_clean:
        return await in_thread(partial(step.run, begun))
    try:
        found, rest = step.finish(begun)
    finally:
        step.end(begun)
    if rest is not None:
        await in_thread(rest)
    return found


class _Watch:
    """Gives a future that is done when nothing more is to come of what was begun.

    That is when all of it is answered, or nothing came for as long as a step may take. What is not the
    protocol of the store is an exception in it.
    """

    def __init__(self, begun: Begun, timeout_s: float) -> None:
        self._begun = begun
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._watched = begun.descriptors

    def __enter__(self) -> "asyncio.Future[None]":
        self._timer = self._loop.call_later(self._timeout_s, self._late)
        for fd in self._watched:
            self._loop.add_reader(fd, self._readable)
        return self._over

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._forget_but(())

    def _readable(self) -> None:
        """Something came, if only a part of an answer: a long one may take its time."""
        self._timer.cancel()
        self._receive()
        if not self._over.done():
            self._timer = self._loop.call_later(self._timeout_s, self._late)

    def _late(self) -> None:
        """Unless this loop was held up itself, and something is there that it did not look at."""
        if self._receive() and not self._over.done():
            self._timer = self._loop.call_later(self._timeout_s, self._late)
        elif not self._over.done():
            self._begun.give_up()
            self._look()

    def _receive(self) -> bool:
        """Takes what has come. Returns whether any answer has."""
        if self._over.done():
            return False
        try:
            came = self._begun.receive()
        except Exception as error:  # noqa: BLE001 (whoever waits is told)
            self._forget_but(())
            self._over.set_exception(error)
            return False
        self._look()
        return came

    def _look(self) -> None:
        """A socket is watched for as long as an answer is to come on it."""
        left = self._begun.descriptors
        self._forget_but(left)
        if not left:
            self._over.set_result(None)

    def _forget_but(self, still: Sequence[int]) -> None:
        for fd in self._watched:
            if fd not in still:
                self._loop.remove_reader(fd)
        self._watched = [fd for fd in self._watched if fd in still]
