"""A memory for one process, and gone with it."""

import itertools
import threading
from collections import OrderedDict

from webrtc_events_client.consumer.memory import Claim, ClaimState, Event, check_times

__all__ = ["InMemory"]


class InMemory:
    """The oldest is forgotten first.

    Args:
        max_events: how many are remembered, of events and of lines each; 100,000 take 40 MB or so.
        remember_s: how long, at most.
        lease_s: how long a handler may take until its event may be claimed again.

    Raises:
        ValueError: `remember_s` is so short that a signature holds for longer.
    """

    def __init__(
        self, *, max_events: int = 100_000, remember_s: float = 172_800, lease_s: float = 60
    ) -> None:
        check_times(remember_s)
        self._max_events = max_events
        self._remember_s = remember_s
        self._lease_s = lease_s
        self._lock = threading.Lock()
        self._done: OrderedDict[str, float] = OrderedDict()
        self._running: dict[str, tuple[float, str]] = {}
        self._newest: OrderedDict[str, int] = OrderedDict()
        self._tickets = itertools.count(1)

    def begin(self, event: Event, now: float) -> Claim:
        with self._lock:
            done_at = self._done.get(event.key)
            if done_at is not None and now - done_at < self._remember_s:
                return Claim(event, ClaimState.DONE)
            until, _ = self._running.get(event.key, (now, ""))
            if until > now:
                return Claim(event, ClaimState.RUNNING)
            ticket = str(next(self._tickets))
            self._running[event.key] = (now + self._lease_s, ticket)
            newest = self._newest.get(event.line) if event.line else None
            return Claim(event, ClaimState.NEW, ticket, newest is not None and event.number < newest)

    def done(self, claim: Claim, now: float) -> None:
        event = claim.event
        with self._lock:
            self._running.pop(event.key, None)
            self._done[event.key] = now
            self._done.move_to_end(event.key)
            if event.line:
                self._newest[event.line] = max(event.number, self._newest.get(event.line, event.number))
                self._newest.move_to_end(event.line)
            for kept in (self._done, self._newest):
                while len(kept) > self._max_events:
                    kept.popitem(last=False)

    def abandon(self, claim: Claim) -> None:
        with self._lock:
            if self._running.get(claim.event.key, (0, ""))[1] == claim.ticket:
                del self._running[claim.event.key]
