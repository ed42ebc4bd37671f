"""Which unreachable hosts may be probed early, and how much may come for one that is back."""

from tests.delivery.limited_hosts import HEALTHY, Yard
from webrtc_events.delivery.host_requests import Permit
from webrtc_events.delivery.host_signals import Throttled, Unreachable


def test_who_is_back_ends_the_cool_downs_of_two_others() -> None:
    yard = Yard()
    probes = {host: yard.permits(host)[0] for host in ("a", "b", "c", "d")}
    yard.later(10)
    for probe in probes.values():
        yard.limiter.release(probe, Unreachable(), yard.now_s)
    # The first is back at once, by what was started before.
    yard.later(0.76)
    (first,) = yard.permits("a")
    for _ in range(3):
        for host in ("b", "c", "d"):
            for probe in yard.permits(host):
                yard.limiter.release(probe, Unreachable(), yard.now_s)
        yard.later(0.76)
    assert all(yard.permits(host) == [] for host in ("b", "c", "d"))
    assert list(yard.limiter.release(first, HEALTHY, yard.now_s)) == ["d", "c"]
    assert [len(yard.permits(host)) for host in ("b", "c", "d")] == [0, 1, 1]
    assert not yard.limiter.unreachable("a")


def test_no_host_is_probed_sooner_than_after_half_a_second() -> None:
    yard = Yard()
    first, second = yard.permits("a")[0], yard.permits("b")[0]
    yard.later(10)
    yard.limiter.release(first, Unreachable(), yard.now_s)
    yard.later(0.8)
    (probe,) = yard.permits("a")
    yard.limiter.release(second, Unreachable(), yard.now_s)
    assert list(yard.limiter.release(probe, HEALTHY, yard.now_s)) == ["b"]
    yard.later(0.49)
    assert yard.permits("b") == []
    yard.later(0.02)
    assert len(yard.permits("b")) == 1


def test_what_may_come_for_a_host_that_is_back_grows_with_its_limit() -> None:
    yard = Yard()
    yard.break_off()
    assert yard.limiter.room_of("h", yard.now_s) == 0
    yard.later(1)
    rooms = []
    for _ in range(10):
        permit = yard.acquire()
        assert isinstance(permit, Permit)
        yard.later(0.005)
        yard.release(permit)
        rooms.append(yard.limiter.room_of("h", yard.now_s))
    assert rooms == [8, 12, 16, 20, 24, 28, 32, 32, 32, 32]
    yard.permits()
    # One waits.
    assert yard.limiter.room_of("h", yard.now_s) == 31


def test_no_more_may_come_than_the_host_answers_in_a_second_or_while_it_asks_for_a_pause() -> None:
    yard = Yard().warm(seconds=4)
    assert yard.limiter.room_of("h", yard.now_s) == 2
    permit = yard.acquire()
    assert isinstance(permit, Permit)
    yard.release(permit, signal=Throttled(5))
    assert yard.limiter.room_of("h", yard.now_s) == 0
    assert yard.limiter.room_of("unknown", yard.now_s) == 0
