"""The newest goes first; what waits for long, or is one too many, goes."""

from hypothesis import given
from hypothesis import strategies as st

from webrtc_events.delivery.lobby import Lobby


def anyone(_: str) -> bool:
    return True


def test_the_newest_goes_first() -> None:
    lobby: Lobby[str] = Lobby(10, 10)
    for moment, name in ((5, "b"), (9, "c"), (1, "a")):
        assert lobby.add("x", moment, name, 0.0)
    assert [lobby.next(anyone) for _ in range(4)] == ["c", "b", "a", None]
    assert not lobby


def test_of_too_many_the_oldest_goes() -> None:
    lobby: Lobby[int] = Lobby(10, 3)
    for moment in range(5):
        assert lobby.add("x", moment, moment, 0.0)
    assert lobby.leaving(0.0) == [0, 1]
    assert not lobby.add("x", 0, 7, 0.0)
    assert lobby.leaving(0.0) == []


def test_what_waited_for_long_goes_however_new_it_is() -> None:
    lobby: Lobby[str] = Lobby(10, 3)
    lobby.add("x", 5, "early", 0.0)
    lobby.add("x", 4, "late", 2.0)
    assert lobby.leaving(3.0) == ["early"]
    assert lobby.next(anyone) == "late"


def test_clients_go_by_turns_and_one_that_may_not_holds_up_no_other() -> None:
    lobby: Lobby[str] = Lobby(100, 10)
    for number in range(3):
        lobby.add("a", number, f"a{number}", 0.0)
        lobby.add("b", number, f"b{number}", 0.0)
        lobby.add("full", number, "never", 0.0)
    found = [lobby.next(lambda client: client != "full") for _ in range(6)]
    assert found == ["a2", "b2", "a1", "b1", "a0", "b0"]


def test_a_client_that_has_none_finds_room_beside_one_that_has_many() -> None:
    lobby: Lobby[int] = Lobby(64, 8)
    for number in range(1000):
        lobby.add("greedy", number, number, 0.0)
    assert lobby.add("other", 0, -1, 0.0)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9), st.integers(0, 3)), max_size=60))
def test_nothing_is_lost_and_nothing_comes_twice(steps: list[tuple[str, int, int]]) -> None:
    lobby: Lobby[int] = Lobby(6, 3)
    inside: set[int] = set()
    for number, (client, moment, action) in enumerate(steps):
        if action == 0:
            gone = lobby.leaving(number)
        elif action == 1:
            found = lobby.next(lambda each, client=client: each == client)
            gone = [] if found is None else [found]
        else:
            gone = []
            if lobby.add(client, moment, number, number):
                inside.add(number)
        assert inside.issuperset(gone)
        inside.difference_update(gone)
        assert bool(lobby) == bool(inside)
    assert sorted(lobby.clear()) == sorted(inside)
    assert not lobby
