"""Figures of a self-test in words, beside those of docs/performance.md."""

import os
from collections.abc import Iterator
from typing import Final

from webrtc_events.cli.bench.measuring import Figures

__all__ = ["lines"]

# Source: docs/performance.md, "Acceptance" (batches of 100), "Drain", "Latency" (100/s): two shared cores.
_ACCEPTED: Final = 13_446
_DELIVERED: Final = 12_422
_P50_MS: Final = 1.9
_P99_MS: Final = 3.3
_ALIKE: Final = 1.25


def lines(figures: Figures, *, own_sink: bool) -> Iterator[str]:
    """What was measured, and what to know before it is compared."""
    yield _rate("accepted", figures.accepted_per_s, _ACCEPTED)
    yield _rate("delivered", figures.delivered_per_s, _DELIVERED)
    yield _latency("latency p50", figures.latency_p50_ms, _P50_MS)
    yield _latency("latency p99", figures.latency_p99_ms, _P99_MS)
    yield ""
    load, cores = os.getloadavg()[0], os.cpu_count()
    yield f"This machine has {cores} cores and a load of {load:.1f}. The documented figures are of two cores,"
    yield "a load below 2, a store with `appendfsync everysec` and one worker: docs/performance.md."
    if own_sink:
        yield "The sink was this command's, in Python: a faster one shows what workers can; see --sink."
    if figures.failed:
        found = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(figures.outcomes.items()))
        yield f"Not every attempt was a delivery: {found}. See the worker's log."
    if figures.left:
        yield f"{figures.left:,} events still waited at the end, and are dropped."
    if figures.interrupted:
        yield "It was interrupted: the figures are of a shorter time."


def _rate(name: str, value: float | None, documented: float) -> str:
    if value is None:
        return f"{name:<12} not measured"
    return f"{name:<12} {value:>9,.0f}/s   {_in_words(value / documented)} ({documented:,}/s)"


def _latency(name: str, value: float | None, documented: float) -> str:
    if value is None:
        return f"{name:<12} not measured: no attempt at an event was found"
    # In whole ms: half of one is what cannot be told from none.
    return f"{name:<12} {value:>9,.0f} ms  {_in_words(documented / max(value, 0.5))} ({documented} ms)"


def _in_words(ratio: float) -> str:
    """`ratio`: above 1 is faster than documented."""
    if 1 / _ALIKE <= ratio <= _ALIKE:
        return "about as fast as documented"
    if ratio > 1:
        return f"{ratio:.1f} times as fast as documented"
    return f"{1 / ratio:.1f} times slower than documented"
