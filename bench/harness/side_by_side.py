"""Checkouts of the service side by side, each with a store and a sink of its own, published to in turns."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

from harness.contenders import Release
from harness.processes import cpu_s
from harness.report import median, paired_ratio, progress, table
from harness.running_service import RunningService
from harness.scene import scene

__all__ = ["SideBySide", "Way"]

_FIGURES = ("p50", "p99", "api_cpu", "worker_cpu")
_HEADS = ("", "p50 ms", "p99 ms", "API CPU s/1,000", "worker CPU s/1,000")


@dataclass(frozen=True)
class Way:
    """What a round took: of an event's way, in ms, and CPU for 1,000 events, in s."""

    p50: float
    p99: float
    api_cpu: float
    worker_cpu: float


class SideBySide:
    """What each release took in each round, by rate. All run all the time, so rounds may be short."""

    def __init__(
        self,
        releases: Mapping[str, Release],
        rates: Sequence[float],
        seconds: float,
        rounds: int,
        fsync: str,
    ) -> None:
        self.found: dict[float, dict[str, list[Way]]] = {
            rate: {name: [] for name in releases} for rate in rates
        }
        with ExitStack() as stack:
            services = {
                name: RunningService(
                    stack.enter_context(scene(fsync=fsync, targets=200, events=1)), stack, release
                )
                for name, release in releases.items()
            }
            for number in range(rounds):
                # Forth and back: a drift of the machine counts for all.
                names = [*services] if number % 2 == 0 else [*services][::-1]
                for rate in rates:
                    for name in names:
                        way = _played(services[name], rate, int(rate * (seconds + 1)))
                        self.found[rate][name].append(way)
                        progress(
                            f"round {number + 1} of {rounds}, {rate:g}/s: {name}: p50 {way.p50:.1f}, "
                            f"p99 {way.p99:.1f} ms, CPU {way.api_cpu:.3f} and {way.worker_cpu:.3f} s/1,000"
                        )

    def as_json(self) -> dict[str, Any]:
        return {
            f"{rate:g}": {name: [asdict(way) for way in ways] for name, ways in of_each.items()}
            for rate, of_each in self.found.items()
        }

    def table(self) -> str:
        """Medians of the rounds; ratios of the first to each other, of rounds that are neighbours."""
        rows: list[tuple[object, ...]] = []
        for rate, of_each in self.found.items():
            own, *others = of_each
            for name, ways in of_each.items():
                rows.append((f"{rate:g}/s: {name}", *(median(_of(ways, figure)) for figure in _FIGURES)))
            for other in others:
                ratios = (
                    paired_ratio(_of(of_each[own], figure), _of(of_each[other], figure))
                    for figure in _FIGURES
                )
                rows.append((f"{rate:g}/s: ratio to {other}", *(f"x {ratio:.2f}" for ratio in ratios)))
        return table(_HEADS, rows)


def _of(ways: Sequence[Way], figure: str) -> list[float]:
    return [max(1e-9, getattr(way, figure)) for way in ways]


def _played(service: RunningService, rate: float, events: int) -> Way:
    before = {name: cpu_s(pid) for name, pid in service.pids.items()}
    latencies = service.play(rate, events)
    used = {name: 1000 * (cpu_s(pid) - before[name]) / events for name, pid in service.pids.items()}
    return Way(latencies.p50, latencies.p99, used["API"], used["worker"])
