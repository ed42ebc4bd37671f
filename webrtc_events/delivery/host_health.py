"""How much one host may be asked at once, learnt from its replies. Pure.

| the host | may have on its way |
| --- | --- |
| is new, or rested after it fell silent | one request: the probe |
| answers | a window, wider by one with each answer that is well, half of it when it asks for less |
| fell silent: the probe failed, or several in a row did | nothing for a rest, each longer than the last |
| asked to be left alone (Retry-After) | nothing until then, within bounds |

So a host that comes back is not asked by all that waited for it at once: from one on, the window
doubles with each round trip. Any answer is proof that the host is there; any failure of a host
that was never heard is reason to leave it alone.

A request counts for the epoch in which it was started; an epoch ends when the host falls silent.
What started before that and fails afterwards says nothing new. A request to be left alone is taken
back when something that was asked later is answered well: the host had meant one of its paths only.

Times are seconds of one monotonic clock.
"""

from collections.abc import Callable
from dataclasses import dataclass

from webrtc_events.delivery.host_signals import Erred, Sign, Silent, Slower, Took

__all__ = ["LONGEST_REST_S", "SILENT_AFTER", "Pace", "Started"]

SILENT_AFTER = 5
"""Failures in a row, with no answer in between, after which a host that did answer counts as silent."""

LONGEST_REST_S = 15.0
"""A call rings for a minute or two: a host that is back must be found well within it."""

_FIRST_REST_S = 1.0
# From this silence in a row on the rests no longer grow.
_LAST_GROWTH = 4
_SMOOTHING = 0.125


@dataclass(frozen=True, slots=True)
class Started:
    """When a request was started: the host's epoch, its number in it, the time."""

    epoch: int
    number: int
    at_s: float


class Pace:
    """Of one host. At most `in_flight` requests, and, unless it multiplexes, `connections`."""

    __slots__ = (
        "_asked_to_wait",
        "_connections",
        "_epoch",
        "_failures",
        "_in_flight",
        "_narrowed_at",
        "_number",
        "_rest_until_s",
        "_silences",
        "answers_in_s",
        "most",
        "proven",
        "window",
    )

    def __init__(self, *, in_flight: int, connections: int) -> None:
        self._in_flight = in_flight
        self._connections = connections
        self.most = min(in_flight, connections)
        self.window = 1
        self.proven = False
        self.answers_in_s = 0.0
        self._epoch = 0
        self._number = 0
        self._failures = 0
        self._silences = 0
        self._rest_until_s = float("-inf")
        self._asked_to_wait = 0
        self._narrowed_at = 0

    def start(self, now_s: float) -> Started:
        """One more is on its way."""
        self._number += 1
        return Started(self._epoch, self._number, now_s)

    def is_current(self, started: Started) -> bool:
        """Whether it was started since the host last fell silent."""
        return started.epoch == self._epoch

    def rest_s(self, now_s: float) -> float:
        """For how long the host is still left alone; 0 if it is not."""
        return max(0.0, self._rest_until_s - now_s)

    @property
    def silent(self) -> bool:
        """Whether the last that was heard of it is that it does not answer."""
        return self._silences > 0

    def learn(self, started: Started, sign: Sign | None, now_s: float, random: Callable[[], float]) -> None:
        """Takes in what came of a request. `random`: uniform in [0, 1)."""
        match sign:
            case Silent():
                self._smooth(now_s - started.at_s)
                self._fail(started, now_s, random)
            case Slower(pause_s):
                self._answer(started, now_s)
                self._narrow(started, now_s, pause_s)
            case Erred():
                self._answer(started, now_s)
            case Took(multiplexed):
                self._answer(started, now_s)
                if started.number > self._asked_to_wait:
                    self._rest_until_s = now_s
                self.most = self._in_flight if multiplexed else min(self._in_flight, self._connections)
                self.window = min(self.window + 1, self.most)

    def _answer(self, started: Started, now_s: float) -> None:
        if self.proven:
            self._smooth(now_s - started.at_s)
        else:
            # What it took to find out that it was silent says nothing about its answers.
            self.answers_in_s = now_s - started.at_s
        if self._silences:
            self._rest_until_s = now_s
        self.proven = True
        self._failures = 0
        self._silences = 0

    def _smooth(self, took_s: float) -> None:
        self.answers_in_s += _SMOOTHING * (took_s - self.answers_in_s)

    def _narrow(self, started: Started, now_s: float, pause_s: float) -> None:
        if started.number > self._narrowed_at:
            # Once for all that were on their way together.
            self._narrowed_at = self._number
            self.window = max(1, self.window // 2)
        if pause_s > 0:
            self._asked_to_wait = max(self._asked_to_wait, started.number)
            self._rest_until_s = max(self._rest_until_s, now_s + min(pause_s, LONGEST_REST_S))

    def _fail(self, started: Started, now_s: float, random: Callable[[], float]) -> None:
        if not self.is_current(started):
            return
        self._failures += 1
        if self.proven and self._failures < SILENT_AFTER:
            return
        rest_s = min(LONGEST_REST_S, _FIRST_REST_S * 2 ** min(self._silences, _LAST_GROWTH))
        # Spread, so that several workers do not ask at once.
        self._rest_until_s = now_s + rest_s * (0.5 + 0.5 * random())
        self._silences += 1
        self._failures = 0
        self._epoch += 1
        self.proven = False
        self.window = 1
