"""The host limiter against its rules, in any order of calls."""

from collections import Counter
from collections.abc import Iterator
from itertools import count

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from tests.delivery.limited_hosts import HEALTHY
from webrtc_events.delivery.host_health import FAILURES_TO_OPEN
from webrtc_events.delivery.host_limiter import HostLimiter
from webrtc_events.delivery.host_limits import HostLimits
from webrtc_events.delivery.host_records import MAX_PROBES, HostRecord
from webrtc_events.delivery.host_requests import Permit
from webrtc_events.delivery.host_signals import Error, Healthy, HostSignal, Throttled, Unreachable

HOSTS = ("a", "b", "c", "d", "e", "f")


def client_of(task: int) -> str:
    """One of three, whatever the host: clients may share one."""
    return f"client-{task % 3}"


def path_of(host: str, task: int) -> int:
    """One of two of its host."""
    return 2 * HOSTS.index(host) + task % 2


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
        # What the limiter knew of a host when it last granted a permit.
        self.record_of: dict[str, HostRecord] = {}
        self.generation_of: dict[Permit, int] = {}
        # Which permit of its host it is, which of those answered was the last, and when that was.
        self.number_of: dict[Permit, int] = {}
        self.answered_number = Counter[str]()
        self.granted_s = dict.fromkeys(HOSTS, float("-inf"))
        self.numbers = count(1)
        self.waits: dict[str, list[int]] = {name: [] for name in HOSTS}
        # What waits because its host is new, and nothing is in flight to it.
        self.new: dict[int, str] = {}
        # A host that is new or became unreachable is of a new generation, until it answers.
        self.generation = Counter[str]()
        self.answered = dict.fromkeys(HOSTS, False)
        self.failures = Counter[str]()
        self.unreachable_since = dict.fromkeys(HOSTS, float("-inf"))

    def _acquire(self, host: str, task: int) -> Permit | None:
        if self._is_new(host):
            assert host not in self.permits.values()
            self.answered[host], self.failures[host] = False, 0
            self.generation[host] += 1
            self.unreachable_since[host] = float("-inf")
        entry = self.limiter.acquire(
            host, client_of(task), task, self.now_s, path=path_of(host, task), accepted_ms=0
        )
        if isinstance(entry, Permit):
            assert self.now_s - self.unreachable_since[host] >= 0.5
            if not self.answered[host] and self._current(host):
                assert self.now_s - self.granted_s[host] >= 0.25
            self.granted_s[host] = self.now_s
            self.permits[entry] = host
            self.record_of[host] = self.limiter.records[host]
            self.generation_of[entry] = self.generation[host]
            self.number_of[entry] = next(self.numbers)
            if entry.slow:
                slow = sum(permit.slow for permit, name in self.permits.items() if name == host)
                assert slow <= max(1, self.limits.in_flight // 2)
            return entry
        if entry is None and host not in self.permits.values():
            self.new[task] = host
        elif entry is None:
            self.waits[host].append(task)
        else:
            assert 0 < entry.delay_s < 100
        return None

    def _is_new(self, host: str) -> bool:
        """Whether nothing was sent to it that the limiter remembers: it may have been forgotten."""
        records = self.limiter.records
        return host not in records or records[host] is not self.record_of.get(host)

    def _current(self, host: str) -> list[Permit]:
        """Those of its latest generation."""
        return [
            permit
            for permit, name in self.permits.items()
            if name == host and self.generation_of[permit] == self.generation[host]
        ]

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
            overtaken = self.number_of[permit] < self.answered_number[host]
            if overtaken or self.generation_of[permit] != self.generation[host]:
                return
            self.failures[host] += 1
            if not self.answered[host] or self.failures[host] >= FAILURES_TO_OPEN:
                self.answered[host], self.failures[host] = False, 0
                self.generation[host] += 1
                self.unreachable_since[host] = self.now_s
        elif signal is not None:
            self.answered[host], self.failures[host] = True, 0
            self.unreachable_since[host] = float("-inf")
            self.answered_number[host] = max(self.answered_number[host], self.number_of[permit])

    def _release(self, permit: Permit, signal: HostSignal | None) -> list[Permit]:
        host = self.permits.pop(permit)
        was_back = self.unreachable_since[host] == float("-inf")
        to_probe = self.limiter.release(permit, signal, self.now_s)
        # Others that are unreachable, and only where this one was too.
        assert not to_probe or not (was_back or isinstance(signal, Unreachable | None))
        assert len(to_probe) <= 2
        assert host not in to_probe
        self._note(host, permit, signal)
        return list(self._go_on(host))

    @rule(target=under_way, host=st.sampled_from(HOSTS))
    def acquire(self, host: str) -> Permit | None:
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

    @rule(seconds=st.sampled_from([0.001, 0.1, 0.3, 0.6, 2.0, 11.0, 700.0]))
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

    @rule(target=under_way)
    def look_at_late_probes(self) -> Permit | None:
        permits = [permit for host in self.limiter.to_probe(self.now_s) for permit in self._go_on(host)]
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
                assert len(self._current(host)) <= MAX_PROBES

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
            # Those that are busy stay, and a new one makes room for itself alone.
            assert len(self.limiter.records) <= self.limits.hosts + self.limits.permits

    def teardown(self) -> None:
        """Once all is answered, nothing waits and every permit is free."""
        if not hasattr(self, "limiter"):
            return
        while self.permits or self.new:
            # Whatever waits gets a permit once there is one, or is deferred as its host wants a pause by now.
            # Nothing is passed over for ever.
            waiting = len(self.new)
            permits = list(self._go_on_with_new())
            assert permits or self.permits or len(self.new) < waiting
            while self.permits:
                self._release(next(iter(self.permits)), Healthy())
        assert not any(self.waits.values())
        assert not self.limiter.has_new
        assert self.limiter.clear() == []
        assert self.limiter._permits.room(prompt=True) == self.limits.permits
        assert self.limiter._permits.room(prompt=False) == (self.limits.permits + 1) // 2
        for number in range(len(HOSTS)):
            permit = self.limiter.acquire(
                f"new-{number}", "c", next(self.tasks), self.now_s, path=0, accepted_ms=0
            )
            assert isinstance(permit, Permit)
            self.limiter.release(permit, HEALTHY, self.now_s)
        assert len(self.limiter.records) <= self.limits.hosts


# 150 games; `make mutation` plays fewer.
LimiterMachine.TestCase.settings = settings(
    max_examples=settings().max_examples * 3 // 2, stateful_step_count=60, deadline=None
)
TestLimiter = LimiterMachine.TestCase
