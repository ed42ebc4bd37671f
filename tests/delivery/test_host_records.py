"""What is known of a host: what it owes, how fast it is, and when it can take one more."""

import pytest

from webrtc_events.delivery.host_limits import HostLimits
from webrtc_events.delivery.host_records import MAX_PROBES, HostRecord, HostRecords
from webrtc_events.delivery.host_signals import Healthy, Unreachable
from webrtc_events.delivery.shares import HostStanding

LIMITS = HostLimits(in_flight=8, connections=8, permits=4, waiting=10, hosts=3)


def answering_in(seconds: float, answers: int = 1) -> HostRecord:
    """A host that has answered. The longest of its times are powers of two, so they are exact."""
    host = HostRecord("h", LIMITS)
    for _ in range(answers):
        host.health.record(host.health.start(0.0), Healthy(), seconds, lambda: 1.0)
    return host


def new() -> HostRecord:
    return HostRecord("h", LIMITS)


def test_what_a_host_owes() -> None:
    assert new().standing(0.0) is HostStanding.NEW
    passed_over = new()
    passed_over.passed_over = True
    assert passed_over.standing(0.0) is HostStanding.PASSED_OVER
    passed_over.grant("c", 0, 0.0, prompt=False, slow=False)
    assert passed_over.standing(0.0) is HostStanding.OWING
    assert not passed_over.passed_over
    unreachable = new()
    unreachable.health.record(unreachable.health.start(0.0), Unreachable(), 0.0, lambda: 1.0)
    assert unreachable.standing(0.0) is HostStanding.OWING
    assert answering_in(0.5).standing(0.0) is HostStanding.PROMPT
    assert answering_in(1.0).standing(0.0) is HostStanding.OWING


@pytest.mark.parametrize(
    ("usual_s", "late_s"), [(0.03125, 0.25), (0.0625, 0.25), (0.125, 0.5), (0.25, 1.0), (0.5, 1.0)]
)
def test_a_host_is_prompt_until_an_answer_takes_far_longer_than_usual(usual_s: float, late_s: float) -> None:
    host = answering_in(usual_s)
    first = host.grant("c", 0, 10.0, prompt=True, slow=False)
    host.grant("c", 0, 10.125, prompt=True, slow=False)
    assert host.prompt(10.0 + late_s - 0.015625)
    assert not host.prompt(10.0 + late_s)
    host.requests.remove(first)
    assert host.prompt(10.0 + late_s)


def test_how_long_answers_take_at_least() -> None:
    assert new().response_s(0.0) == 0.05
    assert answering_in(0.5).response_s(0.0) == 0.5
    assert answering_in(0.0).response_s(0.0) == 0.001
    waiting = answering_in(0.5)
    waiting.grant("c", 0, 10.0, prompt=True, slow=False)
    assert [waiting.response_s(now_s) for now_s in (10.25, 12.0)] == [0.5, 2.0]
    assert new().per_second(0.0) == 20
    assert answering_in(0.5).per_second(0.0) == 4


def test_a_permit_says_whose_and_which_it_is() -> None:
    host = new()
    permit = host.grant("c", 0, 10.0, prompt=True, slow=False)
    assert (permit.host, permit.client, permit.prompt, permit.started.at_s) == ("h", "c", True, 10.0)
    assert (host.requests.count, host.current) == (1, 1)
    host.grant("c", 0, 10.0, prompt=False, slow=False)
    assert (host.requests.count, host.current) == (2, 2)


@pytest.mark.parametrize(
    ("waiting", "round_trips"), [(1, 1), (3, 2), (5, 2.5), (7, 3), (15, 4), (23, 5), (31, 6)]
)
def test_a_limit_doubles_with_each_round_trip_up_to_the_most(waiting: int, round_trips: float) -> None:
    """One, two, four, then eight at a time, 50 ms each; then the one that is deferred, by its part of one."""
    limit = min(8, 2**round_trips)
    delay_s = 0.05 * (round_trips + 1 / limit)
    assert new().defer_s(waiting, 10.0, lambda: 1.0) == pytest.approx(max(delay_s, 0.1))


def test_the_limit_of_a_new_host_that_is_late_does_not_grow() -> None:
    late, soon = new(), new()
    for host in (late, soon):
        host.grant("c", 0, 10.0, prompt=False, slow=False)
    assert late.defer_s(3, 10.5, lambda: 1.0) == pytest.approx(0.5 * 4)
    # Two round trips for those that wait, and a fourth part of one for the next.
    assert soon.defer_s(3, 10.25, lambda: 1.0) == pytest.approx(0.25 * 2.25)
    known = answering_in(0.5)
    assert known.defer_s(6, 10.0, lambda: 1.0) == pytest.approx(0.5 * 2.125)


def test_those_deferred_come_one_after_the_other() -> None:
    host = answering_in(0.5, answers=7)
    delays = [host.defer_s(8, 10.0, lambda: 1.0) for _ in range(3)]
    assert delays == pytest.approx([0.5625, 0.625, 0.6875])
    assert host.defer_s(8, 10.125, lambda: 1.0) == pytest.approx(0.625)
    # Behind those that wait, if that takes longer.
    assert host.defer_s(80, 10.125, lambda: 1.0) == pytest.approx(5.0625)


def test_none_comes_at_once_and_none_after_more_than_ten_seconds() -> None:
    assert answering_in(0.03125, answers=7).defer_s(0, 10.0, lambda: 1.0) == 0.1
    host = answering_in(0.5, answers=7)
    assert host.defer_s(152, 10.0, lambda: 0.5) == pytest.approx(9.5625)
    assert answering_in(0.5, answers=7).defer_s(159, 10.0, lambda: 0.0) == 10
    assert [host.defer_s(160, 10.0, lambda random=random: random) for random in (0.0, 0.5, 1.0)] == [
        5,
        7.5,
        10,
    ]
    # What is too much to be counted is not held against those who come later.
    assert host.defer_s(0, 15.0, lambda: 1.0) == pytest.approx(5.0625)


def test_a_host_has_one_record() -> None:
    hosts = HostRecords(LIMITS)
    host = hosts.touch("a", 0.0)
    assert hosts.touch("a", 5.0) is hosts["a"] is host
    assert (host.name, host.touched_s, host.current, len(hosts)) == ("a", 5.0, 0, 1)
    assert "b" not in hosts


def test_one_that_comes_displaces_the_one_idle_longest() -> None:
    hosts = HostRecords(LIMITS)
    for name in ("a", "b", "c", "a", "d"):
        hosts.touch(name, 0.0)
    assert [name for name in "abcd" if name in hosts] == ["a", "c", "d"]


def test_those_with_permits_stay_however_many_there_are() -> None:
    hosts = HostRecords(LIMITS)
    for name in "abcd":
        hosts.touch(name, 0.0).grant("c", 0, 0.0, prompt=True, slow=False)
    hosts.touch("e", 0.0)
    hosts.touch("f", 0.0)
    assert [name for name in "abcdef" if name in hosts] == [*"abcd", "f"]


def test_what_was_too_much_is_taken_back_by_twos() -> None:
    hosts = HostRecords(LIMITS)
    permits = [hosts.touch(name, 0.0).grant("c", 0, 0.0, prompt=True, slow=False) for name in "abcd"]
    hosts.touch("e", 0.0)
    for permit in permits:
        hosts[permit.host].requests.remove(permit)
    hosts.touch("f", 0.0)
    assert len(hosts) == 4
    hosts.touch("g", 0.0)
    assert len(hosts) == 3


def test_those_idle_for_more_than_ten_minutes_go_two_at_a_time() -> None:
    hosts = HostRecords(HostLimits(hosts=100))
    for name in "abc":
        hosts.touch(name, 0.0)
    hosts.touch("d", 600.0)
    assert len(hosts) == 4
    hosts.touch("e", 600.5)
    assert [name for name in "abcde" if name in hosts] == ["c", "d", "e"]


def test_when_it_is_full_one_goes_that_is_behind_those_with_permits() -> None:
    hosts = HostRecords(LIMITS)
    for name in "ab":
        hosts.touch(name, 0.0).grant("c", 0, 0.0, prompt=True, slow=False)
    for name in "cd":
        hosts.touch(name, 0.0)
    assert [name for name in "abcd" if name in hosts] == ["a", "b", "d"]


@pytest.mark.parametrize(("limits", "gone"), [(HostLimits(), ""), (HostLimits(permits=2, hosts=4), "c")])
def test_no_more_are_looked_at_than_there_may_be_permits_and_one(limits: HostLimits, gone: str) -> None:
    """While there is room two are looked at, and those with permits go behind the others."""
    hosts = HostRecords(limits)
    for name in "abcd":
        hosts.touch(name, 0.0)
    for name in "ab":
        hosts[name].grant("c", 0, 0.0, prompt=True, slow=False)
    hosts.touch("e", 601.0)
    assert [name for name in "abcde" if name not in hosts] == [*gone]
    hosts.touch("f", 601.0)
    assert [name for name in "abcdef" if name not in hosts] == ["c", "d"]


def test_who_may_be_asked_although_it_has_not_answered() -> None:
    host = new()
    assert host.has_room(10.0)
    moments_s = []
    for _ in range(MAX_PROBES):
        now_s = 10.0 if host.next_probe_s == float("inf") else host.next_probe_s
        assert host.has_room(now_s)
        host.grant("c", 0, now_s, prompt=False, slow=False)
        assert not host.has_room(now_s)
        moments_s.append(now_s)
    assert moments_s == [10.0, 10.25, 10.75]
    assert host.next_probe_s == float("inf")
    assert not host.has_room(100.0)


def test_what_is_late_takes_from_what_a_host_does_in_a_second() -> None:
    host = answering_in(0.5, answers=8)
    permits = [host.grant("c", 0, 10.0, prompt=True, slow=False) for _ in range(6)]
    host.requests.remove(permits[5])
    host.requests.answered(permits[5].started)
    assert host.per_second(12.0) == 16
    assert list(host.age(12.0)) == permits[:5]
    assert (host.current, host.per_second(12.0)) == (1, 6)
    assert (host.max_slow, host.crowded) == (4, False)
    more = [host.grant("c", 0, 12.0, prompt=True, slow=False) for _ in range(3)]
    host.requests.answered(more[2].started)
    host.age(14.0)
    assert host.crowded


def test_slow_paths_have_their_turns_one_after_the_other() -> None:
    """Four at once, each for 12.5 s."""
    host = answering_in(0.5, answers=8)
    assert [host.next_turn_s("c", 10.0) for _ in range(3)] == [10, 13.125, 16.25]
    assert host.next_turn_s("c", 18.0) == 19.375
    assert host.next_turn_s("c", 30.0) == 30
    # Clients share them while both have some.
    assert [host.next_turn_s("d", 30.0) for _ in range(2)] == [30, 36.25]
    assert host.next_turn_s("c", 30.0) == 36.25
    assert host.next_turn_s("c", 60.0) == 60


def test_none_may_be_late_before_the_oldest_that_is_overtaken_is() -> None:
    host = answering_in(0.03125)
    permits = [host.grant("c", number, 10.0 + number, prompt=True, slow=False) for number in range(3)]
    assert not host.may_age(99.0)
    host.release(permits[2], Healthy(), 12.0, lambda: 1.0)
    assert [host.may_age(now_s) for now_s in (10.0, 10.125, 10.25)] == [False, False, True]
    assert host.age(11.5) == [permits[0]]
    # The other is next, and once nothing is overtaken any longer nothing is looked for.
    assert [host.may_age(now_s) for now_s in (11.125, 11.25)] == [False, True]
    host.release(permits[1], Healthy(), 12.0, lambda: 1.0)
    assert host.age(12.0) == []
    assert not host.may_age(99.0)


def test_what_is_of_before_the_circuit_opened_is_not_looked_for() -> None:
    host = answering_in(0.03125)
    permits = [host.grant("c", number, 10.0 + number, prompt=True, slow=False) for number in range(8)]
    host.release(permits[1], Healthy(), 12.0, lambda: 1.0)
    assert host.may_age(99.0)
    for permit in permits[2:7]:
        host.release(permit, Unreachable(), 20.0, lambda: 1.0)
    assert host.health.unreachable
    assert not host.may_age(99.0)
