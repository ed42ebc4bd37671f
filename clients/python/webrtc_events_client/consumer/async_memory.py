"""Lets asyncio use any memory, without a wait in its event loop."""

import inspect
from asyncio import to_thread
from typing import cast

from webrtc_events_client.consumer.in_memory import InMemory
from webrtc_events_client.consumer.memory import AsyncMemory, Claim, Event, Memory

__all__ = ["as_async"]


def as_async(memory: Memory | AsyncMemory) -> AsyncMemory:
    """A memory for asyncio: one that is not is called in threads, unless it is in memory anyway."""
    if inspect.iscoroutinefunction(memory.begin):
        return cast(AsyncMemory, memory)
    return _Direct(memory) if isinstance(memory, InMemory) else _Threaded(cast(Memory, memory))


class _Direct:
    def __init__(self, memory: InMemory) -> None:
        self._memory = memory

    async def begin(self, event: Event, now: float) -> Claim:
        return self._memory.begin(event, now)

    async def done(self, claim: Claim, now: float) -> None:
        self._memory.done(claim, now)

    async def abandon(self, claim: Claim) -> None:
        self._memory.abandon(claim)


class _Threaded:
    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def begin(self, event: Event, now: float) -> Claim:
        return await to_thread(self._memory.begin, event, now)

    async def done(self, claim: Claim, now: float) -> None:
        await to_thread(self._memory.done, claim, now)

    async def abandon(self, claim: Claim) -> None:
        await to_thread(self._memory.abandon, claim)
