"""The newest goes first; what waits for long, or is one too many, goes."""

from hypothesis import given
from hypothesis import strategies as st

from webrtc_events.delivery.new_host_queue import MAX_WAIT_S, NewHostQueue
from webrtc_events.sinks.limits import SinkLimits
from webrtc_events.store.script_options import DEFAULT_OPTIONS


def anyone(_: str) -> bool:
    return True


def test_the_newest_goes_first() -> None:
    queue: NewHostQueue[str] = NewHostQueue(10, 10)
    for moment, name in ((5, "b"), (9, "c"), (1, "a")):
        assert queue.add("x", moment, name, 0.0)
    assert [queue.next(anyone) for _ in range(4)] == ["c", "b", "a", None]
    assert not queue


def test_of_too_many_the_oldest_goes() -> None:
    queue: NewHostQueue[int] = NewHostQueue(10, 3)
    for moment in range(5):
        assert queue.add("x", moment, moment, 0.0)
    assert queue.given_up(0.0) == [0, 1]
    assert not queue.add("x", 0, 7, 0.0)
    assert queue.given_up(0.0) == []


def test_what_waited_for_long_goes_however_new_it_is() -> None:
    queue: NewHostQueue[str] = NewHostQueue(10, 3)
    queue.add("x", 5, "early", 0.0)
    queue.add("x", 4, "late", 1.0)
    assert queue.given_up(MAX_WAIT_S) == ["early"]
    assert queue.next(anyone) == "late"


def test_what_is_given_up_may_still_be_sent_within_its_lease() -> None:
    assert DEFAULT_OPTIONS.lease_ms - SinkLimits().total_ms > MAX_WAIT_S * 1000


def test_clients_alternate_and_one_that_may_not_holds_up_no_other() -> None:
    queue: NewHostQueue[str] = NewHostQueue(100, 10)
    for number in range(3):
        queue.add("a", number, f"a{number}", 0.0)
        queue.add("b", number, f"b{number}", 0.0)
        queue.add("full", number, "never", 0.0)
    found = [queue.next(lambda client: client != "full") for _ in range(6)]
    assert found == ["a2", "b2", "a1", "b1", "a0", "b0"]


def test_a_client_that_has_none_finds_room_beside_one_that_has_many() -> None:
    queue: NewHostQueue[int] = NewHostQueue(64, 8)
    for number in range(1000):
        queue.add("greedy", number, number, 0.0)
    assert queue.add("other", 0, -1, 0.0)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9), st.integers(0, 3)), max_size=60))
def test_nothing_is_lost_and_nothing_comes_twice(steps: list[tuple[str, int, int]]) -> None:
    queue: NewHostQueue[int] = NewHostQueue(6, 3)
    inside: set[int] = set()
    for number, (client, moment, action) in enumerate(steps):
        if action == 0:
            gone = queue.given_up(number)
        elif action == 1:
            found = queue.next(lambda name, client=client: name == client)
            gone = [] if found is None else [found]
        else:
            gone = []
            if queue.add(client, moment, number, number):
                inside.add(number)
        assert inside.issuperset(gone)
        inside.difference_update(gone)
        assert bool(queue) == bool(inside)
    assert sorted(queue.clear()) == sorted(inside)
    assert not queue


def test_once_it_is_cleared_there_is_room_for_as_many() -> None:
    queue: NewHostQueue[int] = NewHostQueue(3, 2)
    for _ in range(2):
        assert [queue.add("x", number, number, 0.0) for number in range(2)] == [True, True]
        assert queue.clear() == [0, 1]
        assert not queue


def test_once_it_is_full_no_other_client_finds_room() -> None:
    queue: NewHostQueue[str] = NewHostQueue(4, 4)
    assert [queue.add(client, 0, client, 0.0) for client in "abcde"] == [True, True, True, True, False]
    assert queue.next(anyone) == "a"
    assert [queue.add(client, 0, client, 0.0) for client in "ef"] == [True, False]


def test_of_the_same_moment_what_came_last_is_the_newest() -> None:
    queue: NewHostQueue[str] = NewHostQueue(10, 2)
    assert all(queue.add("x", 5, task, 0.0) for task in ("first", "second", "third"))
    assert queue.given_up(0.0) == ["first"]
    assert [queue.next(anyone) for _ in range(3)] == ["third", "second", None]


def test_what_is_newer_is_of_the_same_client() -> None:
    queue: NewHostQueue[str] = NewHostQueue(10, 10)
    for accepted_ms in (5, 7):
        queue.add("x", accepted_ms, "task", 0.0)
    assert [queue.has_newer("x", accepted_ms) for accepted_ms in (6, 7)] == [True, False]
    assert not queue.has_newer("y", 0)
