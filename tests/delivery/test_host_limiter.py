"""Which task gets a permit for its host, which waits, and which is deferred."""

from collections import Counter

import pytest

from tests.delivery.limited_hosts import LIMITS, Yard
from webrtc_events.core.sink_hosts import host_of
from webrtc_events.delivery.deferrals import Deferred
from webrtc_events.delivery.host_health import FAILURES_TO_OPEN
from webrtc_events.delivery.host_limits import HostLimits
from webrtc_events.delivery.host_requests import Permit
from webrtc_events.delivery.host_signals import Throttled, Unreachable
from webrtc_events.delivery.new_host_queue import MAX_WAIT_S


def test_a_new_host_is_asked_once_before_it_answered() -> None:
    yard = Yard()
    (probe,) = yard.permits()
    yard.release(probe)
    assert len(yard.resume()) == 1
    assert len(yard.permits()) == 1


def test_no_more_than_the_limit_is_in_flight_to_one_host() -> None:
    assert len(Yard().warm().permits()) == LIMITS.in_flight
    # Or its share of what is left.
    assert len(Yard(HostLimits(in_flight=8, connections=8, permits=64)).warm().permits()) == 3


@pytest.mark.parametrize(("in_flight", "permits"), [(1, 2048), (64, 2048), (500, 16_000)])
def test_a_host_alone_may_have_all_that_the_limit_allows(in_flight: int, permits: int) -> None:
    limits = HostLimits.of(in_flight, 1000, descriptors=65_536)
    assert limits.permits == permits
    assert len(Yard(limits).warm(answers=in_flight).permits()) == in_flight


def test_there_are_no_more_permits_than_sockets() -> None:
    assert HostLimits.of(64, 64, descriptors=1025) == HostLimits(64, 64, permits=512)
    assert type(HostLimits.of(64, 64, descriptors=1025).permits) is int
    assert HostLimits.of(64, 64, descriptors=1).permits == 1


def test_what_waited_longest_goes_first() -> None:
    yard = Yard()
    (probe,) = yard.permits()
    assert [yard.acquire(), yard.acquire()] == [None, None]
    yard.release(probe)
    resumed = yard.resume()
    assert list(resumed) == [1, 2]
    assert all(isinstance(permit, Permit) for permit in resumed.values())


def test_what_waits_for_a_host_that_becomes_unreachable_is_deferred() -> None:
    yard = Yard()
    (probe,) = yard.permits()
    yard.release(probe, signal=Unreachable())
    (deferred,) = yard.resume().values()
    assert isinstance(deferred, Deferred)
    assert deferred.unreachable
    assert deferred.delay_s >= 0.75


def test_a_pause_does_not_make_a_host_unreachable() -> None:
    yard = Yard().warm()
    permit = yard.acquire()
    assert isinstance(permit, Permit)
    yard.release(permit, signal=Throttled(7))
    deferred = yard.acquire()
    assert isinstance(deferred, Deferred)
    assert not deferred.unreachable
    assert 7 <= deferred.delay_s <= 14.1


def test_an_unreachable_host_is_asked_once_after_its_cool_down() -> None:
    yard = Yard().warm()
    permits = yard.permits()
    yard.later(10)
    for permit in permits[:FAILURES_TO_OPEN]:
        yard.release(permit, signal=Unreachable())
    assert yard.permits() == []
    yard.later(1)
    (probe,) = yard.permits()
    for permit in permits[FAILURES_TO_OPEN:]:
        yard.release(permit, signal=Unreachable())
    # What failed late neither opens another way nor shuts the one there is.
    assert yard.permits() == []
    yard.release(probe)
    assert sum(isinstance(permit, Permit) for permit in yard.resume().values()) == 2


def test_what_still_hangs_counts_when_the_host_is_back() -> None:
    yard = Yard().warm()
    yard.release(*yard.permits()[: FAILURES_TO_OPEN - 1], signal=Unreachable())
    yard.release(yard.permits()[0], signal=Unreachable())
    yard.later(1)
    for _ in range(5):
        # Seven are still on their way from before.
        (permit,) = yard.permits()
        yard.release(permit)


def test_a_host_that_is_back_is_asked_by_twice_as_many_each_time() -> None:
    yard = Yard(HostLimits(in_flight=64, connections=64))
    yard.break_off()
    yard.later(1)
    waves = []
    for _ in range(8):
        resumed = [permit for permit in yard.resume().values() if isinstance(permit, Permit)]
        permits = [*resumed, *yard.permits()]
        waves.append(len(permits))
        yard.later(0.05)
        yard.release(*permits)
    assert waves == [1, 2, 4, 8, 16, 32, 64, 64]


def test_hosts_that_never_answered_leave_half_of_the_permits_to_those_that_do() -> None:
    yard = Yard(HostLimits(in_flight=8, connections=8, permits=512)).warm("fine")
    hanging = 0
    for _ in range(10):
        for number in range(1000):
            hanging += isinstance(yard.acquire(f"hangs-{number}", f"c{number % 20}"), Permit)
        yard.later(0.5)
    assert 240 <= hanging <= 256
    assert len(yard.permits("fine")) == LIMITS.in_flight


def test_slow_hosts_leave_half_of_the_permits_and_some_for_new_ones() -> None:
    yard = Yard(HostLimits(in_flight=64, connections=64))
    slow = [f"slow-{number}" for number in range(64)]
    for host in slow:
        yard.warm(host, answers=70, seconds=1.5)
    taken = sum(len(yard.permits(host)) for host in slow)
    assert taken <= 1024
    assert len(yard.permits("new")) == 1


def test_hosts_that_become_unreachable_together_leave_permits_to_others() -> None:
    """They were prompt until now, so nothing is known against them."""
    yard = Yard(HostLimits(in_flight=64, connections=64))
    hosts = [f"h{number}" for number in range(200)]
    for host in hosts:
        yard.warm(host, answers=70, seconds=0.001)
    for host in hosts[1:]:
        yard.permits(host)
    assert len(yard.permits(hosts[0])) >= 1


def test_a_prompt_host_may_have_waiting_what_it_does_in_a_second() -> None:
    yard = Yard(HostLimits(in_flight=8, connections=8, waiting=10_000)).warm(seconds=0.01)
    yard.permits()
    waiting = 1
    while yard.acquire() is None:
        waiting += 1
    assert waiting == pytest.approx(8 / 0.01, rel=0.01)


def test_what_waits_for_a_host_that_is_prompt_no_longer_is_looked_at_again() -> None:
    yard = Yard().warm()
    yard.permits()
    assert yard.acquire() is None
    assert yard.limiter.overdue(yard.now_s) == []
    yard.later(0.3)
    assert len(yard.limiter.overdue(yard.now_s)) == 2
    assert yard.resume() == {}
    assert yard.limiter.room == Yard().limiter.room


def test_what_comes_to_a_host_that_cools_down_is_deferred_by_up_to_as_long_again() -> None:
    """By a second at least; and one of what is deferred comes back each 2 ms."""
    yard = Yard(random=0.5)
    yard.break_off("silent")
    for more_s in (0.002, 0.004):
        assert yard.acquire("silent") == Deferred(pytest.approx(0.75 + 0.5 + more_s), unreachable=True)
    # Another client is not behind them.
    assert yard.acquire("silent", "other") == Deferred(pytest.approx(0.75 + 0.5 + 0.004), unreachable=True)
    permit = yard.warm("busy").acquire("busy")
    assert isinstance(permit, Permit)
    yard.release(permit, signal=Throttled(7))
    assert yard.acquire("busy", "other") == Deferred(pytest.approx(7 + 3.5 + 0.002), unreachable=False)


def test_once_its_cool_down_is_over_a_host_is_deferred_for_another_reason() -> None:
    yard = Yard(HostLimits(in_flight=8, connections=8, permits=2))
    yard.break_off("silent")
    assert isinstance(yard.acquire("new"), Permit)
    yard.later(1)
    # Two of one client come one after the other; another client is not behind them.
    for client, more_s in (("c", 0.002), ("c", 0.004), ("other", 0.004)):
        assert yard.acquire("silent", client) == Deferred(pytest.approx(1 + more_s), unreachable=False)


def test_one_new_host_too_many_is_deferred_by_about_a_second() -> None:
    yard = Yard(HostLimits(in_flight=8, connections=8, permits=2, waiting=16), random=0.25)
    limiter = yard.limiter
    assert isinstance(limiter.acquire("a", "c", 0, yard.now_s, path=0, accepted_ms=0), Permit)
    assert limiter.acquire("b", "c", 1, yard.now_s, path=0, accepted_ms=5) is None
    assert limiter.has_new
    late = limiter.acquire("d", "c", 2, yard.now_s, path=0, accepted_ms=4)
    assert late == Deferred(pytest.approx(0.752), unreachable=False)
    # The newer takes the place of the older.
    assert limiter.acquire("e", "c", 3, yard.now_s, path=0, accepted_ms=6) is None
    assert limiter.next_new(yard.now_s) == 1
    assert limiter.next_new(yard.now_s) is None
    assert limiter.clear() == [3]
    assert not limiter.has_new
    # There is room now, but what was deferred once does not wait.
    assert isinstance(limiter.acquire("d", "c", 2, yard.now_s, path=0, accepted_ms=4), Deferred)


def test_new_hosts_that_waited_in_vain_are_deferred_and_wait_no_more() -> None:
    yard = Yard(HostLimits(in_flight=8, connections=8, permits=2, waiting=64))
    assert isinstance(yard.acquire("first"), Permit)
    assert [yard.acquire("a", "one"), yard.acquire("b", "other")] == [None, None]
    yard.later(MAX_WAIT_S - 0.1)
    assert yard.limiter.next_new(yard.now_s) is None
    yard.later(0.2)
    assert {yard.limiter.next_new(yard.now_s) for _ in range(2)} == {1, 2}
    assert yard.limiter.next_new(yard.now_s) is None
    assert not yard.limiter.has_new
    assert yard.acquire("another", "third") is None
    for host, client in (("a", "one"), ("b", "other")):
        deferred = yard.acquire(host, client)
        assert isinstance(deferred, Deferred)
        assert not deferred.unreachable


def test_a_new_host_that_waits_gets_a_permit_once_the_others_of_its_client_are_not_young() -> None:
    """Of 32 for hosts that are not prompt three at once, within 250 ms."""
    yard = Yard(HostLimits(in_flight=8, connections=8, permits=64, waiting=64))
    assert all(isinstance(yard.acquire(f"h{number}"), Permit) for number in range(3))
    assert yard.acquire("h3") is None
    assert yard.limiter.next_new(yard.now_s) is None
    yard.later(0.25)
    assert yard.limiter.next_new(yard.now_s) == 3
    assert isinstance(yard.acquire("h3"), Permit)


def test_what_is_newer_gets_that_permit_before_what_comes_then() -> None:
    yard = Yard(HostLimits(in_flight=8, connections=8, permits=64, waiting=64))
    assert all(isinstance(yard.acquire(f"h{number}"), Permit) for number in range(3))
    assert yard.acquire("h3", accepted_ms=6) is None
    yard.later(0.25)
    assert yard.acquire("h4", accepted_ms=5) is None
    assert yard.limiter.next_new(yard.now_s) == 3


def test_or_once_one_of_them_has_answered() -> None:
    yard = Yard(HostLimits(in_flight=8, connections=8, permits=64, waiting=64))
    permits = [yard.acquire(f"h{number}") for number in range(3)]
    assert yard.acquire("h3") is None
    assert isinstance(permits[0], Permit)
    yard.release(permits[0])
    assert yard.limiter.next_new(yard.now_s) == 3


def test_a_client_has_a_whole_number_of_new_hosts_that_wait() -> None:
    """A sixteenth of 40 is two. The oldest makes room for a third."""
    yard = Yard(HostLimits(in_flight=8, connections=8, permits=2, waiting=40))
    assert isinstance(yard.acquire("first"), Permit)
    assert [yard.acquire(host) for host in "abc"] == [None, None, None]
    assert yard.limiter.next_new(yard.now_s) == 1


def test_a_new_host_that_waits_is_the_first_permit_of_its_host() -> None:
    """A client may have twice as much where a host has none of it."""
    yard = Yard(HostLimits(in_flight=8, connections=8, permits=512))
    used = yard.limiter._clients.get("c").permits
    hosts = [f"h{number}" for number in range(100)]
    for host in hosts:
        yard.warm(host, seconds=0.001)
    for host in hosts:
        while used.used < 415 and isinstance(yard.acquire(host), Permit):
            pass
    assert used.used == 415
    new = 0
    while isinstance(yard.acquire(f"new-{new}"), Permit):
        new += 1
    yard.later(0.25)
    assert yard.limiter.next_new(yard.now_s) is not None


def test_when_there_is_little_room_nothing_more_is_claimed() -> None:
    yard = Yard(HostLimits(in_flight=8, connections=8, permits=512, waiting=64))
    assert yard.limiter.room == 51
    yard.warm().permits()
    for _ in range(46):
        assert yard.acquire() is None
    assert yard.limiter.room == 4
    assert yard.acquire() is None
    assert yard.limiter.room == 0


def test_of_several_hosts_that_are_prompt_no_longer_all_that_waits_is_looked_at() -> None:
    yard = Yard()
    for host in ("a", "b"):
        yard.warm(host)
    for host in ("a", "b"):
        yard.permits(host)
    yard.later(0.3)
    assert len(yard.limiter.overdue(yard.now_s)) == 2


def test_what_waits_for_a_prompt_host_goes_on_while_others_have_all_their_half() -> None:
    yard = Yard(HostLimits(in_flight=8, connections=8, permits=128)).warm("fine")
    permits = yard.permits("fine")
    for number in range(200):
        yard.acquire(f"hangs-{number}", f"c{number}")
    assert yard.acquire("hangs", "other") is None
    yard.release(*permits[1:])
    (permit,) = yard.resume("fine").values()
    assert isinstance(permit, Permit)


def test_what_waits_for_a_host_with_permits_is_not_its_first() -> None:
    """A client may have twice as much where a host has none of it."""
    yard = Yard(HostLimits(in_flight=8, connections=8, permits=512))
    hosts = [f"h{number}" for number in range(200)]
    for host in hosts:
        yard.warm(host, seconds=0.001)
    first, *others = yard.permits(hosts[0])
    used = yard.limiter._clients.get("c").permits
    for host in hosts[1:]:
        while used.used < 430 and isinstance(yard.acquire(host), Permit):
            pass
    yard.release(*others)
    assert used.used == 423
    assert yard.limiter.next_waiting(hosts[0], yard.now_s) is None
    yard.release(first)
    assert yard.limiter.next_waiting(hosts[0], yard.now_s) is not None


def test_hosts_that_do_not_answer_keep_little_waiting() -> None:
    yard = Yard()
    for number in range(100):
        for _ in range(100):
            yard.acquire(f"hangs-{number}")
    assert yard.limiter.room >= Yard().limiter.room // 2


def test_what_is_deferred_during_a_cool_down_comes_back_spread() -> None:
    delays = []
    for number in range(100):
        yard = Yard(random=number / 100)
        yard.break_off()
        deferred = yard.acquire()
        assert isinstance(deferred, Deferred)
        delays.append(deferred.delay_s)
    assert min(delays) >= 0.5
    assert max(delays) - min(delays) >= 1


def test_all_that_is_deferred_comes_back_at_a_bounded_rate() -> None:
    yard = Yard()
    hosts = [f"h{number}" for number in range(50)]
    for host in hosts:
        yard.break_off(host)
    back = Counter()
    for number in range(10_000):
        deferred = yard.acquire(hosts[number % 50])
        if isinstance(deferred, Deferred):
            back[int(yard.now_s + deferred.delay_s)] += 1
    assert sum(back.values()) > 9_000
    assert max(back.values()) <= 510


def test_hosts_long_idle_are_forgotten_and_busy_ones_are_not() -> None:
    yard = Yard()
    busy = yard.warm("busy").permits("busy")
    yard.warm("idle")
    yard.later(601)
    for number in range(3):
        yard.acquire(f"h{number}")
    # Forgotten: asked once again, as if it were new.
    assert len(yard.permits("idle")) == 1
    yard.release(*busy)
    resumed = yard.resume("busy")
    assert len(resumed) + len(yard.permits("busy")) == LIMITS.in_flight


def test_of_too_many_hosts_those_idle_longest_are_forgotten() -> None:
    yard = Yard()
    for number in range(3 * LIMITS.hosts):
        yard.warm(f"h{number}", answers=1)
    assert len(yard.limiter._hosts) == LIMITS.hosts


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://a.example/x", "https://a.example:443"),
        ("https://a.example:443/y?z", "https://a.example:443"),
        ("https://A.Example./x", "https://a.example:443"),
        ("https://a.example:8443/x", "https://a.example:8443"),
        ("https://[2001:DB8::1]/x", "https://[2001:db8::1]:443"),
    ],
)
def test_a_host_is_scheme_name_and_port(url: str, host: str) -> None:
    assert host_of(url) == host
