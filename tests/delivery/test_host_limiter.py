"""Who gets a place on the way to a host, who waits, and who is sent away."""

from collections import Counter
from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import count

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from webrtc_events.delivery.host_health import SILENT_AFTER
from webrtc_events.delivery.host_limiter import Away, HostLimiter, HostLimits, Place, host_of
from webrtc_events.delivery.host_signals import Erred, Sign, Silent, Slower, Took

LIMITS = HostLimits(in_flight=8, connections=8, places=512, waiting=1024, hosts=100)
TOOK = Took()


class Yard:
    """A gate with its clock moved by hand, and tasks that are numbers."""

    def __init__(self, limits: HostLimits = LIMITS, random: float = 0.5) -> None:
        self.limiter: HostLimiter[int] = HostLimiter(limits, lambda: random)
        self.now_s = 100.0
        self._tasks = count()

    def enter(self, host: str = "h", client: str = "c") -> Place | Away | None:
        return self.limiter.enter(host, client, next(self._tasks), self.now_s)

    def places(self, host: str = "h") -> list[Place]:
        """As many places as the host has for now; what came too much waits or is away."""
        found = []
        while isinstance(place := self.enter(host), Place):
            found.append(place)
        return found

    def leave(self, *places: Place, sign: Sign | None = TOOK) -> None:
        for place in places:
            self.limiter.leave(place, sign, self.now_s)

    def resume(self, host: str = "h") -> dict[int, Place | Away | None]:
        """The tasks that need to wait no longer, and what became of them."""
        found = {}
        while (task := self.limiter.next(host, self.now_s)) is not None:
            found[task] = self.limiter.enter(host, "c", task, self.now_s)
        return found

    def later(self, seconds: float) -> None:
        self.now_s += seconds

    def warm(self, host: str = "h", answers: int = 16, seconds: float = 0.005) -> "Yard":
        """The host has answered, and has its whole window."""
        for _ in range(answers):
            place = self.enter(host)
            assert isinstance(place, Place)
            self.later(seconds)
            self.leave(place)
        return self

    def silence(self, host: str = "h") -> None:
        place = self.enter(host)
        assert isinstance(place, Place)
        self.later(10)
        self.leave(place, sign=Silent())


def test_a_new_host_is_asked_once_before_it_answered() -> None:
    yard = Yard()
    (probe,) = yard.places()
    yard.leave(probe)
    assert len(yard.resume()) == 1
    assert len(yard.places()) == 1


def test_no_more_than_the_limit_is_on_its_way_to_one_host() -> None:
    assert len(Yard().warm().places()) == LIMITS.in_flight


@pytest.mark.parametrize(("in_flight", "places"), [(1, 2048), (64, 2048), (500, 16_000)])
def test_a_host_alone_may_have_all_that_the_limit_allows(in_flight: int, places: int) -> None:
    limits = HostLimits.of(in_flight, 1000, descriptors=65_536)
    assert limits.places == places
    assert len(Yard(limits).warm(answers=in_flight).places()) == in_flight


def test_there_are_no_more_places_than_sockets() -> None:
    assert HostLimits.of(64, 64, descriptors=1024).places == 512


def test_what_waited_longest_goes_first() -> None:
    yard = Yard()
    (probe,) = yard.places()
    assert [yard.enter(), yard.enter()] == [None, None]
    yard.leave(probe)
    resumed = yard.resume()
    assert list(resumed) == [1, 2]
    assert all(isinstance(place, Place) for place in resumed.values())


def test_what_waits_for_a_host_that_falls_silent_is_sent_away() -> None:
    yard = Yard()
    (probe,) = yard.places()
    yard.leave(probe, sign=Silent())
    (away,) = yard.resume().values()
    assert isinstance(away, Away)
    assert away.silent
    assert away.delay_s >= 0.75


def test_a_pause_is_no_silence() -> None:
    yard = Yard().warm()
    place = yard.enter()
    assert isinstance(place, Place)
    yard.leave(place, sign=Slower(7))
    away = yard.enter()
    assert isinstance(away, Away)
    assert not away.silent
    assert 7 <= away.delay_s <= 14.1


def test_a_silent_host_is_asked_once_after_its_rest() -> None:
    yard = Yard().warm()
    places = yard.places()
    yard.later(10)
    for each in places[:SILENT_AFTER]:
        yard.leave(each, sign=Silent())
    assert yard.places() == []
    yard.later(1)
    (probe,) = yard.places()
    for each in places[SILENT_AFTER:]:
        yard.leave(each, sign=Silent())
    # What failed late neither opens another way nor shuts the one there is.
    assert yard.places() == []
    yard.leave(probe)
    assert sum(isinstance(place, Place) for place in yard.resume().values()) == 2


def test_what_still_hangs_counts_when_the_host_is_back() -> None:
    yard = Yard().warm()
    yard.leave(*yard.places()[: SILENT_AFTER - 1], sign=Silent())
    yard.leave(yard.places()[0], sign=Silent())
    yard.later(1)
    for _ in range(5):
        # Seven are still on their way from before.
        (place,) = yard.places()
        yard.leave(place)


def test_a_host_that_is_back_is_asked_by_twice_as_many_each_time() -> None:
    yard = Yard(HostLimits(in_flight=64, connections=64))
    yard.silence()
    yard.later(1)
    waves = []
    for _ in range(8):
        resumed = [place for place in yard.resume().values() if isinstance(place, Place)]
        places = [*resumed, *yard.places()]
        waves.append(len(places))
        yard.later(0.05)
        yard.leave(*places)
    assert waves == [1, 2, 4, 8, 16, 32, 64, 64]


def test_hosts_that_never_answered_leave_half_of_the_places_to_those_that_do() -> None:
    yard = Yard(HostLimits(in_flight=8, connections=8, places=512)).warm("fine")
    hanging = 0
    for _ in range(10):
        for number in range(1000):
            hanging += isinstance(yard.enter(f"hangs-{number}", f"c{number % 20}"), Place)
        yard.later(0.5)
    assert 240 <= hanging <= 256
    assert len(yard.places("fine")) == LIMITS.in_flight


def test_slow_hosts_leave_half_of_the_places_and_some_for_new_ones() -> None:
    yard = Yard(HostLimits(in_flight=64, connections=64))
    slow = [f"slow-{number}" for number in range(64)]
    for host in slow:
        yard.warm(host, answers=70, seconds=1.5)
    taken = sum(len(yard.places(host)) for host in slow)
    assert taken <= 1024
    assert len(yard.places("new")) == 1


def test_hosts_that_fall_silent_together_leave_places_to_others() -> None:
    """They were prompt until now, so nothing is known against them."""
    yard = Yard(HostLimits(in_flight=64, connections=64))
    hosts = [f"h{number}" for number in range(200)]
    for host in hosts:
        yard.warm(host, answers=70, seconds=0.001)
    for host in hosts[1:]:
        yard.places(host)
    assert len(yard.places(hosts[0])) >= 1


def test_a_prompt_host_may_have_waiting_what_it_does_in_a_second() -> None:
    yard = Yard(HostLimits(in_flight=8, connections=8, waiting=10_000)).warm(seconds=0.01)
    yard.places()
    waiting = 1
    while yard.enter() is None:
        waiting += 1
    assert waiting == pytest.approx(8 / 0.01, rel=0.01)


def test_what_waits_for_a_host_that_is_prompt_no_longer_is_looked_at_again() -> None:
    yard = Yard().warm()
    yard.places()
    assert yard.enter() is None
    assert yard.limiter.overdue(yard.now_s) == []
    yard.later(0.3)
    assert len(yard.limiter.overdue(yard.now_s)) == 2
    assert yard.resume() == {}
    assert yard.limiter.room == Yard().limiter.room


def test_hosts_that_do_not_answer_keep_little_waiting() -> None:
    yard = Yard()
    for number in range(100):
        for _ in range(100):
            yard.enter(f"hangs-{number}")
    assert yard.limiter.room >= Yard().limiter.room // 2


def test_who_is_sent_away_from_a_resting_host_comes_back_spread() -> None:
    delays = []
    for number in range(100):
        yard = Yard(random=number / 100)
        yard.silence()
        away = yard.enter()
        assert isinstance(away, Away)
        delays.append(away.delay_s)
    assert min(delays) >= 0.5
    assert max(delays) - min(delays) >= 1


def test_all_that_is_sent_away_comes_back_at_a_bounded_rate() -> None:
    yard = Yard()
    hosts = [f"h{number}" for number in range(50)]
    for host in hosts:
        yard.silence(host)
    back = Counter()
    for number in range(10_000):
        away = yard.enter(hosts[number % 50])
        if isinstance(away, Away):
            back[int(yard.now_s + away.delay_s)] += 1
    assert sum(back.values()) > 9_000
    assert max(back.values()) <= 510


def test_who_is_sent_away_from_a_busy_host_comes_back_in_turn() -> None:
    """A host that answers in 100 ms, eight at a time, does 80 in a second."""
    yard = Yard().warm(seconds=0.1, answers=40)
    yard.places()
    while (away := yard.enter()) is None:
        pass
    delays = [away.delay_s] if away else []
    for _ in range(160):
        away = yard.enter()
        assert isinstance(away, Away)
        delays.append(away.delay_s)
    assert delays == sorted(delays)
    # Behind the 80 that wait, and at the host's speed.
    assert delays[0] == pytest.approx(81 / 80, abs=0.05)
    assert delays[160] - delays[0] == pytest.approx(160 / 80, abs=0.4)


def test_one_client_takes_no_more_than_it_leaves_to_others() -> None:
    """Whatever its hosts do: silent, slow, or prompt until now."""
    for seconds in (10.0, 1.5, 0.001):
        yard = Yard(HostLimits(in_flight=64, connections=64))
        hosts = [f"h{number}" for number in range(3000)]
        if seconds < 10:
            for host in hosts[:200]:
                yard.warm(host, answers=70, seconds=seconds)
        for _ in range(20):
            for host in hosts:
                yard.enter(host, "greedy")
            yard.later(0.1)
        newcomers = [yard.enter(f"new-{number}", f"other-{number}") for number in range(40)]
        assert all(isinstance(newcomer, Place) for newcomer in newcomers), seconds


@pytest.mark.parametrize("silent", [100, 3_000, 10_000])
@pytest.mark.parametrize("client", ["greedy", "other"])
def test_a_new_host_finds_a_place_at_once_beside_silent_ones(silent: int, client: str) -> None:
    """Of a client whose other hosts are new too, and silent; an answer takes them 3 s, and it 20 ms."""
    limiter: HostLimiter[int] = HostLimiter(HostLimits(in_flight=64, connections=64), lambda: 0.5)
    play = Play(limiter)
    for number in range(silent):
        play.begin(0.0, f"h{number}", "greedy")
    for number in range(40):
        play.begin(0.3 + number * 0.5, f"new-{number}", client)
    play.until(25.0)
    waited = sorted(play.waited_s(f"new-{number}") for number in range(40))
    assert waited[-1] <= 0.25
    # And the silent ones were not forgotten over it.
    assert play.asked >= min(silent, 1_000)


class Play:
    """Tasks of hosts that are silent for 3 s, or answer after 20 ms, by a clock of its own."""

    def __init__(self, limiter: HostLimiter[int]) -> None:
        self._limiter = limiter
        self._order = count()
        self._happens: list[tuple[float, int, int, Place | None]] = []
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
                _, _, task, place = heappop(self._happens)
                if place is None:
                    self._go_on(task, now_s)
                else:
                    self._answered(place, now_s)
            while (new := self._limiter.next_new(now_s)) is not None:
                self._go_on(new, now_s)

    def _go_on(self, task: int, now_s: float) -> None:
        at_s, host, client = self._tasks[task]
        entry = self._limiter.enter(host, client, task, now_s, accepted_ms=round(at_s * 1000))
        if isinstance(entry, Away):
            heappush(self._happens, (now_s + entry.delay_s, next(self._order), task, None))
        elif entry is not None:
            self.asked += 1
            self._begun.setdefault(host, now_s)
            takes_s = 0.02 if host.startswith("new") else 3.0
            heappush(self._happens, (now_s + takes_s, next(self._order), task, entry))

    def _answered(self, place: Place, now_s: float) -> None:
        good = place.host.startswith("new")
        self._limiter.leave(place, TOOK if good else Silent(), now_s)


def test_what_waits_and_may_not_go_is_not_asked_over_and_over() -> None:
    """A client that has all it may waits on, and another's at the same host goes."""
    yard = Yard(HostLimits(in_flight=64, connections=64))
    yard.warm("slow", answers=70, seconds=1.5)
    for _ in range(5):
        assert isinstance(yard.enter("slow", "greedy"), Place)
    for number in range(2_000):
        yard.enter(f"h{number}", "greedy")
        yard.later(0.003)
    assert [yard.enter("slow", "greedy") for _ in range(3)] == [None, None, None]
    assert yard.limiter.next("slow", yard.now_s) is None
    assert isinstance(yard.enter("slow", "other"), Place)


def test_clear_gives_back_all_that_waits() -> None:
    yard = Yard()
    yard.places("a")
    yard.places("b")
    yard.enter("b")
    assert sorted(yard.limiter.clear()) == [1, 3, 4]
    assert yard.limiter.clear() == []
    assert yard.limiter.room == Yard().limiter.room


def test_hosts_long_idle_are_forgotten_and_busy_ones_are_not() -> None:
    yard = Yard()
    busy = yard.warm("busy").places("busy")
    yard.warm("idle")
    yard.later(601)
    for number in range(3):
        yard.enter(f"h{number}")
    # Forgotten: asked once again, as if it were new.
    assert len(yard.places("idle")) == 1
    yard.leave(*busy)
    resumed = yard.resume("busy")
    assert len(resumed) + len(yard.places("busy")) == LIMITS.in_flight


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


SIGNS = st.sampled_from(
    [Took(), Took(multiplexed=True), Erred(), Slower(0), Slower(3), Silent(), Silent(), None]
)


class GateMachine(RuleBasedStateMachine):
    """The gate as a dispatcher uses it, against plain books on what it gave out."""

    under_way = Bundle("under_way")

    @initialize(
        in_flight=st.integers(1, 4),
        connections=st.integers(1, 4),
        places=st.integers(2, 40),
        waiting=st.integers(1, 20),
        hosts=st.integers(1, 4),
        random=st.floats(0, 1, exclude_max=True),
    )
    def open(
        self, in_flight: int, connections: int, places: int, waiting: int, hosts: int, random: float
    ) -> None:
        self.limits = HostLimits(in_flight, connections, places, waiting, hosts)
        self.limiter: HostLimiter[int] = HostLimiter(self.limits, lambda: random)
        self.now_s = 0.0
        self.tasks = count()
        self.places: dict[Place, str] = {}
        self.generation_of: dict[Place, int] = {}
        self.waits: dict[str, list[int]] = {name: [] for name in HOSTS}
        # What waits because its host is new, and nothing is on its way there.
        self.lobby: dict[int, str] = {}
        # A host that is new or fell silent is of a new generation, until it answers.
        self.generation = Counter[str]()
        self.answered = dict.fromkeys(HOSTS, False)
        self.failures = Counter[str]()
        self.silent_since = dict.fromkeys(HOSTS, float("-inf"))

    def _enter(self, host: str, task: int) -> Place | None:
        entry = self.limiter.enter(host, client_of(task), task, self.now_s)
        if isinstance(entry, Place):
            assert self.now_s - self.silent_since[host] >= 0.5
            self.places[entry] = host
            self.generation_of[entry] = self.generation[host]
            return entry
        if entry is None and host not in self.places.values():
            self.lobby[task] = host
        elif entry is None:
            self.waits[host].append(task)
        else:
            assert 0 < entry.delay_s < 100
        return None

    def _go_on_with_new(self) -> Iterator[Place]:
        while (task := self.limiter.next_new(self.now_s)) is not None:
            host = self.lobby.pop(task)
            if (place := self._enter(host, task)) is not None:
                yield place

    def _go_on(self, host: str) -> Iterator[Place]:
        while (task := self.limiter.next(host, self.now_s)) is not None:
            # Those of one client in order; another may have all that it may.
            assert task == next(each for each in self.waits[host] if client_of(each) == client_of(task))
            self.waits[host].remove(task)
            place = self._enter(host, task)
            # Nothing is sent to the end of the queue.
            assert task not in self.waits[host]
            if place is not None:
                yield place

    def _note(self, host: str, place: Place, sign: Sign | None) -> None:
        if isinstance(sign, Silent):
            if self.generation_of[place] != self.generation[host]:
                return
            self.failures[host] += 1
            if not self.answered[host] or self.failures[host] >= SILENT_AFTER:
                self.answered[host], self.failures[host] = False, 0
                self.generation[host] += 1
                self.silent_since[host] = self.now_s
        elif sign is not None:
            self.answered[host], self.failures[host] = True, 0
            self.silent_since[host] = float("-inf")

    def _leave(self, place: Place, sign: Sign | None) -> list[Place]:
        host = self.places.pop(place)
        self.limiter.leave(place, sign, self.now_s)
        self._note(host, place, sign)
        return list(self._go_on(host))

    @rule(target=under_way, host=st.sampled_from(HOSTS))
    def enter(self, host: str) -> Place | None:
        # A host may have been forgotten, and counts as new then.
        if host not in self.limiter._hosts:
            self.answered[host], self.failures[host] = False, 0
            self.generation[host] += 1
            self.silent_since[host] = float("-inf")
        return self._enter(host, next(self.tasks))

    @rule(target=under_way, place=consumes(under_way), sign=SIGNS)
    def leave(self, place: Place | None, sign: Sign | None) -> Place | None:
        if place is None or place not in self.places:
            return None
        resumed = self._leave(place, sign)
        for each in resumed[1:]:
            # Only one goes into the bundle; the others are answered at once.
            self._leave(each, Took())
        return resumed[0] if resumed else None

    @rule(seconds=st.sampled_from([0.001, 0.1, 0.6, 2.0, 11.0, 700.0]))
    def time_passes(self, seconds: float) -> None:
        self.now_s += seconds

    @rule()
    def look_at_overdue(self) -> None:
        for task in self.limiter.overdue(self.now_s):
            (host,) = (name for name, tasks in self.waits.items() if task in tasks)
            self.waits[host].remove(task)
            self._enter(host, task)

    @rule(target=under_way)
    def look_at_new(self) -> Place | None:
        places = list(self._go_on_with_new())
        for place in places[1:]:
            self._leave(place, Took())
        return places[0] if places else None

    @rule()
    def clear(self) -> None:
        waiting = [*self.lobby, *(task for tasks in self.waits.values() for task in tasks)]
        assert sorted(self.limiter.clear()) == sorted(waiting)
        self.waits = {name: [] for name in HOSTS}
        self.lobby = {}

    @invariant()
    def limits_hold(self) -> None:
        if not hasattr(self, "gate"):
            return
        assert len(self.places) <= self.limits.places
        assert sum(not place.prompt for place in self.places) <= (self.limits.places + 1) // 2
        for host, on_their_way in Counter(self.places.values()).items():
            assert on_their_way <= self.limits.in_flight
            if not self.answered[host]:
                current = [
                    place
                    for place, name in self.places.items()
                    if name == host and self.generation_of[place] == self.generation[host]
                ]
                assert len(current) <= 1

    @invariant()
    def what_waits_is_looked_at(self) -> None:
        if not hasattr(self, "gate"):
            return
        waiting = sum(len(tasks) for tasks in self.waits.values())
        assert self.limiter._waiting.room(prompt=True) == self.limits.waiting - waiting
        for host, tasks in self.waits.items():
            assert not tasks or host in self.places.values()

    @invariant()
    def hosts_are_bounded(self) -> None:
        if hasattr(self, "gate"):
            # Those that are busy stay, and one that comes makes room for itself at the most.
            assert len(self.limiter._hosts) <= self.limits.hosts + self.limits.places

    def teardown(self) -> None:
        """Once all is answered, nothing waits and every place is free."""
        if not hasattr(self, "gate"):
            return
        while self.places or self.lobby:
            # Whatever waits gets a place once there is one, and nothing is put off for ever.
            assert list(self._go_on_with_new()) or self.places
            while self.places:
                self._leave(next(iter(self.places)), Took())
        assert not any(self.waits.values())
        assert not self.limiter.has_new
        assert self.limiter.clear() == []
        assert self.limiter._places.room(prompt=True) == self.limits.places
        assert self.limiter._places.room(prompt=False) == (self.limits.places + 1) // 2
        for number in range(len(HOSTS)):
            place = self.limiter.enter(f"new-{number}", "c", next(self.tasks), self.now_s)
            assert isinstance(place, Place)
            self.limiter.leave(place, TOOK, self.now_s)
        assert len(self.limiter._hosts) <= self.limits.hosts


GateMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
TestGate = GateMachine.TestCase


def test_a_burst_for_a_sink_that_nothing_is_known_of_is_soon_over() -> None:
    """200 subscriptions with five events each; at 64 at once and 50 ms each, 0.8 s at best."""
    limiter: HostLimiter[int] = HostLimiter(HostLimits(in_flight=64, connections=64), lambda: 0.5)
    left = dict.fromkeys(range(200), 5)
    now_s, order = 0.0, count()
    # What happens when: a task that comes (again), or the answer to the one that has a place.
    happens: list[tuple[float, int, int, Place | None]] = [(0.0, next(order), task, None) for task in left]

    def go_on(task: int) -> None:
        entry = limiter.enter("h", "c", task, now_s)
        if isinstance(entry, Away):
            heappush(happens, (now_s + entry.delay_s, next(order), task, None))
        elif entry is not None:
            heappush(happens, (now_s + 0.05, next(order), task, entry))

    while happens:
        now_s, _, task, place = heappop(happens)
        if place is not None:
            limiter.leave(place, TOOK, now_s)
            left[task] -= 1
            while (waiting := limiter.next("h", now_s)) is not None:
                go_on(waiting)
        if left[task]:
            go_on(task)
    assert not any(left.values())
    assert now_s < 2
