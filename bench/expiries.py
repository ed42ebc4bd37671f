"""What happens when very many subscriptions expire at once? `python bench/expiries.py` measures it.

An API process, a worker and a store deliver events at a steady rate. Then all of 100,000 other subscriptions
expire at the same moment. From that moment: until none of them is active, until every subscriber was told,
and how long the events of the others were under way meanwhile, beside a quiet time before. The longest
scripts say for how long the store served nobody else.

    --compare DIR   another checkout beside this one, in turns
"""

import argparse
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields
from typing import Any

from harness.arrivals import Arrivals
from harness.contenders import ROOT, Release, releases_beside, script_of, service_environ
from harness.pacing import Latencies
from harness.processes import clean_environ
from harness.report import finish, machine, median, progress, show_machine, table
from harness.running_service import RunningService
from harness.scene import Scene, scene
from harness.store import BenchStore
from sinks import arrivals_file

_PARTITIONS = 64
_HOSTS = 8
_FILL_S = 3600.0
# How many are made to learn how fast that goes, and by how much the rest may be slower.
_TRIAL, _SLOWER = 2000, 1.5
# What a program takes to begin, however little it makes.
_START_S = 5.0
# The registrations and sessions of those that events are published for have smaller numbers.
_FIRST = 1_000_000
_LOOK_EVERY_S = 0.1
_LONGEST_US = 1000


@dataclass(frozen=True)
class Expiries:
    """From the moment of expiry, in s; of scripts and of the others' events meanwhile and before, in ms."""

    ended_s: float
    told_half_s: float
    told_all_s: float
    longest_script_ms: float
    p50: float
    p99: float
    quiet_p50: float
    quiet_p99: float


class EndWatch:
    """Looks, in another thread, how many subscriptions still wait for their end."""

    def __init__(self, store: BenchStore, expiry_s: float) -> None:
        self.ended_s: float | None = None
        self._store = store
        self._expiry_s = expiry_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> "EndWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(_LOOK_EVERY_S):
            now_s = time.time()
            if now_s < self._expiry_s:
                continue
            pipe = self._store.client.pipeline(transaction=False)
            for number in range(_PARTITIONS):
                pipe.zcount(f"{{{number}}}:ends", "-inf", round(self._expiry_s * 1000))
            if sum(pipe.execute()) == 0:
                self.ended_s = now_s - self._expiry_s
                return


def play(release: Release, place: Scene, options: argparse.Namespace) -> Expiries:
    place.store.empty()
    with ExitStack() as stack:
        service = RunningService(place, stack, release)
        events = int(options.rate * (options.seconds + 1))
        expiry_s = _fill(release, place, options.subscriptions, spare_s=options.seconds + 5)
        quiet = service.play(options.rate, events)
        place.store.client.config_set("slowlog-log-slower-than", _LONGEST_US)
        place.store.client.slowlog_reset()
        time.sleep(max(0.0, expiry_s - time.time() - 1))
        with EndWatch(place.store, expiry_s) as watch:
            busy = service.play(options.rate, events, others=options.subscriptions)
        return _expiries(watch, place, options.subscriptions, expiry_s, quiet, busy)


def _expiries(
    watch: EndWatch, place: Scene, subscriptions: int, expiry_s: float, quiet: Latencies, busy: Latencies
) -> Expiries:
    """
    Raises:
        RuntimeError: some have not ended, or were not told once.
    """
    if watch.ended_s is None:
        raise RuntimeError("all were told, and some have not ended")
    # An end is the first and only notification of its subscription.
    came = Arrivals(arrivals_file(place.folder)).all()
    told = {event: moment - expiry_s for moment, event in reversed(came) if event.endswith(".1")}
    if len(told) != subscriptions:
        raise RuntimeError(f"{len(told):,} of {subscriptions:,} were told, {len(came):,} notifications came")
    told_s = sorted(told.values())
    longest_us = max((entry["duration"] for entry in place.store.client.slowlog_get(1000)), default=0)
    return Expiries(
        ended_s=watch.ended_s,
        told_half_s=told_s[len(told_s) // 2],
        told_all_s=told_s[-1],
        longest_script_ms=longest_us / 1000,
        p50=busy.p50,
        p99=busy.p99,
        quiet_p50=quiet.p50,
        quiet_p99=quiet.p99,
    )


def _fill(release: Release, place: Scene, subscriptions: int, spare_s: float) -> float:
    """When all expire, s since the epoch: some time after the last is made.

    Raises:
        RuntimeError: that took too long.
    """
    progress(f"creating {subscriptions:,} subscriptions")
    begun = time.monotonic()
    _create(release, place, _TRIAL, {"BENCH_FIRST": str(_FIRST + subscriptions)})
    takes_s = (time.monotonic() - begun) * subscriptions / _TRIAL
    expiry_s = time.time() + _START_S + takes_s * _SLOWER + spare_s
    sinks = " ".join(f"{url}/expired/{{}}" for url in place.job.urls)
    asked = {"BENCH_FIRST": str(_FIRST), "BENCH_EXPIRES_AT": str(expiry_s), "BENCH_SINKS": sinks}
    _create(release, place, subscriptions, asked)
    if time.time() + spare_s > expiry_s:
        raise RuntimeError("to create the subscriptions took longer than they were to last")
    return expiry_s


def _create(release: Release, place: Scene, subscriptions: int, asked: dict[str, str]) -> None:
    script = script_of(Release(ROOT, sys.executable), "fill_subscriptions.py")
    environ = service_environ(place.job) | {"PYTHONPATH": str(release.folder)}
    environ |= asked | {"BENCH_SUBSCRIPTIONS": str(subscriptions)}
    command = [release.python, "-P", str(script)]
    subprocess.run(command, env=clean_environ(environ), timeout=_FILL_S, check=True)


HEADS = (
    "",
    "all ended s",
    "half told s",
    "all told s",
    "longest script ms",
    "others p50 ms",
    "p99 ms",
    "before, p50 ms",
    "p99 ms",
)


def main() -> int:
    options = _options()
    releases = releases_beside(options.compare)
    report: dict[str, Any] = {"machine": machine(), "options": vars(options)}
    found: dict[str, list[Expiries]] = {name: [] for name in releases}
    with scene(fsync=options.fsync, hosts=_HOSTS, targets=50, events=1) as place:
        show_machine(report["machine"])
        for number in range(options.rounds):
            names = list(releases) if number % 2 == 0 else list(reversed(releases))
            for name in names:
                expiries = play(releases[name], place, options)
                found[name].append(expiries)
                progress(
                    f"round {number + 1} of {options.rounds}: {name}: ended in {expiries.ended_s:.1f} s, "
                    f"told in {expiries.told_all_s:.1f} s, others' p99 {expiries.p99:.1f} ms"
                )
    report["rounds"] = {name: [asdict(expiries) for expiries in rounds] for name, rounds in found.items()}
    names = [field.name for field in fields(Expiries)]
    rows = [
        (name, *(median(getattr(expiries, figure) for expiries in rounds) for figure in names))
        for name, rounds in found.items()
    ]
    finish(options.name, report, [table(HEADS, rows)])
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--subscriptions", type=int, default=100_000, help="that expire at once")
    parser.add_argument("--rate", type=float, default=100.0, help="events/s to others")
    parser.add_argument("--seconds", type=float, default=30.0, help="for how long these are published")
    parser.add_argument("--fsync", choices=("everysec", "always"), default="everysec", help="appendfsync")
    parser.add_argument("--compare", metavar="DIR", help="another checkout")
    parser.add_argument("--name", default="expiries", help="of the JSON file in build/bench/")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
