"""Which clients find a place for a reader where others have many."""

import pytest

from webrtc_events.channels.reader_places import ReaderPlaces
from webrtc_events.core.errors import ServiceError, TooManyRequests, Unavailable


def taken(places: ReaderPlaces, client: str, wanted: int = 100_000) -> int:
    """How many a client gets that wants that many."""
    for count in range(wanted):
        try:
            places.take(client)
        except ServiceError:
            return count
    return wanted


def test_a_client_alone_may_have_most_of_them() -> None:
    places = ReaderPlaces(10_000)
    assert taken(places, "greedy") == 8_000
    with pytest.raises(TooManyRequests):
        places.take("greedy")


def test_whoever_comes_after_greedy_ones_finds_places() -> None:
    places = ReaderPlaces(10_000)
    assert [taken(places, f"greedy{number}") for number in range(3)] == [8_000, 1_375, 8]
    assert [taken(places, f"client{number}", 8) for number in range(70)] == [8] * 70


def test_who_leaves_makes_room() -> None:
    places = ReaderPlaces(10)
    assert taken(places, "a") == 8
    places.give("a")
    places.take("a")
    for _ in range(8):
        places.give("a")
    assert taken(places, "b") == 8


def test_a_process_that_is_full_says_so_to_who_has_none() -> None:
    places = ReaderPlaces(2)
    assert (taken(places, "a"), taken(places, "b")) == (1, 1) or taken(places, "c") == 0
    with pytest.raises(Unavailable) as refused:
        places.take("late")
    assert refused.value.headers == {"Retry-After": "10"}


def test_a_single_place_may_be_taken() -> None:
    assert taken(ReaderPlaces(1), "a") == 1
