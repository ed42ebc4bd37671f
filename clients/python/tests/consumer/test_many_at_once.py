"""Threads and tasks that bring the same events at once: each event has one handler."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from webrtc_events_client.consumer import (
    AsyncKeySet,
    AsyncReceiver,
    InMemory,
    Receiver,
    ReceiverSettings,
    SqliteMemory,
)

TYPED = {"content-type": "application/cloudevents+json"}
OPEN = ReceiverSettings(allow_unverified=True)
MakeBody = Callable[..., bytes]


@pytest.mark.parametrize("in_file", [False, True])
def test_threads(in_file: bool, make_body: MakeBody, tmp_path: Path) -> None:
    handled: list[str] = []
    memory = SqliteMemory(tmp_path / "memory.db") if in_file else InMemory()
    receiver = Receiver(lambda delivery: handled.append(delivery.notification.id), OPEN, memory=memory)
    bodies = [make_body(str(number)) for number in range(200)]
    answers: Counter[int] = Counter()

    def bring() -> None:
        for body in bodies:
            # As the service does: again, until the event is taken.
            while (status := receiver.receive("POST", "/", TYPED, body).status) == 503:
                pass
            answers[status] += 1

    threads = [threading.Thread(target=bring) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if isinstance(memory, SqliteMemory):
        memory.close()
    assert answers == {204: 1200}
    assert sorted(handled) == sorted(str(number) for number in range(200))


@pytest.mark.parametrize("in_file", [False, True])
def test_tasks(in_file: bool, make_body: MakeBody, tmp_path: Path) -> None:
    handled: list[str] = []
    memory = SqliteMemory(tmp_path / "memory.db") if in_file else InMemory()

    async def handle(delivery: Any) -> None:
        await asyncio.sleep(0)
        handled.append(delivery.notification.id)

    async def bring(receiver: AsyncReceiver) -> list[int]:
        requests = [("POST", "/", TYPED, make_body(str(number % 20))) for number in range(200)]
        return [
            answer.status for answer in await asyncio.gather(*(receiver.receive(*one) for one in requests))
        ]

    answers = asyncio.run(bring(AsyncReceiver(handle, OPEN, memory=memory)))
    if isinstance(memory, SqliteMemory):
        memory.close()
    assert set(answers) <= {204, 503}
    assert sorted(handled) == sorted(str(number) for number in range(20))


def test_a_task_that_is_cancelled_leaves_its_event_free(make_body: MakeBody) -> None:
    """As a server does when its client has gone."""
    handled: list[str] = []

    async def cancelled() -> int:
        inside, is_first = asyncio.Event(), True

        async def handle(delivery: Any) -> None:
            nonlocal is_first
            if is_first:
                is_first = False
                inside.set()
                await asyncio.Event().wait()
            handled.append(delivery.notification.id)

        receiver = AsyncReceiver(handle, OPEN)
        request = ("POST", "/", TYPED, make_body())
        task = asyncio.create_task(receiver.receive(*request))
        await inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return (await receiver.receive(*request)).status

    assert asyncio.run(cancelled()) == 204
    assert handled == ["s-1.1"]


def test_many_tasks_wait_for_one_fetch(service: Any, key_server: Any) -> None:
    async def get_all() -> list[Any]:
        keys = AsyncKeySet(key_server.url)
        return await asyncio.gather(*(keys.get(service.key.kid) for _ in range(50)))

    assert len(asyncio.run(get_all())) == 50
    assert key_server.asked == 1


def test_a_task_that_is_cancelled_in_a_fetch_leaves_it_to_the_next(service: Any, key_server: Any) -> None:
    go_on = threading.Event()
    good = key_server.answer

    def slow() -> Any:
        assert go_on.wait(30)
        return good()

    async def cancelled() -> Any:
        keys = AsyncKeySet(key_server.url)
        key_server.answer = slow
        task = asyncio.create_task(keys.get(service.key.kid))
        while not key_server.asked:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()
        return await keys.get(service.key.kid)

    assert asyncio.run(cancelled())
    assert key_server.asked == 2
