"""Does memory stay flat while events go through? `python bench/memory.py` measures it.

An API process, a worker and a store. A gateway publishes at a steady rate, one event a request, for 200
subscriptions. After each few seconds, once all has arrived, it is looked at what is resident of the API, of
the worker, and at what the store uses. What is said of a process counts its children. First comes a burst:
threads, their connections and buffers are made when there is most to do, and stay. The first minute is not
counted.

A process is flat if it grows by less than 1 MB in 10 minutes, from the median of the first fifth of the
samples to that of the last. The store is not judged: for a while it keeps what was attempted, and the ids of
events, so that none is taken twice.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

from harness.processes import family_resident_bytes
from harness.report import finish, machine, median, progress, show_machine, table
from harness.running_service import RunningService
from harness.scene import Scene, scene

_FLAT_MB_PER_MIN = 0.1
# More at once than the API has threads.
_BURST, _BURST_PER_S = 400, 4000.0
# What is first and what is last: this share of the samples.
_ENDS = 5
_MB = 1e6
_STORE = "store"


@dataclass(frozen=True)
class Sample:
    """`moment_min` since the first event, in minutes; memory in MB, by what has it."""

    moment_min: float
    megabytes: dict[str, float]


@dataclass(frozen=True)
class Trend:
    """In MB; `per_min` is how much the last is above the first, by the minutes of all samples."""

    first: float
    last: float
    per_min: float

    @classmethod
    def of(cls, moments_min: Sequence[float], megabytes: Sequence[float]) -> "Trend":
        ends = max(1, len(megabytes) // _ENDS)
        first, last = median(megabytes[:ends]), median(megabytes[-ends:])
        return cls(first, last, (last - first) / (moments_min[-1] - moments_min[0]))

    @property
    def is_flat(self) -> bool:
        return self.per_min < _FLAT_MB_PER_MIN


def play(place: Scene, options: argparse.Namespace) -> list[Sample]:
    """A sample after each few seconds, those of the warm-up too."""
    samples: list[Sample] = []
    with ExitStack() as stack:
        service = RunningService(place, stack)
        service.play(_BURST_PER_S, _BURST)
        started_s = time.monotonic()
        while (passed_min := (time.monotonic() - started_s) / 60) < options.minutes + options.warm_up:
            latencies = service.play(options.rate, int(options.rate * options.every))
            megabytes = {name: family_resident_bytes(pid) / _MB for name, pid in service.pids.items()}
            megabytes[_STORE] = place.store.client.info("memory")["used_memory"] / _MB
            samples.append(Sample((time.monotonic() - started_s) / 60, megabytes))
            figures = ", ".join(f"{name} {figure:.1f}" for name, figure in megabytes.items())
            progress(f"{passed_min:.1f} min: {latencies.per_s:,.0f}/s, MB: {figures}")
    return samples


def trends(samples: Sequence[Sample], warm_up_min: float) -> dict[str, Trend]:
    """By what has the memory."""
    counted = [sample for sample in samples if sample.moment_min >= warm_up_min]
    moments = [sample.moment_min for sample in counted]
    return {
        name: Trend.of(moments, [sample.megabytes[name] for sample in counted])
        for name in counted[0].megabytes
    }


def main() -> int:
    options = _options()
    report: dict[str, Any] = {"machine": machine(), "options": vars(options)}
    with scene(fsync=options.fsync, targets=options.subscriptions, events=1) as place:
        show_machine(report["machine"])
        print(place)
        samples = play(place, options)
    found = trends(samples, options.warm_up)
    report["samples"] = [asdict(sample) for sample in samples]
    flat = {name: trend.is_flat for name, trend in found.items() if name != _STORE}
    report["trends"] = {name: asdict(trend) for name, trend in found.items()}
    report["flat"] = flat
    heads = ("", "first, MB", "last, MB", "MB a minute", "flat")
    words = {True: "yes", False: "no", None: None}
    rows = [
        (name, trend.first, trend.last, trend.per_min, words[flat.get(name)]) for name, trend in found.items()
    ]
    finish(options.name, report, [table(heads, rows)])
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="after the warm-up")
    parser.add_argument("--warm-up", type=float, default=1.0, help="minutes that are not counted")
    parser.add_argument("--rate", type=float, default=100.0, help="events/s")
    parser.add_argument("--every", type=float, default=5.0, help="seconds between two samples")
    parser.add_argument("--subscriptions", type=int, default=200)
    parser.add_argument("--fsync", choices=("everysec", "always"), default="everysec", help="appendfsync")
    parser.add_argument("--name", default="memory", help="of the JSON file in build/bench/")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
