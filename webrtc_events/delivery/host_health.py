"""How many requests one host may have in flight, learnt from its replies. Pure.

| the host | may have in flight |
| --- | --- |
| is new, or its cool-down is over (the circuit is half-open) | a probe, two more while it is late |
| answers (the circuit is closed) | its adaptive limit: plus one at each healthy answer, half when throttled |
| is unreachable: the probe failed, or several in a row (the circuit is open) | nothing during a cool-down |
| throttles by Retry-After | nothing until then, within bounds |

Each cool-down in a row is longer than the last. One ends early where a host that became unreachable at the
same time is back (host_outages.py). A host that recovers does not get all that waited for it at once: from
one on, the limit doubles with each round trip. Any answer proves that the host is there; any failure of a
host that never answered opens the circuit.

A request counts for the epoch in which it was started; an epoch ends when the circuit opens. What was
started before that and fails afterwards says nothing new. A Retry-After is taken back when a request
that was started later gets a healthy answer: the host had meant one of its paths only. For the same reason
a request that is overtaken, because one that was started later got its answer, says nothing by its failure.

Times are seconds of one monotonic clock.
"""

from collections.abc import Callable
from typing import Final

from webrtc_events.delivery.host_signals import Error, Healthy, HostSignal, Throttled, Unreachable

__all__ = ["FAILURES_TO_OPEN", "MAX_COOL_DOWN_S", "PROMPT_S", "HostHealth", "StartedRequest"]

PROMPT_S: Final = 1.0
"""A host whose answers take longer is not prompt."""

FAILURES_TO_OPEN: Final = 5
"""Failures in a row, with no answer in between, that open the circuit of a host that did answer."""

MAX_COOL_DOWN_S: Final = 15.0
"""A call rings for a minute or two: a host that recovers must be found well within it."""

_FIRST_COOL_DOWN_S: Final = 1.0
_LEAST_COOL_DOWN_S: Final = 0.5 * _FIRST_COOL_DOWN_S
# After opening this often in a row the cool-down no longer grows.
_LAST_GROWTH: Final = 4
_SMOOTHING: Final = 0.125
# Times as long as usual.
_FAR_LONGER: Final = 4


class StartedRequest:
    """When a request was started: the host's epoch, its number in it, the time."""

    __slots__ = ("at_s", "epoch", "number")

    def __init__(self, epoch: int, number: int, at_s: float) -> None:
        self.epoch: Final = epoch
        self.number: Final = number
        self.at_s: Final = at_s


class HostHealth:
    """Of one host. At most `in_flight` requests, and, unless it multiplexes, `connections`.

    `limit`: the adaptive limit, at most `max_limit`. `answered`: it has answered since it was new, or
    since the circuit last opened. `response_s`: how long its answers take. `unreachable_since_s`: since when
    it is unreachable, or was the last time. `blamed`: its latest failure was no other's, see `Unreachable`;
    `reason` is why it failed.
    """

    __slots__ = (
        "_answered_number",
        "_epoch",
        "_failures",
        "_in_flight",
        "_most",
        "_not_before_s",
        "_number",
        "_opened",
        "_opened_at_s",
        "_paused_at",
        "_throttled_at",
        "answered",
        "blamed",
        "limit",
        "max_limit",
        "reason",
        "response_s",
        "unreachable_since_s",
    )

    def __init__(self, *, in_flight: int, connections: int) -> None:
        self._in_flight = in_flight
        # Without multiplexing.
        self._most = min(in_flight, connections)
        self.max_limit = self._most
        self.limit = 1
        self.answered = False
        self.blamed = True
        self.reason = ""
        self.response_s = 0.0
        self._epoch = 0
        self._number = 0
        # Of those that were answered, the one that was started last.
        self._answered_number = 0
        self._failures = 0
        # How often the circuit opened since the last answer.
        self._opened = 0
        self.unreachable_since_s = self._opened_at_s = self._not_before_s = float("-inf")
        # The numbers of the requests that the latest Retry-After, and the latest narrowing, count for.
        self._paused_at = 0
        self._throttled_at = 0

    def start(self, now_s: float) -> StartedRequest:
        """One more is in flight."""
        self._number += 1
        return StartedRequest(self._epoch, self._number, now_s)

    def is_current(self, started: StartedRequest) -> bool:
        """Whether it was started since the circuit last opened."""
        return started.epoch == self._epoch

    def is_overtaken(self, started: StartedRequest) -> bool:
        """Whether a request that was started later has been answered."""
        return started.number < self._answered_number

    @property
    def hanging_s(self) -> float:
        """A request that is overtaken and takes longer hangs: its path is to blame, not the host."""
        return max(PROMPT_S, _FAR_LONGER * self.response_s)

    def cool_down_s(self, now_s: float) -> float:
        """For how long the host must not be asked; 0 if it may be."""
        return max(0.0, self._not_before_s - now_s)

    def cools_down(self, now_s: float) -> bool:
        """Whether the host must not be asked."""
        return self._not_before_s > now_s

    def end_cool_down(self, now_s: float) -> None:
        """It may be asked now, if it has been left alone for as long as any host that fails."""
        self._not_before_s = min(self._not_before_s, max(now_s, self._opened_at_s + _LEAST_COOL_DOWN_S))

    @property
    def opened_at_s(self) -> float:
        """When a request to it last failed so that its circuit opened, or stayed open."""
        return self._opened_at_s

    @property
    def answered_number(self) -> int:
        """Changes with its answers; 0: it has given none."""
        return self._answered_number

    @property
    def unreachable(self) -> bool:
        """Whether the latest that is known of it is that it does not answer."""
        return self._opened > 0

    def record(
        self, started: StartedRequest, signal: HostSignal | None, now_s: float, random: Callable[[], float]
    ) -> None:
        """Learns from the end of a request. `random`: uniform in [0, 1)."""
        match signal:
            case Healthy():
                # First, as most are.
                self._answer(started, now_s)
                if started.number > self._paused_at:
                    self._not_before_s = now_s
                self.max_limit = most = self._in_flight if signal.multiplexed else self._most
                self.limit = self.limit + 1 if self.limit < most else most
            case Unreachable(blamed, reason):
                if not self.is_overtaken(started):
                    self.blamed, self.reason = blamed, reason
                    self.response_s += _SMOOTHING * (now_s - started.at_s - self.response_s)
                    self._fail(started, now_s, random)
            case Throttled(pause_s):
                self._answer(started, now_s)
                self._throttle(started, now_s, pause_s)
            case Error():
                self._answer(started, now_s)

    def _answer(self, started: StartedRequest, now_s: float) -> None:
        spent_s = now_s - started.at_s
        if not self.answered:
            # How long it took to find the host unreachable says nothing about its answers.
            self.response_s = spent_s
        elif spent_s < PROMPT_S or not self.is_overtaken(started) or spent_s < self.hanging_s:
            self.response_s += _SMOOTHING * (spent_s - self.response_s)
        if started.number > self._answered_number:
            self._answered_number = started.number
        if self._opened:
            self._not_before_s = now_s
        self.answered = True
        self._failures = 0
        self._opened = 0

    def _throttle(self, started: StartedRequest, now_s: float, pause_s: float) -> None:
        if started.number > self._throttled_at:
            # Once for all that were in flight together.
            self._throttled_at = self._number
            self.limit = max(1, self.limit // 2)
        if pause_s > 0:
            self._paused_at = max(self._paused_at, started.number)
            self._not_before_s = max(self._not_before_s, now_s + min(pause_s, MAX_COOL_DOWN_S))

    def _fail(self, started: StartedRequest, now_s: float, random: Callable[[], float]) -> None:
        if not self.is_current(started):
            return
        self._failures += 1
        if not self.answered or self._failures >= FAILURES_TO_OPEN:
            self._open(now_s, random)

    def _open(self, now_s: float, random: Callable[[], float]) -> None:
        cool_down_s = min(MAX_COOL_DOWN_S, _FIRST_COOL_DOWN_S * 2 ** min(self._opened, _LAST_GROWTH))
        # Spread, so that several workers do not probe at once.
        self._not_before_s = now_s + cool_down_s * (0.5 + 0.5 * random())
        self._opened_at_s = now_s
        if not self._opened:
            self.unreachable_since_s = now_s
        self._opened += 1
        self._epoch += 1
        self.answered = False
        self.limit = 1
