"""Paths that hang on a host that answers others: what they cost these, and what they may have."""

import pytest

from tests.delivery.limited_hosts import HEALTHY, LIMITS, Yard
from tests.delivery.simulated_worker import Path, SimulatedWorker, paths
from webrtc_events.delivery.deferrals import Deferred
from webrtc_events.delivery.host_health import FAILURES_TO_OPEN
from webrtc_events.delivery.host_limits import HostLimits
from webrtc_events.delivery.host_requests import Permit
from webrtc_events.delivery.host_signals import Unreachable

WIDE = HostLimits(in_flight=64, connections=64)


def drained_s(worker: SimulatedWorker) -> float:
    assert not any(left for path, left in worker.left.items() if not path.hangs)
    return max(moment_s for moments_s in worker.delivered.values() for moment_s in moments_s)


def test_one_path_in_twenty_that_hangs_costs_the_others_of_its_host_little() -> None:
    """Twenty hosts, each with one such path; a worker that does 10,000 requests a second at best."""
    without = SimulatedWorker(paths(20, 19, 0), events=40).run(60)
    worker = SimulatedWorker(paths(20, 19, 1), events=40).run(60)
    first = {path.host: path for path in sorted(worker.asked, key=lambda path: worker.asked[path][0])[::-1]}
    assert any(path.hangs for path in first.values()), "no host was probed by a path that hangs"
    assert drained_s(worker) <= drained_s(without) / 0.9


def test_paths_that_hang_never_have_all_that_their_host_may_have() -> None:
    """A hundred of them beside two hundred, which have more events than the test waits for."""
    worker = SimulatedWorker(paths(1, 200, 100), events=10**6, request_s=0.002).run(11)
    assert worker.max_hanging["h0"] < WIDE.in_flight
    answered = [moments_s for path, moments_s in worker.delivered.items() if not path.hangs and moments_s]
    assert len(answered) > 100
    # They go on while the others hang: each has its turn every 4 s.
    assert all(moments_s[-1] > 6 for moments_s in answered)


def test_paths_that_are_known_to_hang_have_half_of_it_and_none_is_forgotten() -> None:
    worker = SimulatedWorker(paths(1, 40, 60), events=10**6, request_s=0.01).run(40)
    worker.max_hanging.clear()
    before = {path: len(moments_s) for path, moments_s in worker.asked.items() if path.hangs}
    assert all(before.values())
    worker.run(140)
    assert 16 <= worker.max_hanging["h0"] <= 32
    assert all(len(worker.asked[path]) > asked for path, asked in before.items())


def test_one_client_leaves_permits_to_others_beside_its_paths_that_hang() -> None:
    hanging = [path._replace(client="greedy") for path in paths(60, 1, 64)]
    new = [Path(f"new-{number}", "answers", f"other-{number}") for number in range(40)]
    worker = SimulatedWorker(hanging, events=10**6, request_s=0.002).run(5)
    for path in new:
        assert isinstance(
            worker.limiter.acquire(
                path.host, path.client, path, worker.now_s, path=hash(path), accepted_ms=0
            ),
            Permit,
        )


def test_a_host_that_stops_is_found_at_once_although_a_path_of_it_hangs() -> None:
    """The whole of it: what was started after its last answer has none."""
    yard = Yard()
    hangs = yard.warm().acquire(path=1)
    assert isinstance(hangs, Permit)
    yard.warm().later(20)
    host = yard.limiter._hosts["h"]
    assert host.prompt(yard.now_s)
    in_flight = yard.permits()
    assert len(in_flight) == LIMITS.in_flight - 1
    yard.later(0.24)
    assert host.prompt(yard.now_s)
    yard.later(0.02)
    assert not host.prompt(yard.now_s)
    assert len(yard.limiter.overdue(yard.now_s)) == 1
    yard.later(10)
    yard.release(*in_flight[:FAILURES_TO_OPEN], signal=Unreachable())
    assert yard.limiter.unreachable("h")


def test_what_hangs_is_no_failure_of_its_host_however_often() -> None:
    yard = Yard()
    hang = [yard.warm().acquire(path=number + 1) for number in range(FAILURES_TO_OPEN)]
    yard.warm().later(10)
    for permit in hang:
        assert isinstance(permit, Permit)
        yard.release(permit, signal=Unreachable())
    assert not yard.limiter.unreachable("h")
    host = yard.limiter._hosts["h"]
    assert host.prompt(yard.now_s)
    assert host.health.response_s < 0.01


def test_what_hangs_leaves_the_adaptive_limit_to_the_others() -> None:
    yard = Yard(HostLimits(in_flight=64, connections=64)).warm(answers=4)
    assert yard.limiter._hosts["h"].health.limit == 5
    assert isinstance(yard.acquire(path=1), Permit)
    yard.later(0.005)
    second = yard.acquire()
    assert isinstance(second, Permit)
    yard.release(second)
    assert len(yard.permits()) == 5
    yard.later(1)
    assert isinstance(yard.acquire(), Permit)


def hung(yard: Yard, count: int, seconds: float = 1.0) -> list[Permit]:
    """That many paths, from 1 on, hang at the host for that long, which answers others."""
    found = [yard.acquire(path=number + 1) for number in range(count)]
    yard.later(0.005)
    answered = yard.acquire()
    assert isinstance(answered, Permit)
    yard.release(answered)
    yard.later(seconds)
    permits = [permit for permit in found if isinstance(permit, Permit)]
    assert len(permits) == count
    return permits


def test_slow_paths_have_half_of_what_their_host_may_have_and_take_turns() -> None:
    yard = Yard(WIDE).warm(answers=70)
    permits = hung(yard, 40)
    yard.release(*permits[:8], signal=Unreachable())
    # 32 hang yet, as many as may. Each has its turn after the one before, or else is asked a second later.
    for path, wait_s in ((1, 1), (2, 12.5 / 32), (3, 2 * 12.5 / 32), (2, 12.5 / 32), (1, 1)):
        deferred = yard.acquire(path=path)
        assert isinstance(deferred, Deferred)
        assert not deferred.unreachable
        assert deferred.delay_s == pytest.approx(wait_s, abs=0.02)
    assert isinstance(yard.acquire(), Permit)
    yard.release(*permits[8:11], signal=Unreachable())
    retried = yard.acquire(path=1)
    assert isinstance(retried, Permit)
    assert retried.slow
    assert not retried.prompt
    # Another of that path is behind the others.
    again = yard.acquire(path=1)
    assert isinstance(again, Deferred)
    assert again.delay_s == pytest.approx(3 * 12.5 / 32, abs=0.02)
    yard.later(0.4)
    assert isinstance(yard.acquire(path=2), Permit)


def test_a_client_with_one_slow_path_does_not_wait_behind_all_of_another() -> None:
    yard = Yard().warm()
    for path in range(100, 300):
        yard.limiter._paths.hangs(path)
        yard.acquire(client="greedy", path=path)
    for path in (1, 2):
        yard.limiter._paths.hangs(path)
    assert isinstance(yard.acquire(client="modest", path=1), Permit)
    second = yard.acquire(client="modest", path=2)
    assert isinstance(second, Deferred)
    assert second.delay_s < 10


def test_a_slow_path_that_answers_is_slow_no_longer() -> None:
    yard = Yard(WIDE).warm(answers=70)
    (permit,) = hung(yard, 1)
    yard.release(permit, signal=Unreachable())
    for slow, seconds in ((True, 0.005), (False, 0.005)):
        retried = yard.acquire(path=1)
        assert isinstance(retried, Permit)
        assert retried.slow is slow
        yard.later(seconds)
        yard.release(retried)


def test_an_answer_after_a_second_is_that_of_a_path_that_does_not_hang() -> None:
    yard = Yard(WIDE).warm(answers=70)
    (permit,) = hung(yard, 1, seconds=5)
    yard.release(permit)
    again = yard.acquire(path=1)
    assert isinstance(again, Permit)
    assert not again.slow
    assert yard.limiter._hosts["h"].health.response_s < 0.01


def test_the_last_eighth_of_a_host_is_for_paths_that_answer() -> None:
    yard = Yard(WIDE).warm(answers=70)
    hung(yard, 56, seconds=0.3)
    unknown = yard.acquire(path=100)
    assert isinstance(unknown, Deferred)
    assert unknown.delay_s == pytest.approx(1.002)
    assert len(yard.permits()) == 8


def test_those_in_flight_when_a_host_stopped_are_no_slow_paths() -> None:
    """They were not to blame: once it is back, all of them go."""
    yard = Yard(WIDE).warm(answers=70)
    permits = [yard.acquire(path=number + 1) for number in range(60)]
    yard.later(10)
    for permit in permits[:FAILURES_TO_OPEN]:
        assert isinstance(permit, Permit)
        yard.release(permit, signal=Unreachable())
    assert yard.limiter.unreachable("h")
    yard.later(1)
    for number in range(10):
        back = yard.acquire(path=number + 1)
        assert isinstance(back, Permit)
        assert not back.slow
        yard.release(back, signal=HEALTHY)


def test_a_host_that_has_not_answered_is_probed_again_by_and_by() -> None:
    """The first probe may have met a path that hangs."""
    yard = Yard()
    moments_s = []
    while yard.now_s < 109:
        moments_s += [round(yard.now_s - 100, 2)] * len(yard.permits())
        yard.later(0.01)
    assert moments_s == pytest.approx([0, 0.25, 0.75], abs=0.03)


def test_what_waits_for_its_first_answer_goes_when_that_is_late() -> None:
    yard = Yard()
    assert len(yard.permits()) == 1
    assert yard.limiter.next_probe_s == pytest.approx(100.25)
    assert yard.limiter.to_probe(100.24) == []
    assert yard.limiter.awaited("h")
    yard.later(0.25)
    assert yard.limiter.awaited("h")
    assert yard.limiter.to_probe(yard.now_s) == ["h"]
    (second,) = yard.resume().values()
    assert isinstance(second, Permit)
    yard.later(0.005)
    yard.release(second)
    assert not yard.limiter.awaited("h")
    assert yard.limiter.to_probe(yard.now_s + 10) == ["h"]
    assert yard.limiter.next_probe_s is None
    assert not yard.limiter.awaited("unknown")
