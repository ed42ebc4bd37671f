"""Which hosts a worker calls not well."""

import pytest

from tests.delivery.limited_hosts import LIMITS, Yard
from webrtc_events.core.process_report import MAX_HOSTS, HostReport, HostState
from webrtc_events.delivery.host_limits import HostLimits
from webrtc_events.delivery.host_requests import Permit
from webrtc_events.delivery.host_signals import Error, Throttled


def unwell(yard: Yard) -> list[HostReport]:
    found, more = yard.limiter.unwell(yard.now_s)
    assert more == 0
    return found


def test_hosts_that_answer_soon_are_well_and_new_ones_too() -> None:
    yard = Yard().warm("a")
    assert isinstance(yard.acquire("new"), Permit)
    assert unwell(yard) == []


def test_an_unreachable_host_has_an_open_circuit_for_as_long_as_it_is() -> None:
    yard = Yard()
    yard.break_off("a")
    yard.later(20)
    assert unwell(yard) == [HostReport("a", HostState.OPEN, 20.0, 0, limit=1)]
    # The probe.
    permit = yard.acquire("a")
    assert isinstance(permit, Permit)
    yard.later(0.1)
    assert unwell(yard) == [HostReport("a", HostState.OPEN, 20.1, 1, limit=1)]
    yard.release(permit)
    assert unwell(yard) == []


def test_a_host_that_asks_for_less_is_throttled_until_it_takes_something() -> None:
    yard = Yard().warm("a")
    permit = yard.acquire("a")
    assert isinstance(permit, Permit)
    yard.release(permit, signal=Throttled(8.0))
    yard.later(3)
    assert unwell(yard) == [HostReport("a", HostState.THROTTLED, 5.0, 0, limit=4)]
    yard.later(5)
    # It has yet to take something.
    assert unwell(yard) == [HostReport("a", HostState.THROTTLED, 0.0, 0, limit=4)]
    yard.warm("a", answers=1)
    assert unwell(yard) == []


def test_a_host_that_asked_for_less_and_is_needed_no_more_is_forgotten() -> None:
    yard = Yard().warm("a")
    permit = yard.acquire("a")
    assert isinstance(permit, Permit)
    yard.release(permit, signal=Throttled(8.0))
    yard.later(61)
    assert unwell(yard) == []


def test_an_error_of_a_path_says_nothing_of_the_host() -> None:
    yard = Yard().warm("a")
    permit = yard.acquire("a")
    assert isinstance(permit, Permit)
    yard.release(permit, signal=Error())
    assert unwell(yard) == []


def test_a_host_whose_answers_take_longer_than_a_second_is_slow_while_it_is_needed() -> None:
    yard = Yard().warm("a", answers=1, seconds=1.5)
    assert unwell(yard) == [HostReport("a", HostState.SLOW, 1.5, 0, limit=2)]
    yard.later(61)
    assert unwell(yard) == []


def test_a_slow_host_that_has_yet_to_answer_is_as_slow_as_that_takes() -> None:
    yard = Yard().warm("a", answers=1, seconds=1.5)
    assert isinstance(yard.acquire("a"), Permit)
    yard.later(4)
    assert unwell(yard) == [HostReport("a", HostState.SLOW, 4.0, 1, limit=2)]


def test_the_worst_come_first_and_of_very_many_some_are_named() -> None:
    yard = Yard(HostLimits(in_flight=8, connections=8, permits=512, waiting=1024, hosts=1000))
    yard.warm("slow", answers=1, seconds=2)
    for number in range(MAX_HOSTS + 9):
        yard.break_off(f"h{number}")
    found, more = yard.limiter.unwell(yard.now_s)
    assert {host.state for host in found} == {HostState.OPEN}
    # Those that were needed last.
    assert [host.host for host in found[:2]] == [f"h{MAX_HOSTS + 8}", f"h{MAX_HOSTS + 7}"]
    assert (len(found), more) == (MAX_HOSTS, 9)


@pytest.mark.parametrize("idle_s", [800, 1000])
def test_what_nobody_needed_for_a_quarter_of_an_hour_is_not_looked_at(idle_s: float) -> None:
    yard = Yard(LIMITS)
    yard.break_off("a")
    yard.later(idle_s)
    assert len(unwell(yard)) == (idle_s < 900)


def test_what_is_remembered_is_bounded() -> None:
    yard = Yard(HostLimits(in_flight=8, connections=8, permits=512, waiting=1024, hosts=60))
    for number in range(500):
        yard.break_off(f"h{number}")
    found, more = yard.limiter.unwell(yard.now_s)
    assert found[0].host == "h499"
    assert len(found) + more <= 60
