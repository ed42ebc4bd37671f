"""Retries that wait in the store for a host, as far as a dispatcher remembers them. Pure.

Times are seconds of one monotonic clock.
"""

from collections import deque
from collections.abc import Collection

import msgspec

from webrtc_events.delivery.client_pool import ClientPool
from webrtc_events.store.retries import WaitingRetry

__all__ = ["KeptRetries"]

# To look at all of them takes some 20 ms.
_TIDY_PAUSE_S = 10.0


class _Kept(msgspec.Struct, frozen=True, gc=False):
    """It waits until then, if nobody hastens it."""

    subscription_id: str
    fence: int
    until_s: float


class KeptRetries:
    """At most `size` in all, which clients share. One whose moment has come is forgotten by and by."""

    def __init__(self, size: int) -> None:
        self._room = ClientPool(size)
        # By host, then by client, what was kept first is first. Who was taken from last is last.
        self._hosts: dict[str, dict[str, deque[_Kept]]] = {}
        self._tidy_at_s = float("-inf")

    def __len__(self) -> int:
        return sum(len(kept) for clients in self._hosts.values() for kept in clients.values())

    def __contains__(self, host: str) -> bool:
        """Whether any is kept for that host."""
        return host in self._hosts

    def clients(self, host: str) -> Collection[str]:
        """Whose are kept for that host; who was taken from last is last."""
        return self._hosts[host].keys() if host in self._hosts else ()

    def add(self, host: str, client: str, retry: WaitingRetry, until_s: float, now_s: float) -> None:
        """Forgets it at once if there is no room."""
        if not self._room.may_have(client):
            self._tidy(now_s)
            if not self._room.may_have(client):
                return
        kept = self._hosts.setdefault(host, {}).setdefault(client, deque())
        while kept and kept[0].until_s <= now_s:
            kept.popleft()
            self._room.give(client)
        kept.append(_Kept(retry.subscription_id, retry.fence, until_s))
        self._room.take(client)

    def take(self, host: str, client: str, now_s: float) -> WaitingRetry | None:
        """What has waited longest of that client for that host, and waits still; it is kept no longer."""
        clients = self._hosts.get(host, {})
        # It goes behind the others.
        kept = clients.pop(client, None)
        found = None
        while kept and found is None:
            oldest = kept.popleft()
            self._room.give(client)
            if oldest.until_s > now_s:
                found = WaitingRetry(oldest.subscription_id, oldest.fence)
        if kept:
            clients[client] = kept
        elif not clients:
            self._hosts.pop(host, None)
        return found

    def _tidy(self, now_s: float) -> None:
        """Forgets all whose moment has come."""
        if now_s < self._tidy_at_s:
            return
        self._tidy_at_s = now_s + _TIDY_PAUSE_S
        for host, clients in list(self._hosts.items()):
            for client, kept in list(clients.items()):
                left = deque(retry for retry in kept if retry.until_s > now_s)
                for _ in range(len(kept) - len(left)):
                    self._room.give(client)
                if left:
                    clients[client] = left
                else:
                    del clients[client]
            if not clients:
                del self._hosts[host]
