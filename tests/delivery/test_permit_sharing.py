"""Clients share permits, and new hosts get theirs beside unreachable ones."""

from heapq import heappop, heappush
from itertools import count

import pytest

from tests.delivery.limited_hosts import HEALTHY, Yard
from webrtc_events.delivery.deferrals import Deferred
from webrtc_events.delivery.host_limiter import HostLimiter
from webrtc_events.delivery.host_limits import HostLimits
from webrtc_events.delivery.host_requests import Permit
from webrtc_events.delivery.host_signals import Unreachable


def test_what_is_deferred_by_a_busy_host_comes_back_in_order() -> None:
    """A host that answers in 100 ms, eight at a time, does 80 in a second."""
    yard = Yard().warm(seconds=0.1, answers=40)
    yard.permits()
    while (deferred := yard.acquire()) is None:
        pass
    assert isinstance(deferred, Deferred)
    delays = [deferred.delay_s]
    for _ in range(160):
        deferred = yard.acquire()
        assert isinstance(deferred, Deferred)
        delays.append(deferred.delay_s)
    assert delays == sorted(delays)
    # Behind the 80 that wait, and at the host's speed.
    assert delays[0] == pytest.approx(81 / 80, abs=0.05)
    assert delays[160] - delays[0] == pytest.approx(160 / 80, abs=0.4)


def test_one_client_takes_no_more_than_it_leaves_to_others() -> None:
    """Whatever its hosts do: unreachable, slow, or prompt until now."""
    for seconds in (10.0, 1.5, 0.001):
        yard = Yard(HostLimits(in_flight=64, connections=64))
        hosts = [f"h{number}" for number in range(3000)]
        if seconds < 10:
            for host in hosts[:200]:
                yard.warm(host, answers=70, seconds=seconds)
        for _ in range(20):
            for host in hosts:
                yard.acquire(host, "greedy")
            yard.later(0.1)
        newcomers = [yard.acquire(f"new-{number}", f"other-{number}") for number in range(40)]
        assert all(isinstance(newcomer, Permit) for newcomer in newcomers), seconds


@pytest.mark.parametrize("unreachable", [100, 3_000, 10_000])
@pytest.mark.parametrize("client", ["greedy", "other"])
def test_a_new_host_gets_a_permit_at_once_beside_unreachable_ones(unreachable: int, client: str) -> None:
    """Of a client whose other hosts are new too, and unreachable; an answer takes them 3 s, and it 20 ms."""
    limiter: HostLimiter[int] = HostLimiter(HostLimits(in_flight=64, connections=64), lambda: 0.5)
    play = Play(limiter)
    for number in range(unreachable):
        play.begin(0.0, f"h{number}", "greedy")
    for number in range(40):
        play.begin(0.3 + number * 0.5, f"new-{number}", client)
    play.until(25.0)
    waited = sorted(play.waited_s(f"new-{number}") for number in range(40))
    assert waited[-1] <= 0.25
    # And the unreachable ones were not forgotten over it.
    assert play.asked >= min(unreachable, 1_000)


class Play:
    """Tasks of hosts that time out after 3 s, or answer after 20 ms, with a simulated clock."""

    def __init__(self, limiter: HostLimiter[int]) -> None:
        self._limiter = limiter
        self._order = count()
        self._happens: list[tuple[float, int, int, Permit | None]] = []
        self._tasks: list[tuple[float, str, str]] = []
        self._begun: dict[str, float] = {}
        self.asked = 0

    def begin(self, at_s: float, host: str, client: str) -> None:
        self._tasks.append((at_s, host, client))
        heappush(self._happens, (at_s, next(self._order), len(self._tasks) - 1, None))

    def waited_s(self, host: str) -> float:
        return self._begun[host] - next(at_s for at_s, name, _ in self._tasks if name == host)

    def until(self, end_s: float) -> None:
        now_s = 0.0
        while now_s < end_s:
            now_s += 0.01
            while self._happens and self._happens[0][0] <= now_s:
                _, _, task, permit = heappop(self._happens)
                if permit is None:
                    self._go_on(task, now_s)
                else:
                    self._answered(permit, now_s)
            while (new := self._limiter.next_new(now_s)) is not None:
                self._go_on(new, now_s)

    def _go_on(self, task: int, now_s: float) -> None:
        at_s, host, client = self._tasks[task]
        entry = self._limiter.acquire(
            host, client, task, now_s, path=hash(host), accepted_ms=round(at_s * 1000)
        )
        if isinstance(entry, Deferred):
            heappush(self._happens, (now_s + entry.delay_s, next(self._order), task, None))
        elif entry is not None:
            self.asked += 1
            self._begun.setdefault(host, now_s)
            takes_s = 0.02 if host.startswith("new") else 3.0
            heappush(self._happens, (now_s + takes_s, next(self._order), task, entry))

    def _answered(self, permit: Permit, now_s: float) -> None:
        good = permit.host.startswith("new")
        self._limiter.release(permit, HEALTHY if good else Unreachable(), now_s)


def test_what_waits_and_may_not_go_is_not_asked_over_and_over() -> None:
    """A client that has all it may waits on, and another's at the same host goes."""
    yard = Yard(HostLimits(in_flight=64, connections=64))
    yard.warm("slow", answers=70, seconds=1.5)
    for _ in range(5):
        assert isinstance(yard.acquire("slow", "greedy"), Permit)
    for number in range(2_000):
        yard.acquire(f"h{number}", "greedy")
        yard.later(0.003)
    assert [yard.acquire("slow", "greedy") for _ in range(3)] == [None, None, None]
    assert yard.limiter.next_waiting("slow", yard.now_s) is None
    assert isinstance(yard.acquire("slow", "other"), Permit)


def test_clear_gives_back_all_that_waits() -> None:
    yard = Yard()
    yard.permits("a")
    yard.permits("b")
    yard.acquire("b")
    assert sorted(yard.limiter.clear()) == [1, 3, 4]
    assert yard.limiter.clear() == []
    assert yard.limiter.room == Yard().limiter.room


def test_a_burst_for_a_sink_that_nothing_is_known_of_is_soon_over() -> None:
    """200 subscriptions with five events each; at 64 at once and 50 ms each, 0.8 s at best."""
    limiter: HostLimiter[int] = HostLimiter(HostLimits(in_flight=64, connections=64), lambda: 0.5)
    left = dict.fromkeys(range(200), 5)
    now_s, order = 0.0, count()
    # What happens when: a task that comes (again), or the answer to the one that has a permit.
    happens: list[tuple[float, int, int, Permit | None]] = [(0.0, next(order), task, None) for task in left]

    def go_on(task: int) -> None:
        entry = limiter.acquire("h", "c", task, now_s, path=task, accepted_ms=0)
        if isinstance(entry, Deferred):
            heappush(happens, (now_s + entry.delay_s, next(order), task, None))
        elif entry is not None:
            heappush(happens, (now_s + 0.05, next(order), task, entry))

    while happens:
        now_s, _, task, permit = heappop(happens)
        if permit is not None:
            limiter.release(permit, HEALTHY, now_s)
            left[task] -= 1
            while (waiting := limiter.next_waiting("h", now_s)) is not None:
                go_on(waiting)
        if left[task]:
            go_on(task)
    assert not any(left.values())
    assert now_s < 2
