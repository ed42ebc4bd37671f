import asyncio
import contextlib
import gc
import threading
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import Any

import pytest

from webrtc_events.api.operation_threads import OperationThreads

_VARIABLE: ContextVar[str] = ContextVar("variable", default="none")


def run(threads: OperationThreads, *works: Callable[[], Any]) -> list[Any]:
    async def gathered() -> list[Any]:
        return list(await asyncio.gather(*map(threads.run, works), return_exceptions=True))

    return asyncio.run(asyncio.wait_for(gathered(), 30))


def test_each_gets_what_its_function_returned_or_raised() -> None:
    def fail() -> None:
        raise KeyError("x")

    def stop() -> None:
        raise StopIteration

    found = run(OperationThreads(4), lambda: 1, fail, lambda: None, stop, lambda: "a")
    assert found[0::2] == [1, None, "a"]
    assert isinstance(found[1], KeyError)
    assert isinstance(found[3], RuntimeError)
    assert isinstance(found[3].__cause__, StopIteration)


def test_none_is_lost_of_many_that_end_at_once() -> None:
    threads = OperationThreads(16)
    numbers = range(20_000)
    assert run(threads, *(lambda number=number: number for number in numbers)) == list(numbers)  # type: ignore[misc]


def test_no_more_run_at_once_than_there_may_be_threads() -> None:
    threads = OperationThreads(3)
    lock, running, highest = threading.Lock(), 0, 0
    all_there = threading.Barrier(3)

    def work() -> int:
        nonlocal running, highest
        with lock:
            running += 1
            highest = max(highest, running)
        # Three must be at work at once for this to pass, so there are not fewer either.
        all_there.wait(30)
        with lock:
            running -= 1
        return threading.get_ident()

    names = run(threads, *[work] * 12)
    assert highest == 3
    assert len(set(names)) == 3


def test_one_after_the_other_needs_one_thread() -> None:
    threads = OperationThreads(40)

    async def in_turn() -> set[int]:
        return {await threads.run(threading.get_ident) for _ in range(50)}

    assert len(asyncio.run(in_turn())) == 1


def test_the_callers_context_is_that_of_the_function() -> None:
    async def asked() -> str:
        _VARIABLE.set("set")
        return await OperationThreads(1).run(_VARIABLE.get)

    assert asyncio.run(asked()) == "set"


def test_one_that_is_given_up_before_it_began_does_not_run() -> None:
    threads = OperationThreads(1)
    gate, ran = threading.Event(), []

    async def asked() -> None:
        first = asyncio.create_task(threads.run(lambda: gate.wait(30)))
        given_up = asyncio.create_task(threads.run(lambda: ran.append("given up")))
        await asyncio.sleep(0)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        gate.set()
        assert await first
        await threads.run(lambda: ran.append("next"))

    asyncio.run(asked())
    assert ran == ["next"]


def test_the_next_event_loop_is_served_whatever_the_one_before_left() -> None:
    threads = OperationThreads(2)
    gate = threading.Event()

    async def left() -> None:
        task = asyncio.create_task(threads.run(lambda: gate.wait(30)))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(left())
    gate.set()
    assert run(threads, lambda: 1, lambda: 2) == [1, 2]


class Payload:
    """What an operation was called with."""


def test_an_error_keeps_nothing_of_its_operation() -> None:
    """No circle is left: the collector may come late, and a payload may have megabytes."""
    threads = OperationThreads(1)

    def fail(_: Payload) -> None:
        raise KeyError("x")

    async def failed() -> "weakref.ref[Payload]":
        payload = Payload()
        with contextlib.suppress(KeyError):
            await threads.run(partial(fail, payload))
        return weakref.ref(payload)

    async def kept() -> list[Payload]:
        references = [await failed() for _ in range(5)]
        # A thread lets go of the last once it waits for the next.
        await threads.run(list[int])
        return [payload for reference in references if (payload := reference()) is not None]

    gc.disable()
    try:
        assert asyncio.run(kept()) == []
    finally:
        gc.enable()


def test_threads_that_cannot_be_started_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = OperationThreads(2)
    with monkeypatch.context() as limited:
        limited.setattr(threading.Thread, "start", cannot_start)
        found = run(threads, *[lambda: 1] * 5)
        assert [type(error) for error in found] == [RuntimeError] * 5
    assert run(threads, lambda: 1) == [1]
    with monkeypatch.context() as limited:
        limited.setattr(threading.Thread, "start", cannot_start)
        assert run(threads, lambda: 1, lambda: 2) == [1, 2]
    assert run(threads, *[lambda: 1] * 5) == [1] * 5


def cannot_start(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")
