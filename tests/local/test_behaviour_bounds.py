"""How many behaviours there may be, and how many requests may be held."""

import asyncio

import pytest

from webrtc_events.core.errors import InvalidArgument
from webrtc_events.local.sink.behaviours import MAX_BEHAVIOURS, Behaviour, Behaviours, Misbehaviour
from webrtc_events.local.sink.held_requests import HeldRequests


def test_a_hundred_behaviours_are_the_most() -> None:
    behaviours = Behaviours()
    for number in range(MAX_BEHAVIOURS):
        behaviours.put(Behaviour(path=f"/{number}", answer=500))
    with pytest.raises(InvalidArgument, match="100 behaviours already"):
        behaviours.put(Behaviour(path="/more", answer=500))
    # One that is there can be another.
    behaviours.put(Behaviour(path="/7", answer=Misbehaviour.HANG))
    assert behaviours.take("/7/x") == Behaviour(path="/7", answer=Misbehaviour.HANG)
    behaviours.clear()
    assert behaviours.all() == []


def test_a_path_has_a_bound() -> None:
    with pytest.raises(InvalidArgument, match="path"):
        Behaviour.from_json("/" + "x" * 1001, {"answer": 500})


@pytest.mark.parametrize("path", ["", "/", "//"])
def test_the_root_holds_everywhere(path: str) -> None:
    behaviour = Behaviour.from_json(path, {"answer": 500})
    assert behaviour.path == "/"
    assert all(behaviour.holds_at(place) for place in ("/", "/a", "/a/b"))


def test_the_oldest_held_request_ends_for_another() -> None:
    async def hold() -> list[bool]:
        held = HeldRequests(max_held=2)
        with held.hold() as first, held.hold() as second, held.hold() as third:
            await asyncio.wait_for(first.released.wait(), 10)
            assert len(held) == 2
            return [second.released.is_set(), third.released.is_set()]

    assert asyncio.run(hold()) == [False, False]


def test_all_held_requests_end_when_it_closes_and_those_that_come_later() -> None:
    async def hold() -> int:
        held = HeldRequests()
        with held.hold() as first, held.hold() as second:
            held.close()
            with held.hold() as late:
                for request in (first, second, late):
                    await asyncio.wait_for(request.released.wait(), 10)
        return len(held)

    assert asyncio.run(hold()) == 0


def test_a_request_of_a_server_that_is_gone_can_be_released() -> None:
    held = HeldRequests()
    request = held.hold()

    async def hold() -> None:
        request.__enter__()

    asyncio.run(hold())
    assert len(held) == 1
    held.close()
    request.__exit__(None, None, None)
    assert len(held) == 0
