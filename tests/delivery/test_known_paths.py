"""Which paths are known to hang or to answer, and how many."""

from webrtc_events.delivery.known_paths import KnownPaths


def test_the_latest_of_a_path_counts() -> None:
    known = KnownPaths(10)
    assert not known.is_slow(1)
    assert not known.is_answering(1)
    known.answers(1, in_time=True)
    assert known.is_answering(1)
    known.hangs(1)
    assert known.is_slow(1)
    assert not known.is_answering(1)
    known.answers(1, in_time=False)
    assert not known.is_slow(1)
    assert not known.is_answering(1)
    known.hangs(1)
    known.answers(1, in_time=True)
    assert not known.is_slow(1)
    assert known.is_answering(1)


def test_the_latest_are_known_and_twice_as_many_at_most() -> None:
    known = KnownPaths(10)
    for path in range(1000):
        known.hangs(path)
        known.answers(-1 - path, in_time=True)
        assert all(known.is_slow(latest) for latest in range(max(0, path - 9), path + 1))
        assert len(known) <= 40
    assert not known.is_slow(0)
    assert not known.is_answering(-1)


def test_one_that_is_heard_of_again_stays_known() -> None:
    known = KnownPaths(10)
    for path in range(1000):
        known.hangs(path)
        known.hangs(-1)
        assert known.is_slow(-1)
    known.answers(-1, in_time=True)
    assert not known.is_slow(-1)


def test_a_slow_path_keeps_its_turn_until_it_takes_it() -> None:
    known = KnownPaths(2)
    assert known.turn_s(1) == float("inf")
    known.hangs(1)
    assert known.turn_s(1) == float("inf")
    known.give_turn(1, 5.0)
    known.hangs(1)
    assert known.turn_s(1) == 5.0
    for path in (2, 3):
        known.hangs(path)
    assert known.turn_s(1) == 5.0
    known.take_turn(1)
    assert known.is_slow(1)
    assert known.turn_s(1) == float("inf")
