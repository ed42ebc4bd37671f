"""Tokens that are fetched for sinks: who asks for one, who waits for it, and what a failure means.

Before a task takes a permit for its sink it needs its token. The first that needs one asks: it takes a
permit for the token server as for any host, so that one that hangs costs its own subscribers and no others.
The rest wait for the same answer, as many as there is room for; more are deferred. A failure is a retry of
the notifications that waited for it. What comes while nobody asks is deferred, and counts as no attempt.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from webrtc_events.core.activity import Activity
from webrtc_events.core.credentials import SealError
from webrtc_events.core.outcomes import Drop, Retry, SinkAnswer, SinkReply
from webrtc_events.core.sink_hosts import host_of
from webrtc_events.delivery.client_pool import ClientPool
from webrtc_events.delivery.deferrals import Deferred
from webrtc_events.delivery.host_limiter import HostLimiter
from webrtc_events.delivery.host_requests import Permit
from webrtc_events.delivery.host_returns import HostReturns
from webrtc_events.delivery.host_signals import signal_of
from webrtc_events.delivery.proxy_circuit import ProxyCircuit
from webrtc_events.delivery.retry_policy import retry_or_drop
from webrtc_events.delivery.tasks import DeliveryTask
from webrtc_events.delivery.token_cache import TokenCache, TokenEntry, TokenKey, last_use_s
from webrtc_events.sinks.client import SinkClient
from webrtc_events.sinks.token_answers import IssuedToken, TokenFailure, read_token
from webrtc_events.sinks.token_source import TokenSource

__all__ = ["SinkTokens", "TaskSteps", "TokenRequest"]

log = logging.getLogger(__name__)

_MAX_ENTRIES: Final = 10_000
_MAX_BYTES: Final = 32 << 20
_MAX_WAITING: Final = 1024
# Without a key, or a credential that opens: another worker may have them.
_ELSEWHERE_RETRY_MS: Final = 30_000
# What has no room to wait comes again, spread over a while.
_CROWDED_S: Final = 1.0
_OVER: Final = TokenFailure(
    "token_refused", "the token server answered 200 with a token that is over already"
)


@dataclass(frozen=True, slots=True)
class TaskSteps:
    """What becomes of a task that needs a token. Times are the store's.

    `go_on`: it may have one now, or is to ask for it. `defer`: it goes back, and no attempt was made.
    `fail`: an attempt was made, and there was no token. `abandon`: by a bug it cannot go on.
    """

    go_on: Callable[[DeliveryTask], None]
    defer: Callable[[DeliveryTask, Deferred, int], None]
    fail: Callable[[DeliveryTask, Retry | Drop, int], None]
    abandon: Callable[[DeliveryTask], None]


class TokenRequest:
    """One that is under way. `host`: of the token server."""

    __slots__ = ("asked_s", "entry", "host", "now_ms", "permit")

    def __init__(
        self, entry: TokenEntry[DeliveryTask], permit: Permit, asked_s: float, now_ms: Callable[[float], int]
    ) -> None:
        self.entry: Final = entry
        self.permit: Final = permit
        self.host: Final = permit.host
        self.asked_s: Final = asked_s
        self.now_ms: Final = now_ms


class SinkTokens:
    """Of one dispatcher. `source` None: this deployment has no keys to ask with.

    `random`: uniform in [0, 1). `mask`: takes personal data out of what is logged.
    """

    def __init__(
        self,
        source: TokenSource | None,
        activity: Activity,
        random: Callable[[], float],
        mask: Callable[[str], str],
    ) -> None:
        self._source = source
        self._activity = activity
        self._random = random
        self._mask = mask
        self._cache: TokenCache[DeliveryTask] = TokenCache(_MAX_ENTRIES, _MAX_BYTES)
        self._room = ClientPool(_MAX_WAITING)
        # Where each task waits, or leads.
        self._places: dict[DeliveryTask, TokenEntry[DeliveryTask]] = {}

    def serve(
        self,
        steps: TaskSteps,
        sink: SinkClient[Any],
        limiter: HostLimiter[DeliveryTask],
        returns: HostReturns,
        proxy: ProxyCircuit | None,
    ) -> None:
        """Whose tasks they are, and by what is asked. `proxy`: the circuit breaker of the egress proxy."""
        self._steps = steps
        self._sink = sink
        self._limiter = limiter
        self._returns = returns
        self._proxy = proxy

    def has(self, task: DeliveryTask, now_s: float, now_ms: int) -> bool:
        """Whether the task has its token. Else it waits, or is done with."""
        entry = self._places.get(task) or self._entry(task, now_ms)
        if entry is None:
            return False
        if entry.is_due(task, now_s) and not self._asks(entry, task, now_s):
            # It is in the queue of the token server's host.
            return False
        token = entry.token(now_s)
        if token is not None:
            self._leave(task)
            task.token, task.awaits_token = token, False
            return True
        if entry.asking or entry.leader is not None:
            self._wait(entry, task, now_s, now_ms)
        else:
            self._defer(task, entry.next_s - now_s, now_s, now_ms)
        return False

    def _entry(self, task: DeliveryTask, now_ms: int) -> TokenEntry[DeliveryTask] | None:
        """None: it is not known what the token is; the task has failed."""
        claim = task.claim
        reason, detail = "token_unavailable", "no TOKEN_KEYS are set up"
        if self._source is not None:
            try:
                credential = self._source.opened(claim.credential or "", claim.subscription_id)
                return self._cache.touch(TokenKey(claim.client, credential))
            except SealError:
                log.exception("credential of subscription=%s cannot be opened", claim.subscription_id)
                reason, detail = "credential_unreadable", ""
        self._fail(task, TokenFailure(reason, detail), _ELSEWHERE_RETRY_MS / 1000, now_ms)
        return None

    def _asks(self, entry: TokenEntry[DeliveryTask], task: DeliveryTask, now_s: float) -> bool:
        """Asks for the token, unless the task has to wait for a permit first: False."""
        if self._source is None:
            return True
        credential, client = entry.key.credential, task.claim.client
        url = credential.token_uri
        entry.leader = None
        acquired: Permit | Deferred | None
        if self._proxy is not None and (delay_s := self._proxy.delay_s(url, now_s)) > 0:
            acquired = self._limiter.defer_by(delay_s, client, now_s)
        else:
            acquired = self._limiter.acquire(
                host_of(url),
                client,
                task,
                now_s,
                path=hash(url),
                accepted_ms=task.item.accepted_ms,
            )
        if acquired is None:
            self._leave(task)
            entry.leader = task
            self._places[task] = entry
            return False
        if isinstance(acquired, Deferred):
            entry.put_off(acquired.delay_s, now_s)
            # By the moment of this one: they find that nobody asks.
            self._release(entry, but=task)
            return True
        # Signed once there is a permit: whoever is deferred again and again costs no signature each time.
        try:
            request = self._source.request(credential, client)
        except Exception:
            self._limiter.release(acquired, None, now_s)
            raise
        entry.asking = True
        self._sink.submit(TokenRequest(entry, acquired, now_s, task.now_ms), request)
        return True

    def _wait(self, entry: TokenEntry[DeliveryTask], task: DeliveryTask, now_s: float, now_ms: int) -> None:
        client = task.claim.client
        if task in entry.waiting:
            return
        if not self._room.may_have(client):
            self._defer(task, _CROWDED_S, now_s, now_ms)
            return
        self._room.take(client)
        entry.waiting[task] = None
        self._places[task] = entry

    def replied(self, request: TokenRequest, reply: SinkReply, now_s: float) -> None:
        """Takes in the reply of a token server; what waits for its host may go on after that."""
        try:
            self._take_reply(request, reply, now_s)
        except Exception:
            # What waits for it fails, and nothing else does.
            log.exception("the reply of %s was not taken in", self._host(request.entry))
            for task in self._waiting(request.entry):
                self._steps.abandon(task)

    def _take_reply(self, request: TokenRequest, reply: SinkReply, now_s: float) -> None:
        entry, moment_s = request.entry, request.now_ms(now_s) / 1000
        entry.asking = False
        if self._proxy is not None:
            self._proxy.replied(entry.key.credential.token_uri, reply, now_s)
        signal = signal_of(reply, moment_s)
        to_probe = self._limiter.release(request.permit, signal, now_s)
        if signal is not None:
            self._returns.replied(request.host, signal, to_probe)
        answer = read_token(reply, moment_s)
        if isinstance(answer, IssuedToken) and now_s >= last_use_s(request.asked_s, answer.life_s):
            # Else whoever waits would ask again at once, and again.
            answer = _OVER
        if isinstance(answer, IssuedToken):
            self._issued(entry, answer, request.asked_s)
        else:
            self._failed(entry, answer, now_s)

    def _issued(self, entry: TokenEntry[DeliveryTask], token: IssuedToken, asked_s: float) -> None:
        self._activity.token_requests["issued"] += 1
        if entry.failures:
            log.info("the token server %s gives tokens again", self._host(entry))
        self._cache.grown(entry.issued(token.value, token.life_s, asked_s), but=entry)
        self._release(entry)

    def _failed(self, entry: TokenEntry[DeliveryTask], failure: TokenFailure, now_s: float) -> None:
        self._activity.token_requests[failure.reason.removeprefix("token_")] += 1
        entry.failed(failure.pause_s, now_s, self._random)
        if entry.failures == 1:
            # The first is news. Of what waits for it each attempt has a line too.
            log.warning("no token from %s: %s", self._host(entry), self._mask(failure.detail))
        if entry.token(now_s) is not None:
            self._release(entry)
            return
        pause_s = entry.next_s - now_s
        for task in self._waiting(entry):
            self._fail(task, failure, pause_s * (1 + 0.5 * self._random()), task.now_ms(now_s))

    def answered(self, task: DeliveryTask, reply: SinkReply, now_s: float) -> None:
        """Learns what a sink said to a token: one that it refuses may be used up already."""
        if task.token is not None and isinstance(reply, SinkAnswer) and reply.status == 401:
            entry = self._cache.get(task.token.key)
            if entry is not None:
                entry.refused(task.token, now_s)

    def left(self, task: DeliveryTask) -> None:
        """The task is done with, whatever it waited for."""
        entry = self._places.get(task)
        if entry is None:
            return
        led = entry.leader is task
        self._leave(task)
        if led:
            self._release(entry)

    def clear(self) -> list[DeliveryTask]:
        """What waits, but for those that wait for a permit; nothing does any longer."""
        waiting = [task for task, entry in self._places.items() if task in entry.waiting]
        for task in waiting:
            self._leave(task)
        return waiting

    def _leave(self, task: DeliveryTask) -> None:
        entry = self._places.pop(task, None)
        if entry is None:
            return
        if entry.leader is task:
            entry.leader = None
        if task in entry.waiting:
            del entry.waiting[task]
            self._room.give(task.claim.client)

    def _waiting(
        self, entry: TokenEntry[DeliveryTask], but: DeliveryTask | None = None
    ) -> list[DeliveryTask]:
        """What waits for it waits no longer."""
        waiting = [task for task in entry.waiting if task is not but]
        for task in waiting:
            self._leave(task)
        return waiting

    def _release(self, entry: TokenEntry[DeliveryTask], but: DeliveryTask | None = None) -> None:
        """Lets what waits for it look again."""
        for task in self._waiting(entry, but):
            self._steps.go_on(task)

    def _defer(self, task: DeliveryTask, delay_s: float, now_s: float, now_ms: int) -> None:
        self._leave(task)
        spread_s = max(0.0, delay_s) * (1 + 0.5 * self._random()) + self._random() * _CROWDED_S
        deferred = self._limiter.defer_by(spread_s, task.claim.client, now_s)
        # Of the sink's host nothing is known by that.
        self._steps.defer(task, replace(deferred, unreachable=False), now_ms)

    def _fail(self, task: DeliveryTask, failure: TokenFailure, delay_s: float, now_ms: int) -> None:
        delay_ms, remaining_ms = round(delay_s * 1000), task.remaining_ms(now_ms)
        outcome = retry_or_drop(failure.reason, failure.detail, delay_ms, remaining_ms)
        self._steps.fail(task, outcome, now_ms)

    def _host(self, entry: TokenEntry[DeliveryTask]) -> str:
        return self._mask(host_of(entry.key.credential.token_uri))
