"""Which retries are hastened because their host, which was unreachable, answers again. Pure.

What is hastened is due at once, and comes with a claim. Until then it is under way, and counts against what
its host may have, which grows with the host's adaptive limit. Any reply but a good one stops a host until its
next good one. So a host that is back for one answer only is given a few. Of a host that is worth a probe
(host_outages.py) one retry is hastened.

Clients take turns, and so do the hosts of a client. What is kept and what is under way is bounded, and shared
as permits are (shares.py).

Times are seconds of one monotonic clock.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from webrtc_events.delivery.client_pool import ClientPool
from webrtc_events.delivery.host_signals import Healthy, HostSignal
from webrtc_events.delivery.kept_retries import KeptRetries
from webrtc_events.store.retries import WaitingRetry

__all__ = ["HostReturns"]

_MAX_KEPT = 100_000
_MAX_UNDER_WAY = 512
# Of one call to the store: as many as a dispatcher begins at once.
_MAX_AT_ONCE = 256
# So that a call has several, and hosts are not looked at with each reply.
_PAUSE_S = 0.01
# What has not come by then was claimed by another worker.
_MAX_UNDER_WAY_S = 2.0


class _UnderWay(NamedTuple):
    host: str
    client: str
    since_s: float


class HostReturns:
    """Keeps `max_kept` retries at most. Of those hastened at most `max_under_way` have not come yet."""

    def __init__(self, max_kept: int = _MAX_KEPT, max_under_way: int = _MAX_UNDER_WAY) -> None:
        self._kept = KeptRetries(max_kept)
        self._room = ClientPool(max_under_way)
        # By subscription, what was hastened first is first; how many of each host.
        self._under_way: OrderedDict[str, _UnderWay] = OrderedDict()
        self._counts: dict[str, int] = {}
        # Hosts that answer well. Who was given something last is last.
        self._back: OrderedDict[str, None] = OrderedDict()
        # Hosts of which one retry is hastened, though they do not answer yet.
        self._probes: dict[str, bool] = {}
        self._next_s = float("-inf")
        self._may_find = False

    def keep(
        self, host: str, client: str, retry: WaitingRetry, until_s: float, now_s: float, *, answers: bool
    ) -> None:
        """It waits for the host, until then at the latest. `answers`: the host answers again by now."""
        self._kept.add(host, client, retry, until_s, now_s)
        if answers:
            self._is_back(host)

    def replied(self, host: str, signal: HostSignal, to_probe: Sequence[str] = ()) -> None:
        """What a reply says about its host, and other hosts that are worth a probe by that."""
        for name in to_probe:
            self._probes[name] = self._may_find = True
        if isinstance(signal, Healthy):
            if host in self._kept:
                self._is_back(host)
        elif self._back:
            self._back.pop(host, None)

    def came(self, subscription_id: str) -> None:
        """It was claimed, or no longer waits."""
        hastened = self._under_way.pop(subscription_id, None)
        if hastened is not None:
            self._room.give(hastened.client)
            self._count(hastened.host, -1)
            self._may_find = True

    def wait_s(self, now_s: float) -> float:
        """How long there is nothing to hasten; infinite if that depends on replies."""
        return max(0.0, self._next_s - now_s) if self._may_find else float("inf")

    def next(self, now_s: float, room_of: Callable[[str], int]) -> list[WaitingRetry]:
        """What is to be hastened now. `room_of`: how many may come for a host that answers well."""
        if now_s < self._next_s:
            return []
        if not (self._back or self._probes or self._under_way):
            self._may_find = False
            return []
        self._next_s = now_s + _PAUSE_S
        self._give_up(now_s)
        rooms = dict.fromkeys(self._probes, 1)
        self._probes.clear()
        for host in self._back:
            rooms[host] = room_of(host) - self._counts.get(host, 0)
        turns: dict[str, deque[str]] = {}
        for host, room in rooms.items():
            for client in self._kept.clients(host) if room > 0 else ():
                turns.setdefault(client, deque()).append(host)
        found: list[WaitingRetry] = []
        while turns and len(found) < _MAX_AT_ONCE:
            for client in list(turns)[: _MAX_AT_ONCE - len(found)]:
                retry = self._hasten(client, turns[client], rooms, now_s)
                if retry is None:
                    del turns[client]
                else:
                    found.append(retry)
        self._may_find = bool(found)
        return found

    def _hasten(
        self, client: str, hosts: deque[str], rooms: dict[str, int], now_s: float
    ) -> WaitingRetry | None:
        """One retry of that client, for these hosts in turn; None if none may go now."""
        while hosts and self._room.may_have(client):
            host = hosts.popleft()
            retry = self._kept.take(host, client, now_s) if rooms[host] > 0 else None
            if host in self._back:
                if host in self._kept:
                    self._back.move_to_end(host)
                else:
                    del self._back[host]
            if retry is not None:
                hosts.append(host)
                rooms[host] -= 1
                self.came(retry.subscription_id)
                self._under_way[retry.subscription_id] = _UnderWay(host, client, now_s)
                self._room.take(client)
                self._count(host, 1)
                return retry
        return None

    def _is_back(self, host: str) -> None:
        if host in self._kept:
            self._back.setdefault(host)
            self._may_find = True

    def _give_up(self, now_s: float) -> None:
        """What was hastened long ago counts no longer."""
        while self._under_way:
            subscription_id, oldest = next(iter(self._under_way.items()))
            if now_s - oldest.since_s < _MAX_UNDER_WAY_S:
                return
            self.came(subscription_id)

    def _count(self, host: str, change: int) -> None:
        count = self._counts.pop(host, 0) + change
        if count:
            self._counts[host] = count
