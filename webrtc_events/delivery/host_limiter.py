"""Which task may go to its host now. Pure.

A host that does not answer keeps what is in flight to it until it times out. What keeps the rest
of a dispatcher free for the others:

- Each host has an adaptive limit, a circuit breaker (host_health.py), and fixed limits (host_limits.py).
- Where hosts became unreachable together, others are probed once one is back (host_outages.py).
- Hosts that do not answer promptly (new, unreachable, or slow) share half of the permits. So do slow paths
  of prompt hosts: those that hang while their host answers others (known_paths.py). They have at most half of
  what their host may have in flight, and paths of which nothing is known leave it the last eighth.
- A host that has not answered yet gets another probe by and by: the first may have met a path that hangs.
- The fewer permits are left, the fewer a host may have, and the last are for hosts that have none: so
  hosts that become unreachable together leave some to the others. The same holds for clients (shares.py), and
  some permits are kept for new hosts.
- What may wait for a host is what it does in a second. The rest is deferred, and all that is deferred comes
  back at a bounded rate, which clients share.

Times are seconds of one monotonic clock. Nothing waits for a host that has nothing in flight, so whatever
waits is looked at when a reply comes. What waits because its host is new has its own queue
(new_host_queue.py).
"""

from collections.abc import Callable, Sequence
from math import ceil
from typing import Final, Generic, TypeVar

from webrtc_events.core.process_report import HostReport
from webrtc_events.delivery.client_accounts import ClientAccount, ClientAccounts
from webrtc_events.delivery.deferrals import Deferrals, Deferred
from webrtc_events.delivery.delay_queue import DelayQueue
from webrtc_events.delivery.host_health import PROMPT_S
from webrtc_events.delivery.host_limits import HostLimits
from webrtc_events.delivery.host_outages import HostOutages
from webrtc_events.delivery.host_queues import HostQueues
from webrtc_events.delivery.host_records import HostRecord, HostRecords
from webrtc_events.delivery.host_requests import Permit
from webrtc_events.delivery.host_signals import HostSignal, Unreachable
from webrtc_events.delivery.known_paths import KnownPaths
from webrtc_events.delivery.new_host_queue import NewHostQueue
from webrtc_events.delivery.shares import SHARE, Account, HostStanding, Pool
from webrtc_events.delivery.unwell_hosts import UnwellHosts

__all__ = ["HostLimiter"]

T = TypeVar("T")

# Deferring a task and claiming it again costs about as much as a delivery.
_DEFERRED_PER_S = 500
_MAX_QUEUE_DEFERRAL_S = 60.0
# Times the limit of a host that is back: what may come for it. The limit doubles while that comes.
_AHEAD = 4
# In 3.11 a member of an enumeration is looked up by a function.
_PROMPT: Final = HostStanding.PROMPT
_NEW: Final = HostStanding.NEW


class HostLimiter(Generic[T]):
    """Grants permits for requests to hosts, and keeps what waits for one, in order.

    `random`: uniform in [0, 1). `records`: for other threads, which ask for `outages` and `answers` only.
    """

    def __init__(self, limits: HostLimits, random: Callable[[], float]) -> None:
        self._limits = limits
        self._random = random
        self._hosts = self.records = HostRecords(limits)
        self._clients = ClientAccounts(limits.hosts)
        self._outages = HostOutages(limits.hosts)
        self._unwell = UnwellHosts(limits.hosts)
        self._paths = KnownPaths(limits.hosts)
        self._permits = Pool(limits.permits)
        self._queues: HostQueues[T] = HostQueues(limits.waiting)
        self._new: NewHostQueue[tuple[str, T]] = NewHostQueue(limits.waiting, limits.waiting // SHARE)
        self._given_up: list[T] = []
        # Hosts that have not answered yet, until the moment when one more probe may go.
        self._probed: DelayQueue[str] = DelayQueue()
        self._deferrals = Deferrals(_DEFERRED_PER_S, _MAX_QUEUE_DEFERRAL_S)

    @property
    def has_new(self) -> bool:
        """Whether `next_new` is to be asked before long."""
        return bool(self._new)

    @property
    def room(self) -> int:
        """How many more may come, whatever their hosts; 0 when that is too few to be worth a claim."""
        room = self._queues.room_of_one
        return room if room >= self._limits.waiting // SHARE else 0

    def unreachable(self, name: str) -> bool:
        """Whether the latest that is known of the host is that it does not answer."""
        return name in self._hosts and self._hosts[name].health.unreachable

    def awaited(self, name: str) -> bool:
        """Whether the host is unreachable, or was not heard of yet."""
        return name in self._hosts and self._hosts[name].awaited

    def room_of(self, name: str, now_s: float) -> int:
        """How many more may come for a host that answers, beside those that wait; 0 if it does not."""
        if name not in self._hosts or not self.room:
            return 0
        host = self._hosts[name]
        if not host.health.answered or host.health.cools_down(now_s):
            return 0
        return min(_AHEAD * host.health.limit, ceil(host.per_second(now_s))) - self._queues.count(name)

    @property
    def circuits(self) -> dict[str, int]:
        """How many hosts it knows by the state of their circuit breaker; any thread may ask."""
        open_ = self._hosts.open_circuits
        return {"open": open_, "closed": max(0, len(self._hosts) - open_)}

    def unwell(self, now_s: float) -> tuple[list[HostReport], int]:
        """See `UnwellHosts.report`."""
        return self._unwell.report(self._hosts, now_s)

    def acquire(
        self, name: str, client: str, task: T, now_s: float, *, path: int, accepted_ms: int
    ) -> Permit | Deferred | None:
        """A permit for one request to the host, to be given back by `release`.

        None: the task waits, see `next_waiting`, `next_new` and `to_probe`. `path`: see KnownPaths.
        `accepted_ms`: since when it is to be sent.
        """
        host, account = self._hosts.touch(name, now_s), self._clients.get(client)
        requests, answered = host.requests, host.health.answered
        if host.health.cools_down(now_s):
            return self._defer(host, client, now_s)
        if host.may_age(now_s):
            self._note_slow(host, now_s)
        slow = answered and self._paths.is_slow(path)
        if slow and (slow_s := self._slow_wait_s(host, client, path, now_s)) > 0:
            return self.defer_by(slow_s, client, now_s)
        if (
            (requests.late or requests.hanging)
            and not slow
            and host.crowded
            and answered
            and not self._paths.is_answering(path)
        ):
            return self.defer_by((0.5 + self._random()) * PROMPT_S, client, now_s)
        standing = host.standing(now_s)
        prompt = standing is _PROMPT
        if (
            host.has_room(now_s)
            and requests.count < self._permits.share(prompt=prompt)
            and not (standing is _NEW and self._new.has_newer(client, accepted_ms))
            and self._permits.may_take(account.permits, standing, now_s, first=not requests.count)
        ):
            permit = host.grant(client, path, now_s, prompt=prompt and not slow, slow=slow)
            self._note_granted(host, account.permits, permit, standing, now_s)
            return permit
        if requests.count and self._queues.has_room(name, account, host.per_second(now_s), prompt=prompt):
            self._queues.put(name, task, account, prompt=prompt)
            return None
        if standing is _NEW and self._new.add(client, accepted_ms, (name, task), now_s):
            return None
        host.passed_over = not requests.count
        return self._defer(host, client, now_s)

    def defer(self, name: str, client: str, now_s: float) -> Deferred:
        """For a task that may wait for the host no longer."""
        return self._defer(self._hosts.touch(name, now_s), client, now_s)

    def release(self, permit: Permit, signal: HostSignal | None, now_s: float) -> Sequence[str]:
        """Gives a permit back, with what its request said about the host; None: nothing.

        Returns the hosts that are worth a probe by that: they may be asked now.
        """
        host, account = self._hosts[permit.host], self._clients.get(permit.client).permits
        if account.young:
            account.young.pop(permit, None)
        self._permits.give(account, prompt=permit.prompt)
        if host.may_age(now_s):
            self._note_slow(host, now_s)
        if signal is not None and not isinstance(signal, Unreachable):
            self._paths.answers(permit.path, in_time=not permit.hangs)
        health = host.health
        was_unreachable = health.unreachable
        host.release(permit, signal, now_s, self._random)
        self._unwell.note(host, now_s)
        return self._circuit_changed(host, now_s) if health.unreachable != was_unreachable else ()

    def _circuit_changed(self, host: HostRecord, now_s: float) -> Sequence[str]:
        """It has become unreachable, or is back. Returns the hosts that are worth a probe by that."""
        self._hosts.note_circuit(host)
        if host.health.unreachable:
            self._outages.begin(host.name, now_s)
            return ()
        to_probe = self._outages.end(host.name, host.health.unreachable_since_s)
        for name in to_probe:
            if name in self._hosts:
                self._hosts[name].health.end_cool_down(now_s)
        return to_probe

    def next_waiting(self, name: str, now_s: float) -> T | None:
        """What has waited longest for the host, of those that need not wait on; it is to `acquire` again."""
        if not self._queues.count(name):
            return None
        host = self._hosts[name]
        if not host.requests.count:
            return self._queues.take(name)
        if host.may_age(now_s):
            self._note_slow(host, now_s)
        if not host.has_room(now_s):
            return None
        standing = host.standing(now_s)
        if host.requests.count >= self._permits.share(prompt=standing is _PROMPT):
            return None

        def may_go(client: ClientAccount) -> bool:
            return self._permits.may_take(client.permits, standing, now_s, first=False)

        return self._queues.take(name, may_go)

    @property
    def next_probe_s(self) -> float | None:
        """When `to_probe` is to be asked; None: not before another permit is granted."""
        return self._probed.next_s

    def to_probe(self, now_s: float) -> list[str]:
        """Hosts whose first answer is late, and what waits for them may be asked as well."""
        return list(dict.fromkeys(self._probed.due(now_s)))

    def next_new(self, now_s: float) -> T | None:
        """What waits for a new host, if there is a permit, or will not be; it is to `acquire` again."""
        if not self._new:
            return self._given_up.pop() if self._given_up else None
        for name, task in self._new.given_up(now_s):
            self._hosts.touch(name, now_s).passed_over = True
            self._given_up.append(task)
        if self._given_up:
            return self._given_up.pop()
        found = self._new.next(lambda client: self._has_permit_for_new(client, now_s))
        return None if found is None else found[1]

    def overdue(self, now_s: float) -> list[T]:
        """What waits for hosts that were prompt and no longer are; it is to `acquire` again."""
        late: list[T] = []
        for name in self._queues.hosts:
            if not self._hosts[name].prompt(now_s):
                late += self._queues.take_prompt(name)
        return late

    def clear(self) -> list[T]:
        """Everything that waits; nothing does any longer."""
        waiting = self._queues.clear() + self._given_up + [task for _, task in self._new.clear()]
        self._given_up = []
        return waiting

    def _note_granted(
        self, host: HostRecord, account: Account, permit: Permit, standing: HostStanding, now_s: float
    ) -> None:
        if permit.slow:
            self._paths.take_turn(permit.path)
        if not host.health.answered and host.next_probe_s < float("inf"):
            self._probed.put(host.name, host.next_probe_s)
        self._permits.take(account, prompt=permit.prompt)
        if standing is not _PROMPT and standing is not HostStanding.OWING:
            account.young[permit] = now_s

    def _slow_wait_s(self, host: HostRecord, client: str, path: int, now_s: float) -> float:
        """How long a slow path of the host is to wait; 0 if it may go as others do."""
        account = self._clients.get(client).permits
        turn_s = self._paths.turn_s(path)
        if turn_s == float("inf"):
            turn_s = host.next_turn_s(client, now_s)
            self._paths.give_turn(path, turn_s)
        if turn_s > now_s:
            return min(turn_s - now_s, _MAX_QUEUE_DEFERRAL_S * (0.5 + 0.5 * self._random()))
        may_go = host.requests.slow < min(host.max_slow, self._permits.share(prompt=False)) and (
            self._permits.may_take(account, HostStanding.OWING, now_s, first=False)
        )
        return 0.0 if may_go else (0.5 + self._random()) * PROMPT_S

    def _note_slow(self, host: HostRecord, now_s: float) -> None:
        for permit in host.age(now_s):
            self._paths.hangs(permit.path)

    def _has_permit_for_new(self, client: str, now_s: float) -> bool:
        account = self._clients.get(client).permits
        return self._permits.may_take(account, HostStanding.NEW, now_s, first=True)

    def _defer(self, host: HostRecord, client: str, now_s: float) -> Deferred:
        cool_down_s = host.health.cool_down_s(now_s)
        if cool_down_s > 0:
            # Spread over as long again: what is deferred must not come back at once.
            delay_s = cool_down_s + self._random() * max(cool_down_s, PROMPT_S)
        elif host.requests.count:
            delay_s = host.defer_s(self._queues.count(host.name), now_s, self._random)
        else:
            delay_s = (0.5 + self._random()) * PROMPT_S
        return self.defer_by(
            delay_s,
            client,
            now_s,
            unreachable=cool_down_s > 0 and host.health.unreachable and host.health.blamed,
        )

    def defer_by(self, delay_s: float, client: str, now_s: float, *, unreachable: bool = False) -> Deferred:
        """For a task that is to wait for so long, whatever its host; longer where too many come back."""
        return Deferred(delay_s + self._deferrals.delay_s(client, now_s), unreachable=unreachable)
