"""The phases of a self-test: events at a steady rate, as many as possible, and emptying what waits then."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from webrtc_events.cli.bench.load import Load, percentile
from webrtc_events.cli.status_line import StatusLine
from webrtc_events.core.clock import Clock
from webrtc_events.core.stop_signals import StopSignals
from webrtc_events.store.store import Store

__all__ = ["Figures", "measure"]

_RATE: Final = 100
_BATCH: Final = 100
# That many take a worker of one core some seconds.
_MOST_WAITING: Final = 25_600
_STEADY, _FULL, _EMPTY = 0.35, 0.2, 0.45
_POLL_S: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """None: could not be measured. `left` events still waited at the end. `outcomes`: of attempts."""

    seconds: float
    accepted: int
    accepted_per_s: float | None
    delivered_per_s: float | None
    latency_p50_ms: int | None
    latency_p99_ms: int | None
    left: int
    outcomes: Mapping[str, int]
    interrupted: bool

    @property
    def failed(self) -> int:
        return sum(count for outcome, count in self.outcomes.items() if outcome != "delivered")

    def document(self) -> dict[str, Any]:
        return {
            "seconds": round(self.seconds, 1),
            "accepted": self.accepted,
            "acceptedPerSecond": _rounded(self.accepted_per_s),
            "deliveredPerSecond": _rounded(self.delivered_per_s),
            "latencyP50Ms": self.latency_p50_ms,
            "latencyP99Ms": self.latency_p99_ms,
            "leftWaiting": self.left,
            "attempts": dict(self.outcomes),
            "interrupted": self.interrupted,
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def measure(load: Load, store: Store, seconds: float, clock: Clock, signals: StopSignals) -> Figures:
    """Within `seconds`, or until a signal."""
    line = StatusLine(clock)
    began_s, since_ms = clock.monotonic(), store.processes.now_ms()
    run = _Run(load, clock, signals, line, began_s, seconds)
    run.steady(seconds * _STEADY)
    # What was sent last is under way.
    run.empty(1.0)
    took_ms, outcomes = load.attempts(since_ms)
    accepted_per_s = run.full(seconds * _FULL, load.published + min(_MOST_WAITING, load.room))
    delivered_per_s = run.empty(seconds * _EMPTY)
    line.clear()
    return Figures(
        seconds=clock.monotonic() - began_s,
        accepted=load.published,
        accepted_per_s=accepted_per_s,
        delivered_per_s=delivered_per_s,
        latency_p50_ms=percentile(took_ms, 0.5),
        latency_p99_ms=percentile(took_ms, 0.99),
        left=load.waiting(),
        outcomes=outcomes,
        interrupted=signals.asked(),
    )


@dataclass(frozen=True, slots=True)
class _Run:
    load: Load
    clock: Clock
    signals: StopSignals
    line: StatusLine
    began_s: float
    seconds: float

    def _progress(self, what: str) -> None:
        passed_s = self.clock.monotonic() - self.began_s
        self.line.bar(round(passed_s), round(self.seconds), f"of {self.seconds:.0f} s: {what}")

    def steady(self, seconds: float) -> None:
        """One event at a time, at a rate that leaves the service at ease."""
        first_s = self.clock.monotonic()
        for number in range(int(seconds * _RATE)):
            due_s = first_s + number / _RATE
            if self.signals.wait(max(0.0, due_s - self.clock.monotonic())):
                return
            if self.clock.monotonic() - first_s > seconds:
                return
            self.load.publish(1)
            self._progress(f"{_RATE} events a second, one at a time")

    def full(self, seconds: float, most: int) -> float | None:
        """Batches, one after the other: events accepted in a second."""
        first_s, first = self.clock.monotonic(), self.load.published
        while not self.signals.asked() and self.load.published < most:
            if self.clock.monotonic() - first_s >= seconds:
                break
            self.load.publish(_BATCH)
            self._progress("as many events as are accepted")
        took_s = self.clock.monotonic() - first_s
        count = self.load.published - first
        return count / took_s if count and took_s > 0 else None

    def empty(self, seconds: float) -> float | None:
        """Nothing is published: events delivered in a second, until nothing waits or the time is over."""
        first_s, first = self.clock.monotonic(), self.load.waiting()
        waiting = first
        while waiting and self.clock.monotonic() - first_s < seconds:
            if self.signals.wait(_POLL_S):
                break
            waiting = self.load.waiting()
            self._progress("what waits is delivered")
        took_s = self.clock.monotonic() - first_s
        return (first - waiting) / took_s if first > waiting and took_s > 0 else None
