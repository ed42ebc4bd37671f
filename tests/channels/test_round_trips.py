"""What many ask meanwhile goes in one round trip."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from webrtc_events.channels.round_trips import RoundTrips


class Store:
    """Answers with the number's double. The first round trip waits for `go`."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.go = Event()

    def ask(self, questions: Sequence[int]) -> list[int]:
        self.asked.append(list(questions))
        assert self.go.wait(20)
        if -1 in questions:
            raise ConnectionError
        return [2 * question for question in questions]


def test_what_is_asked_meanwhile_goes_together_and_in_bounded_parts() -> None:
    store = Store()

    async def run() -> list[list[int]]:
        trips = RoundTrips(store.ask, threads, 3)
        first = asyncio.ensure_future(trips.answers([1]))
        while not store.asked:
            await asyncio.sleep(0.01)
        others = [asyncio.ensure_future(trips.answers(own)) for own in ([2, 3], [4, 5], [6], [7])]
        await asyncio.sleep(0)
        others[2].cancel()
        store.go.set()
        await asyncio.wait(others)
        return [await first, await others[0], await others[1], await others[3]]

    with ThreadPoolExecutor(1) as threads:
        assert asyncio.run(run()) == [[2], [4, 6], [8, 10], [14]]
    # One who asks for more than fits is not cut; who has gone meanwhile is asked for, and answers nobody.
    assert store.asked == [[1], [2, 3, 4, 5], [6, 7]]


def test_a_failure_is_that_of_all_who_asked_and_of_nobody_else() -> None:
    store = Store()
    store.go.set()

    async def run() -> list[int]:
        trips = RoundTrips(store.ask, threads, 10)
        with pytest.raises(ConnectionError):
            await trips.answers([-1])
        return await trips.answers([1])

    with ThreadPoolExecutor(1) as threads:
        assert asyncio.run(run()) == [2]
