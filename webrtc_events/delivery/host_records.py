"""The records of hosts: health, permits in use, load to come. Pure.

Times are seconds of one monotonic clock.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from itertools import islice
from math import exp2
from typing import Final
from urllib.parse import urlsplit

from webrtc_events.delivery.host_health import HostHealth, StartedRequest
from webrtc_events.delivery.host_limits import HostLimits
from webrtc_events.delivery.shares import HostStanding

__all__ = ["PROMPT_S", "HostRecord", "HostRecords", "Permit", "host_of"]

PROMPT_S: Final = 1.0
"""A host whose answers take longer is not prompt."""

_HICCUP_S: Final = 0.25
# Of doublings; any limit is reached by then.
_MAX_ROUNDS: Final = 30.0
# A host of which nothing is known yet is taken to answer as fast as this.
_GUESSED_RESPONSE_S: Final = 0.05
_MIN_RESPONSE_S: Final = 0.001
_MIN_DEFERRAL_S: Final = 0.1
_MAX_DEFERRAL_S: Final = 10.0
_IDLE_S: Final = 600.0


@lru_cache(maxsize=20_000)
def host_of(url: str) -> str:
    """What shares its limits: scheme, name and port of an absolute URL."""
    parts = urlsplit(url)
    name = (parts.hostname or "").rstrip(".")
    return f"{parts.scheme}://{f'[{name}]' if ':' in name else name}:{parts.port or 443}"


class Permit:
    """Allows one request to a host. `prompt`: the host was prompt when it was granted."""

    __slots__ = ("client", "host", "prompt", "started")

    def __init__(self, host: str, client: str, started: StartedRequest, prompt: bool) -> None:
        self.host: Final = host
        self.client: Final = client
        self.started: Final = started
        self.prompt: Final = prompt


class HostRecord:
    """One host. `permits`: in use, the oldest first. `current`: those of the health's latest epoch."""

    __slots__ = ("_deferred_until_s", "current", "health", "name", "passed_over", "permits", "touched_s")

    def __init__(self, name: str, limits: HostLimits) -> None:
        self.name = name
        self.health = HostHealth(in_flight=limits.in_flight, connections=limits.connections)
        self.permits: dict[Permit, None] = {}
        self.current = 0
        self.touched_s = 0.0
        # New, and there was no permit when it came.
        self.passed_over = False
        self._deferred_until_s = float("-inf")

    def standing(self, now_s: float) -> HostStanding:
        if self.prompt(now_s):
            return HostStanding.PROMPT
        if self.health.answered or self.health.unreachable or self.permits:
            return HostStanding.OWING
        return HostStanding.PASSED_OVER if self.passed_over else HostStanding.NEW

    def prompt(self, now_s: float) -> bool:
        """Whether it answers soon, and does not take far longer at the moment than it usually does."""
        usual_s = self.health.response_s
        if not self.health.answered or usual_s >= PROMPT_S:
            return False
        age_s = self.age_s(now_s)
        # Most answers come at once, which needs no look at how long they usually take.
        return age_s < _HICCUP_S or age_s < min(PROMPT_S, 4 * usual_s)

    def age_s(self, now_s: float) -> float:
        """For how long it has not answered the oldest request in flight."""
        return now_s - next(iter(self.permits)).started.at_s if self.permits else 0.0

    def response_s(self, now_s: float) -> float:
        """How long its answers take, at least."""
        known_s = self.health.response_s if self.health.answered else _GUESSED_RESPONSE_S
        return max(known_s, self.age_s(now_s), _MIN_RESPONSE_S)

    def per_second(self, now_s: float) -> float:
        """How many requests it answers in a second."""
        return self.health.limit / self.response_s(now_s)

    def grant(self, client: str, now_s: float, *, prompt: bool) -> Permit:
        permit = Permit(self.name, client, self.health.start(now_s), prompt)
        self.permits[permit] = None
        self.current += 1
        self.passed_over = False
        return permit

    def defer_s(self, waiting: int, now_s: float, random: Callable[[], float]) -> float:
        """In how long it can take one more, behind those that wait and those deferred before."""
        response_s = self.response_s(now_s)
        ahead_s = max(self._deferred_until_s - now_s, self._busy_s(waiting, response_s))
        self._deferred_until_s = now_s + ahead_s + response_s / self._limit_in(ahead_s, response_s)
        if self._deferred_until_s > now_s + _MAX_DEFERRAL_S:
            self._deferred_until_s = now_s + _MAX_DEFERRAL_S
            return _MAX_DEFERRAL_S * (0.5 + 0.5 * random())
        return max(self._deferred_until_s - now_s, _MIN_DEFERRAL_S)

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

    def __len__(self) -> int:
        """How many are remembered; with `in`, for those who check that they are bounded."""
        return len(self._hosts)

    def __contains__(self, name: str) -> bool:
        return name in self._hosts

    def __getitem__(self, name: str) -> HostRecord:
        return self._hosts[name]

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
            if host.permits:
                self._hosts.move_to_end(name)
            elif now_s - host.touched_s > _IDLE_S or len(self._hosts) >= self._limits.hosts:
                del self._hosts[name]
                gone += 1
            if gone == 2:
                return
