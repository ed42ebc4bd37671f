"""Which task may go to its host now. Pure.

A host that does not answer keeps what is on its way to it until it times out. What keeps the rest
of a dispatcher free for the others:

- Each host has a pace of its own (pace.py), and never more on its way than its limits.
- Hosts that do not answer promptly (new, silent, or slow) share half of the places, whatever their number.
- The fewer places are left, the fewer a host may have, and the last are for hosts that have none: so
  hosts that fall silent together leave some to the others. The same holds for clients (shares.py), and some
  places are kept for hosts that are new.
- What may wait for a host is what it does in a second. The rest is sent away for a while, and all that
  is sent away comes back at a bounded rate, which clients share.

Times are seconds of one monotonic clock. Nothing waits for a host to which nothing is on its way, so
whatever waits is looked at when a reply comes. What waits because its host is new has a lobby (lobby.py).
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from math import exp2
from typing import Generic, NamedTuple, Self, TypeVar
from urllib.parse import urlsplit

from webrtc_events.delivery.deferrals import ComingBack
from webrtc_events.delivery.host_health import Pace, Started
from webrtc_events.delivery.host_signals import Sign
from webrtc_events.delivery.lobby import Lobby
from webrtc_events.delivery.shares import Account, Pool, Standing

__all__ = ["Away", "HostLimiter", "HostLimits", "Place", "host_of"]

T = TypeVar("T")

_PLACES = 2048
_PROMPT_S = 1.0
_HICCUP_S = 0.25
_SHARE = 16
# Of doublings; any window is wide by then.
_MOST_ROUNDS = 30.0
# A host of which nothing is known yet is taken to answer as fast as this.
_GUESSED_ANSWER_S = 0.05
_SHORTEST_AWAY_S = 0.1
_LONGEST_AWAY_S = 10.0
# Sending a task away and claiming it again costs about as much as a delivery.
_AWAY_PER_S = 500
_LONGEST_QUEUE_AWAY_S = 60.0
_IDLE_S = 600.0


@dataclass(frozen=True, slots=True)
class HostLimits:
    """`in_flight` and `connections` are of one host; `places` of all together, as `waiting` and `hosts`."""

    in_flight: int = 64
    connections: int = 64
    places: int = _PLACES
    waiting: int = 1024
    hosts: int = 20_000

    @classmethod
    def of(cls, in_flight: int, connections: int, descriptors: int) -> Self:
        """With places enough for one host to have `in_flight`, in a process with so many descriptors."""
        wanted = max(_PLACES, 2 * _SHARE * in_flight)
        return cls(in_flight, connections, places=max(1, min(wanted, descriptors // 2)))


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """One place on the way to a host, to be given back by `leave`."""

    host: str
    client: str
    started: Started
    prompt: bool


@dataclass(frozen=True, slots=True)
class Away:
    """Too much is on its way to the host, or it is left alone. `silent`: because it does not answer."""

    delay_s: float
    silent: bool


class _Client:
    """What a client has on its way and waiting."""

    __slots__ = ("places", "waiting")

    def __init__(self) -> None:
        self.places = Account()
        self.waiting = Account()

    @property
    def idle(self) -> bool:
        return not self.places.used and not self.waiting.used


class _Waiting(NamedTuple, Generic[T]):
    what: T
    client: _Client
    prompt: bool


class _Host(Generic[T]):
    """Its pace, what is on its way to it (oldest first), what waits for it."""

    __slots__ = ("current", "pace", "places", "put_off", "touched_s", "turn_s", "waiting")

    def __init__(self, limits: HostLimits) -> None:
        self.pace = Pace(in_flight=limits.in_flight, connections=limits.connections)
        self.places: dict[Place, None] = {}
        self.waiting: deque[_Waiting[T]] = deque()
        self.current = 0
        self.touched_s = 0.0
        self.turn_s = float("-inf")
        self.put_off = False

    def standing(self, now_s: float) -> Standing:
        if self.prompt(now_s):
            return Standing.PROMPT
        if self.pace.proven or self.pace.silent or self.places:
            return Standing.OWING
        return Standing.PUT_OFF if self.put_off else Standing.NEW

    def age_s(self, now_s: float) -> float:
        """For how long it has not answered the oldest request that is on its way."""
        return now_s - next(iter(self.places)).started.at_s if self.places else 0.0

    def answers_in_s(self, now_s: float) -> float:
        """How long its answers take, at least."""
        known_s = self.pace.answers_in_s if self.pace.proven else _GUESSED_ANSWER_S
        return max(known_s, self.age_s(now_s), 0.001)

    def window_in(self, ahead_s: float, answers_in_s: float) -> float:
        """How wide its window is by then, which doubles with each round trip while all is well.

        A host that is new is trusted for as long as its first answer is not late.
        """
        if not self.pace.proven and answers_in_s > _HICCUP_S:
            return self.pace.window
        rounds = min(ahead_s / answers_in_s, _MOST_ROUNDS)
        return min(self.pace.most, self.pace.window * exp2(rounds))

    def busy_s(self, count: int, answers_in_s: float) -> float:
        """How long it takes to answer so many, its window growing."""
        busy_s, left = 0.0, float(count)
        window = self.window_in(busy_s, answers_in_s)
        while left > window < self.window_in(busy_s + answers_in_s, answers_in_s):
            left -= window
            busy_s += answers_in_s
            window = self.window_in(busy_s, answers_in_s)
        # From here on it grows no more.
        return busy_s + left / window * answers_in_s

    def prompt(self, now_s: float) -> bool:
        """Whether it answers soon, and does not take far longer at the moment than it usually does."""
        usual_s = self.pace.answers_in_s
        return (
            self.pace.proven
            and usual_s < _PROMPT_S
            and self.age_s(now_s) < min(_PROMPT_S, max(_HICCUP_S, 4 * usual_s))
        )


@lru_cache(maxsize=20_000)
def host_of(url: str) -> str:
    """What shares its limits: scheme, name and port of an absolute URL."""
    parts = urlsplit(url)
    name = (parts.hostname or "").rstrip(".")
    return f"{parts.scheme}://{f'[{name}]' if ':' in name else name}:{parts.port or 443}"


class HostLimiter(Generic[T]):
    """Gives out places on the way to hosts, and keeps what waits for one, in order.

    `random`: uniform in [0, 1).
    """

    def __init__(self, limits: HostLimits, random: Callable[[], float]) -> None:
        self._limits = limits
        self._random = random
        self._hosts: OrderedDict[str, _Host[T]] = OrderedDict()
        self._crowded: dict[str, None] = {}
        self._clients: dict[str, _Client] = {}
        self._coming_back = ComingBack(_AWAY_PER_S, _LONGEST_QUEUE_AWAY_S)
        self._places = Pool(limits.places)
        self._waiting = Pool(limits.waiting)
        self._lobby: Lobby[tuple[str, T]] = Lobby(limits.waiting, limits.waiting // _SHARE)
        self._leaving: list[T] = []

    @property
    def has_new(self) -> bool:
        """Whether `next_new` is to be asked before long."""
        return bool(self._lobby)

    @property
    def room(self) -> int:
        """How many more may come, whatever their hosts; 0 when that is too few to be worth a claim."""
        room = self._waiting.room_of_one
        return room if room >= self._limits.waiting // _SHARE else 0

    def enter(
        self, name: str, client: str, what: T, now_s: float, *, accepted_ms: int = 0
    ) -> Place | Away | None:
        """A place on the way to the host, to be given back by `leave`.

        None: `what` waits, see `next` and `next_new`. `accepted_ms`: since when it is to be sent.
        """
        host, owner = self._host(name, now_s), self._client(client)
        if host.pace.rest_s(now_s) > 0:
            return self._away(host, client, now_s)
        standing = host.standing(now_s)
        prompt = standing is Standing.PROMPT
        if (
            self._has_place(host, prompt=prompt)
            and not (standing is Standing.NEW and self._lobby.has_newer(client, accepted_ms))
            and self._places.may_take(owner.places, standing, now_s, first=not host.places)
        ):
            return self._place(name, client, standing, now_s)
        if self._may_wait(host, owner, now_s, prompt=prompt):
            self._waiting.take(owner.waiting, prompt=prompt)
            host.waiting.append(_Waiting(what, owner, prompt))
            self._crowded[name] = None
            return None
        if standing is Standing.NEW and self._lobby.add(client, accepted_ms, (name, what), now_s):
            return None
        host.put_off = not host.places
        return self._away(host, client, now_s)

    def _place(self, name: str, client: str, standing: Standing, now_s: float) -> Place:
        host, account = self._hosts[name], self._clients[client].places
        prompt = standing is Standing.PROMPT
        place = Place(name, client, host.pace.start(now_s), prompt)
        self._places.take(account, prompt=prompt)
        if standing in (Standing.NEW, Standing.PUT_OFF):
            account.young[place] = now_s
        host.places[place] = None
        host.current += 1
        host.put_off = False
        return place

    def leave(self, place: Place, sign: Sign | None, now_s: float) -> None:
        """Gives a place back, with what came of it; None: nothing that tells of the host."""
        host, account = self._hosts[place.host], self._clients[place.client].places
        del host.places[place]
        account.young.pop(place, None)
        self._places.give(account, prompt=place.prompt)
        was_current = host.pace.is_current(place.started)
        host.current -= was_current
        host.pace.learn(place.started, sign, now_s, self._random)
        if was_current and not host.pace.is_current(place.started):
            host.current = 0

    def next(self, name: str, now_s: float) -> T | None:
        """What has waited longest for the host, of those that need not wait on; it is to `enter` again."""
        host = self._hosts.get(name)
        if host is None or not host.waiting:
            return None
        if not host.places:
            return self._resume(name, host)
        standing = host.standing(now_s)
        if not self._has_place(host, prompt=standing is Standing.PROMPT):
            return None
        for index, each in enumerate(host.waiting):
            if self._places.may_take(each.client.places, standing, now_s, first=False):
                return self._resume(name, host, index)
        return None

    def next_new(self, now_s: float) -> T | None:
        """What waits for a host that is new, if there is a place, or will not be; it is to `enter` again."""
        if not self._lobby:
            return self._leaving.pop() if self._leaving else None
        for name, what in self._lobby.leaving(now_s):
            self._host(name, now_s).put_off = True
            self._leaving.append(what)
        if self._leaving:
            return self._leaving.pop()
        found = self._lobby.next(lambda client: self._has_room_for_new(client, now_s))
        return None if found is None else found[1]

    def _has_room_for_new(self, client: str, now_s: float) -> bool:
        account = self._client(client).places
        return self._places.share(prompt=False) > 0 and self._places.may_take(
            account, Standing.NEW, now_s, first=True
        )

    def overdue(self, now_s: float) -> list[T]:
        """What waits for hosts that were prompt and are so no longer; it is to `enter` again."""
        late = []
        for name in list(self._crowded):
            host = self._hosts[name]
            if not host.prompt(now_s):
                for _ in range(len(host.waiting)):
                    if host.waiting[0].prompt:
                        late.append(self._resume(name, host))
                    else:
                        host.waiting.rotate(-1)
        return late

    def _resume(self, name: str, host: _Host[T], index: int = 0) -> T:
        found = host.waiting[index]
        del host.waiting[index]
        self._waiting.give(found.client.waiting, prompt=found.prompt)
        if not host.waiting:
            del self._crowded[name]
        return found.what

    def clear(self) -> list[T]:
        """Everything that waits; nothing does any longer."""
        waiting = []
        for name in list(self._crowded):
            host = self._hosts[name]
            while host.waiting:
                waiting.append(self._resume(name, host))
        waiting += self._leaving + [what for _, what in self._lobby.clear()]
        self._leaving = []
        return waiting

    def _host(self, name: str, now_s: float) -> _Host[T]:
        host = self._hosts.get(name)
        if host is None:
            self._forget(now_s)
            host = self._hosts[name] = _Host(self._limits)
        host.touched_s = now_s
        self._hosts.move_to_end(name)
        return host

    def _client(self, name: str) -> _Client:
        client = self._clients.get(name)
        if client is None:
            if len(self._clients) >= self._limits.hosts:
                self._clients = {each: of for each, of in self._clients.items() if not of.idle}
            client = self._clients[name] = _Client()
        return client

    def _forget(self, now_s: float) -> None:
        """One host comes, so up to two go: those long idle, and of too many those idle longest."""
        # As many as have a place cannot go; of all others the first is found behind them at the latest.
        full = len(self._hosts) >= self._limits.hosts
        oldest = list(islice(self._hosts.items(), self._limits.places + 1 if full else 2))
        gone = 0
        for name, host in oldest:
            if host.places:
                self._hosts.move_to_end(name)
            elif now_s - host.touched_s > _IDLE_S or len(self._hosts) >= self._limits.hosts:
                del self._hosts[name]
                gone += 1
            if gone == 2:
                return

    def _has_place(self, host: _Host[T], *, prompt: bool) -> bool:
        pace, on_their_way = host.pace, len(host.places)
        return (
            host.current < pace.window
            and on_their_way < pace.most
            and on_their_way < self._places.share(prompt=prompt)
        )

    def _may_wait(self, host: _Host[T], client: _Client, now_s: float, *, prompt: bool) -> bool:
        if not host.places or not self._waiting.may_have(client.waiting, prompt=prompt):
            return False
        waiting = len(host.waiting)
        # What waits for a prompt host goes soon, so one host may have all the room there is.
        room = waiting + self._waiting.room(prompt=True) if prompt else self._waiting.share(prompt=False)
        return waiting < min(room, host.pace.window / host.answers_in_s(now_s))

    def _away(self, host: _Host[T], client: str, now_s: float) -> Away:
        rest_s = host.pace.rest_s(now_s)
        if rest_s > 0:
            # Spread over as long again: what comes back is not to come at once.
            delay_s = rest_s + self._random() * max(rest_s, _PROMPT_S)
        elif host.places:
            delay_s = self._turn_s(host, now_s)
        else:
            delay_s = (0.5 + self._random()) * _PROMPT_S
        delay_s += self._coming_back.delay_s(client, now_s)
        return Away(delay_s, silent=rest_s > 0 and host.pace.silent)

    def _turn_s(self, host: _Host[T], now_s: float) -> float:
        """In how long it is the turn of one more, behind those that wait and those sent away before."""
        answers_in_s = host.answers_in_s(now_s)
        waiting_s = host.busy_s(len(host.waiting), answers_in_s)
        ahead_s = max(host.turn_s - now_s, waiting_s)
        host.turn_s = now_s + ahead_s + answers_in_s / host.window_in(ahead_s, answers_in_s)
        if host.turn_s > now_s + _LONGEST_AWAY_S:
            host.turn_s = now_s + _LONGEST_AWAY_S
            return _LONGEST_AWAY_S * (0.5 + 0.5 * self._random())
        return max(host.turn_s - now_s, _SHORTEST_AWAY_S)
