"""Which task gets a permit for its host, which waits, and which is deferred."""

from collections import Counter
from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import count

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from webrtc_events.delivery.deferrals import Deferred
from webrtc_events.delivery.host_health import FAILURES_TO_OPEN
from webrtc_events.delivery.host_limiter import HostLimiter
from webrtc_events.delivery.host_limits import HostLimits
from webrtc_events.delivery.host_records import Permit, host_of
from webrtc_events.delivery.host_signals import Error, Healthy, HostSignal, Throttled, Unreachable

LIMITS = HostLimits(in_flight=8, connections=8, permits=512, waiting=1024, hosts=100)
HEALTHY = Healthy()


class Yard:
    """A limiter with its clock moved by hand, and tasks that are numbers."""

    def __init__(self, limits: HostLimits = LIMITS, random: float = 0.5) -> None:
        self.limiter: HostLimiter[int] = HostLimiter(limits, lambda: random)
        self.now_s = 100.0
        self._tasks = count()

    def acquire(self, host: str = "h", client: str = "c") -> Permit | Deferred | None:
        return self.limiter.acquire(host, client, next(self._tasks), self.now_s)

    def permits(self, host: str = "h") -> list[Permit]:
        """All permits that the host has for now; the task that came after them waits or is deferred."""
        found = []
        while isinstance(permit := self.acquire(host), Permit):
            found.append(permit)
        return found

    def release(self, *permits: Permit, signal: HostSignal | None = HEALTHY) -> None:
        for permit in permits:
            self.limiter.release(permit, signal, self.now_s)

    def resume(self, host: str = "h") -> dict[int, Permit | Deferred | None]:
        """The tasks that need to wait no longer, and what became of them."""
        found = {}
        while (task := self.limiter.next_waiting(host, self.now_s)) is not None:
            found[task] = self.limiter.acquire(host, "c", task, self.now_s)
        return found

    def later(self, seconds: float) -> None:
        self.now_s += seconds

    def warm(self, host: str = "h", answers: int = 16, seconds: float = 0.005) -> "Yard":
        """The host has answered, and has its whole limit."""
        for _ in range(answers):
            permit = self.acquire(host)
            assert isinstance(permit, Permit)
            self.later(seconds)
            self.release(permit)
        return self

    def break_off(self, host: str = "h") -> None:
        permit = self.acquire(host)
        assert isinstance(permit, Permit)
        self.later(10)
        self.release(permit, signal=Unreachable())


def test_a_new_host_is_asked_once_before_it_answered() -> None:
    yard = Yard()
    (probe,) = yard.permits()
    yard.release(probe)
    assert len(yard.resume()) == 1
    assert len(yard.permits()) == 1


def test_no_more_than_the_limit_is_in_flight_to_one_host() -> None:
    assert len(Yard().warm().permits()) == LIMITS.in_flight


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
    assert yard.acquire("silent") == Deferred(pytest.approx(1.002), unreachable=False)


def test_one_new_host_too_many_is_deferred_by_about_a_second() -> None:
    yard = Yard(HostLimits(in_flight=8, connections=8, permits=2, waiting=16), random=0.25)
    limiter = yard.limiter
    assert isinstance(limiter.acquire("a", "c", 0, yard.now_s), Permit)
    assert limiter.acquire("b", "c", 1, yard.now_s, accepted_ms=5) is None
    assert limiter.has_new
    late = limiter.acquire("d", "c", 2, yard.now_s, accepted_ms=4)
    assert late == Deferred(pytest.approx(0.752), unreachable=False)
    # The newer takes the place of the older.
    assert limiter.acquire("e", "c", 3, yard.now_s, accepted_ms=6) is None
    assert limiter.next_new(yard.now_s) == 1
    assert limiter.next_new(yard.now_s) is None
    assert limiter.clear() == [3]
    assert not limiter.has_new


def test_new_hosts_that_waited_in_vain_are_deferred_and_wait_no_more() -> None:
    yard = Yard(HostLimits(in_flight=8, connections=8, permits=2, waiting=64))
    assert isinstance(yard.acquire("first"), Permit)
    assert [yard.acquire("a", "one"), yard.acquire("b", "other")] == [None, None]
    yard.later(2.9)
    assert yard.limiter.next_new(yard.now_s) is None
    yard.later(0.1)
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


def test_what_is_deferred_by_a_busy_host_comes_back_in_turn() -> None:
    """A host that answers in 100 ms, eight at a time, does 80 in a second."""
    yard = Yard().warm(seconds=0.1, answers=40)
    yard.permits()
    while (deferred := yard.acquire()) is None:
        pass
    delays = [deferred.delay_s] if deferred else []
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
def test_a_new_host_finds_a_place_at_once_beside_silent_ones(unreachable: int, client: str) -> None:
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
        entry = self._limiter.acquire(host, client, task, now_s, accepted_ms=round(at_s * 1000))
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


HOSTS = ("a", "b", "c", "d", "e", "f")


def client_of(task: int) -> str:
    """One of three, whatever the host: clients may share one."""
    return f"client-{task % 3}"


SIGNALS = st.sampled_from(
    [
        Healthy(),
        Healthy(multiplexed=True),
        Error(),
        Throttled(0),
        Throttled(3),
        Unreachable(),
        Unreachable(),
        None,
    ]
)


class LimiterMachine(RuleBasedStateMachine):
    """The limiter as a dispatcher uses it, against plain books on what it gave out."""

    under_way = Bundle("under_way")

    @initialize(
        in_flight=st.integers(1, 4),
        connections=st.integers(1, 4),
        permits=st.integers(2, 40),
        waiting=st.integers(1, 20),
        hosts=st.integers(1, 4),
        random=st.floats(0, 1, exclude_max=True),
    )
    def open(
        self, in_flight: int, connections: int, permits: int, waiting: int, hosts: int, random: float
    ) -> None:
        self.limits = HostLimits(in_flight, connections, permits, waiting, hosts)
        self.limiter: HostLimiter[int] = HostLimiter(self.limits, lambda: random)
        self.now_s = 0.0
        self.tasks = count()
        self.permits: dict[Permit, str] = {}
        self.generation_of: dict[Permit, int] = {}
        self.waits: dict[str, list[int]] = {name: [] for name in HOSTS}
        # What waits because its host is new, and nothing is in flight to it.
        self.new: dict[int, str] = {}
        # A host that is new or became unreachable is of a new generation, until it answers.
        self.generation = Counter[str]()
        self.answered = dict.fromkeys(HOSTS, False)
        self.failures = Counter[str]()
        self.unreachable_since = dict.fromkeys(HOSTS, float("-inf"))

    def _acquire(self, host: str, task: int) -> Permit | None:
        entry = self.limiter.acquire(host, client_of(task), task, self.now_s)
        if isinstance(entry, Permit):
            assert self.now_s - self.unreachable_since[host] >= 0.5
            self.permits[entry] = host
            self.generation_of[entry] = self.generation[host]
            return entry
        if entry is None and host not in self.permits.values():
            self.new[task] = host
        elif entry is None:
            self.waits[host].append(task)
        else:
            assert 0 < entry.delay_s < 100
        return None

    def _go_on_with_new(self) -> Iterator[Permit]:
        while (task := self.limiter.next_new(self.now_s)) is not None:
            host = self.new.pop(task)
            if (permit := self._acquire(host, task)) is not None:
                yield permit

    def _go_on(self, host: str) -> Iterator[Permit]:
        while (task := self.limiter.next_waiting(host, self.now_s)) is not None:
            # Those of one client in order; another may have all that it may.
            assert task == next(other for other in self.waits[host] if client_of(other) == client_of(task))
            self.waits[host].remove(task)
            permit = self._acquire(host, task)
            # Nothing is sent to the end of the queue.
            assert task not in self.waits[host]
            if permit is not None:
                yield permit

    def _note(self, host: str, permit: Permit, signal: HostSignal | None) -> None:
        if isinstance(signal, Unreachable):
            if self.generation_of[permit] != self.generation[host]:
                return
            self.failures[host] += 1
            if not self.answered[host] or self.failures[host] >= FAILURES_TO_OPEN:
                self.answered[host], self.failures[host] = False, 0
                self.generation[host] += 1
                self.unreachable_since[host] = self.now_s
        elif signal is not None:
            self.answered[host], self.failures[host] = True, 0
            self.unreachable_since[host] = float("-inf")

    def _release(self, permit: Permit, signal: HostSignal | None) -> list[Permit]:
        host = self.permits.pop(permit)
        self.limiter.release(permit, signal, self.now_s)
        self._note(host, permit, signal)
        return list(self._go_on(host))

    @rule(target=under_way, host=st.sampled_from(HOSTS))
    def acquire(self, host: str) -> Permit | None:
        # A host may have been forgotten, and counts as new then.
        if host not in self.limiter._hosts:
            self.answered[host], self.failures[host] = False, 0
            self.generation[host] += 1
            self.unreachable_since[host] = float("-inf")
        return self._acquire(host, next(self.tasks))

    @rule(target=under_way, permit=consumes(under_way), signal=SIGNALS)
    def release(self, permit: Permit | None, signal: HostSignal | None) -> Permit | None:
        if permit is None or permit not in self.permits:
            return None
        resumed = self._release(permit, signal)
        for other in resumed[1:]:
            # Only one goes into the bundle; the others are answered at once.
            self._release(other, Healthy())
        return resumed[0] if resumed else None

    @rule(seconds=st.sampled_from([0.001, 0.1, 0.6, 2.0, 11.0, 700.0]))
    def time_passes(self, seconds: float) -> None:
        self.now_s += seconds

    @rule()
    def look_at_overdue(self) -> None:
        for task in self.limiter.overdue(self.now_s):
            (host,) = (name for name, tasks in self.waits.items() if task in tasks)
            self.waits[host].remove(task)
            self._acquire(host, task)

    @rule(target=under_way)
    def look_at_new(self) -> Permit | None:
        permits = list(self._go_on_with_new())
        for permit in permits[1:]:
            self._release(permit, Healthy())
        return permits[0] if permits else None

    @rule()
    def clear(self) -> None:
        waiting = [*self.new, *(task for tasks in self.waits.values() for task in tasks)]
        assert sorted(self.limiter.clear()) == sorted(waiting)
        self.waits = {name: [] for name in HOSTS}
        self.new = {}

    @invariant()
    def limits_hold(self) -> None:
        if not hasattr(self, "limiter"):
            return
        assert len(self.permits) <= self.limits.permits
        assert sum(not permit.prompt for permit in self.permits) <= (self.limits.permits + 1) // 2
        for host, in_flight in Counter(self.permits.values()).items():
            assert in_flight <= self.limits.in_flight
            if not self.answered[host]:
                current = [
                    permit
                    for permit, name in self.permits.items()
                    if name == host and self.generation_of[permit] == self.generation[host]
                ]
                assert len(current) <= 1

    @invariant()
    def what_waits_is_looked_at(self) -> None:
        if not hasattr(self, "limiter"):
            return
        waiting = sum(len(tasks) for tasks in self.waits.values())
        assert self.limiter._queues._pool.room(prompt=True) == self.limits.waiting - waiting
        for host, tasks in self.waits.items():
            assert not tasks or host in self.permits.values()

    @invariant()
    def hosts_are_bounded(self) -> None:
        if hasattr(self, "limiter"):
            # Those that are busy stay, and one that comes makes room for itself at the most.
            assert len(self.limiter._hosts) <= self.limits.hosts + self.limits.permits

    def teardown(self) -> None:
        """Once all is answered, nothing waits and every permit is free."""
        if not hasattr(self, "limiter"):
            return
        while self.permits or self.new:
            # Whatever waits gets a permit once there is one, and nothing is passed over for ever.
            assert list(self._go_on_with_new()) or self.permits
            while self.permits:
                self._release(next(iter(self.permits)), Healthy())
        assert not any(self.waits.values())
        assert not self.limiter.has_new
        assert self.limiter.clear() == []
        assert self.limiter._permits.room(prompt=True) == self.limits.permits
        assert self.limiter._permits.room(prompt=False) == (self.limits.permits + 1) // 2
        for number in range(len(HOSTS)):
            permit = self.limiter.acquire(f"new-{number}", "c", next(self.tasks), self.now_s)
            assert isinstance(permit, Permit)
            self.limiter.release(permit, HEALTHY, self.now_s)
        assert len(self.limiter._hosts) <= self.limits.hosts


# 150 games; `make mutation` plays fewer.
LimiterMachine.TestCase.settings = settings(
    max_examples=settings().max_examples * 3 // 2, stateful_step_count=60, deadline=None
)
TestLimiter = LimiterMachine.TestCase


def test_a_burst_for_a_sink_that_nothing_is_known_of_is_soon_over() -> None:
    """200 subscriptions with five events each; at 64 at once and 50 ms each, 0.8 s at best."""
    limiter: HostLimiter[int] = HostLimiter(HostLimits(in_flight=64, connections=64), lambda: 0.5)
    left = dict.fromkeys(range(200), 5)
    now_s, order = 0.0, count()
    # What happens when: a task that comes (again), or the answer to the one that has a permit.
    happens: list[tuple[float, int, int, Permit | None]] = [(0.0, next(order), task, None) for task in left]

    def go_on(task: int) -> None:
        entry = limiter.acquire("h", "c", task, now_s)
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
