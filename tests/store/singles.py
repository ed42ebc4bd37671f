"""What tests of events that come one by one share."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import redis

from tests.harness.builders import invitation
from webrtc_events.core.model import NetworkEvent
from webrtc_events.store.appends import AppendResult
from webrtc_events.store.keys import partition_of, partition_of_subscription
from webrtc_events.store.outbox_entries import parse_entry
from webrtc_events.store.single_appends import SingleAppends
from webrtc_events.store.store import Store

T = TypeVar("T")
P = partition_of("r1", 64)
Found = list[AppendResult | BaseException]


class Threads:
    """Counts what is done in threads."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        self.count += 1
        return asyncio.to_thread(work)


def run(work: Awaitable[T]) -> T:
    async def bounded() -> T:
        return await asyncio.wait_for(work, 60)

    return asyncio.run(bounded())


async def together(singles: SingleAppends, *events: NetworkEvent) -> Found:
    return list(await asyncio.gather(*map(singles.append, events), return_exceptions=True))


def said(found: Found) -> list[tuple[bool, int] | type[BaseException]]:
    return [
        type(result) if isinstance(result, BaseException) else (result.new, result.subscriptions)
        for result in found
    ]


def outbox(raw_store: "redis.Redis", subscription_id: str) -> list[str]:
    """The names of the events that it holds, by their sequence numbers."""
    partition = partition_of_subscription(subscription_id, 64)
    assert partition is not None
    held = raw_store.lrange(partition.outbox(subscription_id), 0, -1)
    entries = [parse_entry(entry).payload for entry in held]
    return ["e" + payload.partition('"sequenceNumber": ')[2].partition("}")[0] for payload in entries]


def ready(store: Store, in_thread: Any = asyncio.to_thread) -> SingleAppends:
    """Once its connections are there."""
    singles = SingleAppends(store.events, in_thread)
    run(together(singles, invitation(0, registration="nobody")))
    return singles
