"""What was deferred comes back at a rate that clients share."""

import pytest

from webrtc_events.delivery.deferrals import Deferrals


def test_a_client_that_is_alone_has_the_whole_rate() -> None:
    deferrals = Deferrals(500, 60)
    assert [deferrals.delay_s("a", 0.0) for _ in range(3)] == pytest.approx([0.002, 0.004, 0.006])


def test_a_client_does_not_wait_behind_another_that_has_many() -> None:
    deferrals = Deferrals(500, 60)
    for _ in range(20_000):
        deferrals.delay_s("greedy", 0.0)
    assert deferrals.delay_s("other", 0.0) == pytest.approx(0.004)


def test_clients_share_the_rate() -> None:
    deferrals = Deferrals(500, 60)
    delays = sorted(deferrals.delay_s(client, 0.0) for _ in range(1000) for client in ("a", "b", "c", "d"))
    assert sum(delay < 4 for delay in delays) == pytest.approx(500 * 4, rel=0.02)


def test_it_is_never_longer_than_the_maximum_and_forgets_who_is_back() -> None:
    deferrals = Deferrals(500, 60)
    assert max(deferrals.delay_s("a", 0.0) for _ in range(50_000)) == 60
    for number in range(1000):
        deferrals.delay_s(f"c{number}", 0.0)
    deferrals.delay_s("a", 100.0)
    assert deferrals.delay_s("a", 200.0) == pytest.approx(0.002)


def test_only_those_who_are_back_are_forgotten() -> None:
    deferrals = Deferrals(1, 60)
    assert [deferrals.delay_s(client, 0.0) for client in ("a", "b")] == [1, 2]
    # `a` is back, `b` is not.
    assert deferrals.delay_s("c", 1.5) == pytest.approx(2)


def test_who_comes_back_at_this_moment_is_back() -> None:
    deferrals = Deferrals(1, 60)
    assert deferrals.delay_s("a", 0.0) == 1
    assert deferrals.delay_s("b", 1.0) == 1
