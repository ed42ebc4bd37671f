"""A step that an event loop awaits ends as one that is run, whatever happens on its way."""

import asyncio
import dataclasses
import time

import pytest

from tests.harness.builders import created, invitation
from tests.harness.valkeys import ValkeyServer
from tests.store.singles import Threads
from webrtc_events.core.errors import Unreachable
from webrtc_events.store.appends import AppendResult
from webrtc_events.store.awaited_steps import run_step
from webrtc_events.store.script_steps import ScriptStep
from webrtc_events.store.store import Store


@pytest.fixture
def store(own_store: Store) -> Store:
    created(own_store)
    return own_store


@pytest.fixture
def threads() -> Threads:
    return Threads()


def step_of(store: Store, number: int, payload: str = "") -> ScriptStep[list[AppendResult | None]]:
    event = invitation(number)
    step = store.events.step([dataclasses.replace(event, payload=payload or event.payload)])
    assert step is not None
    return step


def done(results: list[AppendResult | None]) -> list[tuple[bool, int]]:
    return [(result.new, result.subscriptions) for result in results if result is not None]


def test_the_first_is_done_in_a_thread_and_the_next_on_the_loop(store: Store, threads: Threads) -> None:
    async def steps() -> list[list[AppendResult | None]]:
        return [await run_step(step_of(store, number), threads) for number in (1, 2, 3)]

    assert [done(found) for found in asyncio.run(steps())] == [[(True, 1)]] * 3
    assert threads.count == 1


def test_the_loop_goes_on_meanwhile(store: Store, own_server: ValkeyServer, threads: Threads) -> None:
    async def steps() -> list[AppendResult | None]:
        await run_step(step_of(store, 1), threads)
        own_server.pause()
        task = asyncio.ensure_future(run_step(step_of(store, 2), threads))
        # While nothing answers, others have their turns.
        for _ in range(100):
            await asyncio.sleep(0)
        assert not task.done()
        own_server.resume()
        return await task

    assert done(asyncio.run(steps())) == [(True, 1)]
    assert threads.count == 1


def test_what_does_not_fit_into_the_socket_is_sent_by_a_thread(store: Store, threads: Threads) -> None:
    async def steps() -> list[AppendResult | None]:
        await run_step(step_of(store, 1), threads)
        return await run_step(step_of(store, 2, payload="x" * 16_000_000), threads)

    assert done(asyncio.run(steps())) == [(True, 1)]
    assert threads.count == 2


def test_the_answer_to_one_that_was_cancelled_is_nobody_elses(
    store: Store, own_server: ValkeyServer, threads: Threads
) -> None:
    async def steps() -> list[AppendResult | None]:
        await run_step(step_of(store, 1), threads)
        own_server.pause()
        task = asyncio.ensure_future(run_step(step_of(store, 2), threads))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        own_server.resume()
        # A repeat of what came: were it answered by what was meant for the other, it would be new.
        return await run_step(step_of(store, 1), threads)

    assert done(asyncio.run(steps())) == [(False, 0)]


def test_a_loop_that_was_held_up_takes_what_has_come(store: Store, threads: Threads) -> None:
    async def steps() -> list[AppendResult | None]:
        await run_step(step_of(store, 1), threads)
        step = step_of(store, 2)
        step.timeout_s = 0.2
        task = asyncio.ensure_future(run_step(step, threads))
        await asyncio.sleep(0)
        # It is answered within a ms, and nobody looks until its time is over.
        time.sleep(0.3)
        return await task

    assert done(asyncio.run(steps())) == [(True, 1)]
    assert threads.count == 1


def test_a_store_that_does_not_answer_in_time_is_unreachable(
    store: Store, own_server: ValkeyServer, threads: Threads
) -> None:
    async def steps() -> None:
        await run_step(step_of(store, 1), threads)
        own_server.pause()
        try:
            await run_step(step_of(store, 2), threads)
        finally:
            own_server.resume()

    with pytest.raises(Unreachable):
        asyncio.run(steps())


def test_what_is_not_the_protocol_is_raised(
    store: Store, threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> bool:
        raise RuntimeError("not the protocol")

    async def steps() -> None:
        await run_step(step_of(store, 1), threads)
        monkeypatch.setattr("webrtc_events.store.redis.begun.Begun.receive", broken)
        await run_step(step_of(store, 2), threads)

    with pytest.raises(RuntimeError, match="not the protocol"):
        asyncio.run(steps())
    monkeypatch.undo()
    # On another connection.
    assert done(asyncio.run(run_step(step_of(store, 1), threads))) == [(False, 0)]
