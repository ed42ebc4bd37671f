"""The records of hosts: health, requests in flight, load to come. Pure.

Times are seconds of one monotonic clock.
"""

from collections import OrderedDict
from collections.abc import Callable
from itertools import islice
from math import exp2
from typing import Final, NamedTuple

from webrtc_events.delivery.host_health import PROMPT_S, HostHealth
from webrtc_events.delivery.host_limits import HostLimits
from webrtc_events.delivery.host_requests import HostRequests, Permit
from webrtc_events.delivery.host_signals import HostSignal, Unreachable
from webrtc_events.delivery.shares import HostStanding

__all__ = ["MAX_PROBES", "HostRecord", "HostRecords", "Outage"]

MAX_PROBES: Final = 3
"""Of a host that has not answered yet. A probe may have met a path that hangs, so another follows it."""

_HICCUP_S: Final = 0.25
# After the first probe; after the second it is twice as long.
_NEXT_PROBE_S: Final = 0.25
# Of doublings; any limit is reached by then.
_MAX_ROUNDS: Final = 30.0
# A host of which nothing is known yet is taken to answer as fast as this.
_GUESSED_RESPONSE_S: Final = 0.05
_MIN_RESPONSE_S: Final = 0.001
_MIN_DEFERRAL_S: Final = 0.1
_MAX_DEFERRAL_S: Final = 10.0
_IDLE_S: Final = 600.0
# What a request to a slow path takes, and somewhat more, so that whoever has its turn finds a permit.
_HANGING_S: Final = 12.5
# In 3.11 a member of an enumeration is looked up by a function.
_PROMPT: Final = HostStanding.PROMPT


class Outage(NamedTuple):
    """A host whose circuit is open: since when, when a request to it last failed, and why."""

    host: str
    since_s: float
    failed_s: float
    reason: str


class HostRecord:
    """One host. `current`: requests of the health's latest epoch in flight, without those that hang."""

    __slots__ = (
        "_deferred_until_s",
        "_granted_s",
        "_slow_turns_s",
        "current",
        "health",
        "name",
        "passed_over",
        "requests",
        "touched_s",
    )

    def __init__(self, name: str, limits: HostLimits) -> None:
        self.name = name
        self.health = HostHealth(in_flight=limits.in_flight, connections=limits.connections)
        self.requests = HostRequests()
        self.current = 0
        self.touched_s = 0.0
        # New, and there was no permit when it came.
        self.passed_over = False
        self._deferred_until_s = self._granted_s = float("-inf")
        # The latest of each client.
        self._slow_turns_s: dict[str, float] = {}

    def standing(self, now_s: float) -> HostStanding:
        if self.prompt(now_s):
            return _PROMPT
        if self.health.answered or self.health.unreachable or self.requests.count:
            return HostStanding.OWING
        return HostStanding.PASSED_OVER if self.passed_over else HostStanding.NEW

    def prompt(self, now_s: float) -> bool:
        """Whether it answers soon, and does not take far longer at the moment than it usually does."""
        health = self.health
        if not health.answered or health.response_s >= PROMPT_S:
            return False
        age_s = self.requests.age_s(now_s)
        # Most answers come at once, which needs no look at how long they usually take.
        return age_s < _HICCUP_S or age_s < min(PROMPT_S, self.late_s)

    @property
    def late_s(self) -> float:
        """An answer that takes longer takes far longer than usual."""
        return max(_HICCUP_S, 4 * self.health.response_s)

    def response_s(self, now_s: float) -> float:
        """How long its answers take, at least."""
        known_s = self.health.response_s if self.health.answered else _GUESSED_RESPONSE_S
        return max(known_s, self.requests.age_s(now_s), _MIN_RESPONSE_S)

    def per_second(self, now_s: float) -> float:
        """How many requests it answers in a second, beside those that hang."""
        limit = min(self.health.limit, self.health.max_limit - self._late)
        return max(1, limit) / self.response_s(now_s)

    def has_room(self, now_s: float) -> bool:
        """Whether its limits allow one more."""
        health = self.health
        if self.requests.count >= health.max_limit:
            return False
        return self.current < health.limit or (not health.answered and now_s >= self.next_probe_s)

    @property
    def next_probe_s(self) -> float:
        """When one more probe may follow those in flight; infinite if none may."""
        if self.health.answered or not 0 < self.current < MAX_PROBES:
            return float("inf")
        return self._granted_s + _NEXT_PROBE_S * self.current

    @property
    def awaited(self) -> bool:
        """Whether it has not answered yet, or no longer does. Its first answer changes what may go there."""
        return not self.health.answered

    def grant(self, client: str, path: int, now_s: float, *, prompt: bool, slow: bool) -> Permit:
        permit = Permit(self.name, client, path, self.health.start(now_s), prompt=prompt, slow=slow)
        self.requests.add(permit)
        self.current += 1
        self.passed_over = False
        self._granted_s = now_s
        return permit

    @property
    def max_slow(self) -> int:
        """How many requests of slow paths may be in flight."""
        return max(1, self.health.max_limit // 2)

    @property
    def crowded(self) -> bool:
        """Whether so many are late or hang that the rest is for paths that answer."""
        return self._late >= self.health.max_limit - self.health.max_limit // 8

    @property
    def _late(self) -> int:
        """How many are late, or hang."""
        return len(self.requests.late) + len(self.requests.hanging)

    def may_age(self, now_s: float) -> bool:
        """Whether any may be late, or hang, by now. Of most hosts, none ever is."""
        return now_s - self.requests.overtaken_since_s >= _HICCUP_S

    def age(self, now_s: float) -> list[Permit]:
        """The permits of requests that hang from now on: they are load for the host no longer."""
        found = self.requests.age(now_s, self.late_s, self.health.hanging_s)
        for permit in found:
            self.current -= self.health.is_current(permit.started)
        return found

    def release(
        self, permit: Permit, signal: HostSignal | None, now_s: float, random: Callable[[], float]
    ) -> None:
        """The request has ended, with what that says about the host; None: nothing."""
        requests, health, started = self.requests, self.health, permit.started
        requests.remove(permit)
        was_current = health.is_current(started)
        self.current -= was_current and not permit.hangs
        health.record(started, signal, now_s, random)
        if signal is not None and not isinstance(signal, Unreachable):
            requests.answered(started)
        elif was_current and not health.is_current(started):
            self.current = 0
            requests.open()

    def defer_s(self, waiting: int, now_s: float, random: Callable[[], float]) -> float:
        """In how long it can take one more, behind those that wait and those deferred before."""
        response_s = self.response_s(now_s)
        ahead_s = max(self._deferred_until_s - now_s, self._busy_s(waiting, response_s))
        self._deferred_until_s = now_s + ahead_s + response_s / self._limit_in(ahead_s, response_s)
        if self._deferred_until_s > now_s + _MAX_DEFERRAL_S:
            self._deferred_until_s = now_s + _MAX_DEFERRAL_S
            return _MAX_DEFERRAL_S * (0.5 + 0.5 * random())
        return max(self._deferred_until_s - now_s, _MIN_DEFERRAL_S)

    def next_turn_s(self, client: str, now_s: float) -> float:
        """When one more slow path of the client has its turn: each holds its permit until it times out.

        Clients share the turns: who has one such path does not wait behind all of another.
        """
        spacing_s = _HANGING_S / self.max_slow
        latest_s = self._slow_turns_s.pop(client, float("-inf"))
        if self._slow_turns_s:
            others = self._slow_turns_s.items()
            self._slow_turns_s = {other: turn_s for other, turn_s in others if turn_s + spacing_s > now_s}
        turn_s = max(now_s, latest_s + spacing_s * (len(self._slow_turns_s) + 1))
        self._slow_turns_s[client] = turn_s
        return turn_s

    def _limit_in(self, ahead_s: float, response_s: float) -> float:
        """Its limit by then, which doubles with each round trip while all is well.

        A new host is trusted for as long as its first answer is not late.
        """
        if not self.health.answered and response_s > _HICCUP_S:
            return self.health.limit
        rounds = min(ahead_s / response_s, _MAX_ROUNDS)
        return min(self.health.max_limit, self.health.limit * exp2(rounds))

    def _busy_s(self, count: int, response_s: float) -> float:
        """How long it takes to answer `count` requests, its limit growing."""
        busy_s, left = 0.0, float(count)
        limit = self._limit_in(busy_s, response_s)
        while left > limit < self._limit_in(busy_s + response_s, response_s):
            left -= limit
            busy_s += response_s
            limit = self._limit_in(busy_s, response_s)
        # From here on it grows no more.
        return busy_s + left / limit * response_s


class HostRecords:
    """Those used lately, at most `limits.hosts` besides those with permits in use."""

    def __init__(self, limits: HostLimits) -> None:
        self._limits = limits
        self._hosts: OrderedDict[str, HostRecord] = OrderedDict()
        # Names of those whose circuit is open.
        self._open: set[str] = set()

    def __len__(self) -> int:
        """How many are remembered; with `in`, for those who check that they are bounded."""
        return len(self._hosts)

    def __contains__(self, name: str) -> bool:
        return name in self._hosts

    def __getitem__(self, name: str) -> HostRecord:
        return self._hosts[name]

    @property
    def open_circuits(self) -> int:
        """How many of them are unreachable."""
        return len(self._open)

    def outages(self) -> list[Outage]:
        """Of those whose circuit is open; any thread may ask."""
        found = []
        for name in self._open.copy():
            host = self._hosts.get(name)
            if host is not None:
                health = host.health
                found.append(Outage(name, health.unreachable_since_s, health.opened_at_s, health.reason))
        return found

    def answers(self, name: str) -> int:
        """Another number with the host's answers; 0: it gave none here. Any thread may ask."""
        host = self._hosts.get(name)
        return 0 if host is None else host.health.answered_number

    def note_circuit(self, host: HostRecord) -> None:
        """It has become unreachable, or is back."""
        if host.health.unreachable:
            self._open.add(host.name)
        else:
            self._open.discard(host.name)

    def touch(self, name: str, now_s: float) -> HostRecord:
        """The host's record, a new one if it is not known."""
        host = self._hosts.get(name)
        if host is None:
            self._forget(now_s)
            host = self._hosts[name] = HostRecord(name, self._limits)
        host.touched_s = now_s
        self._hosts.move_to_end(name)
        return host

    def _forget(self, now_s: float) -> None:
        """One host comes, so up to two go: those long idle, and of too many those idle longest."""
        # Those with permits in use cannot go; of all others the first is found behind them at the latest.
        full = len(self._hosts) >= self._limits.hosts
        oldest = list(islice(self._hosts.items(), self._limits.permits + 1 if full else 2))
        gone = 0
        for name, host in oldest:
            if host.requests.count:
                self._hosts.move_to_end(name)
            elif now_s - host.touched_s > _IDLE_S or len(self._hosts) >= self._limits.hosts:
                del self._hosts[name]
                self._open.discard(name)
                gone += 1
            if gone == 2:
                return
