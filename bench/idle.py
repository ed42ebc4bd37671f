"""What does a worker cost while nothing happens, and to start? `python bench/idle.py` measures it.

CPU of an idle worker and of its store, in percent of a core, and what the worker asks the store: with an
empty store, and with very many subscriptions that get nothing. Before each round the store rests; what it
takes then, while nobody asks, is what it and the machine cost without the service. Memory of the worker, and
of the store for each subscription. The time until the worker delivers, and that of importing the API: of its
process from its start until it has the modules, compiled before, not until it has ended, which takes 0.1 s.
The time of a `serve` until it says that it is ready, on data that an earlier one made, and on none.

    --compare DIR   another checkout beside this one, with the same store size, in turns
"""

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from harness.contenders import ROOT, SERVICE, Release, release_in, script_of
from harness.processes import clean_environ, exact_cpu_s, proportional_bytes, resident_bytes, started, tail
from harness.report import finish, machine, median, progress, show_machine, table
from harness.store import BenchStore

_FILL_S = 3600.0
_READY_S = 60.0
_SETTLE_S = 2.0
# What filled the store is over: its file is written, and the machine is quiet.
_REST_S = 10.0
_IMPORTS = 10
_SERVES = 10


@dataclass(frozen=True)
class Idle:
    """CPU in percent of a core; scripts and commands of the store a second; times in s, memory in MB.

    `store_alone_cpu`: of the store before the worker started, while nobody asked it.
    `worker_pss_mb`: as `worker_mb`, but a page that n processes share counts for an n-th.
    """

    worker_cpu: float
    store_cpu: float
    store_alone_cpu: float
    scripts_per_s: float
    commands_per_s: float
    worker_mb: float
    worker_pss_mb: float
    ready_s: float


@dataclass(frozen=True)
class Imported:
    """Times in s."""

    took: float
    cpu: float


@dataclass(frozen=True)
class Served:
    """Times in s. `undelayed`: without those in which the main thread could run and had no core."""

    took: float
    cpu: float
    undelayed: float


@dataclass(frozen=True)
class Place:
    """A release, and a store that only it uses."""

    name: str
    release: Release
    folder: Path
    store: BenchStore

    @property
    def environ(self) -> dict[str, str]:
        unlimited = ("SUBSCRIPTIONS", "REGISTRATION_SUBSCRIPTIONS", "SESSION_SUBSCRIPTIONS")
        return {
            "PYTHONPATH": str(self.release.folder),
            "WEBRTC_EVENTS_REDIS_URL": self.store.url,
            "WEBRTC_EVENTS_OPENID_CONFIGURATION_URL": "http://127.0.0.1:1/",
            "WEBRTC_EVENTS_SECRET_KEY": "A" * 43,
            **{f"WEBRTC_EVENTS_MAX_{name}": "0" for name in unlimited},
        }

    def fill(self, subscriptions: int, first: int = 0) -> float:
        """Bytes of the store for each. `first` is the number of the first of them."""
        before = self.store.client.info("memory")["used_memory"]
        script = script_of(self.release, "fill_subscriptions.py")
        asked = {"BENCH_SUBSCRIPTIONS": str(subscriptions), "BENCH_FIRST": str(first)}
        environ = clean_environ(self.environ | asked)
        command = [self.release.python, "-P", str(script)]
        subprocess.run(command, env=environ, timeout=_FILL_S, check=True)
        return (self.store.client.info("memory")["used_memory"] - before) / subscriptions

    def alone(self, seconds: float) -> float:
        """CPU of the store, in percent of a core, that nobody asks meanwhile."""
        time.sleep(_REST_S)
        before, at = self.store.counters(), time.monotonic()
        time.sleep(seconds)
        took = time.monotonic() - at
        return 100 * self.store.counters().since(before).cpu_s / took

    def idle(self, seconds: float) -> Idle:
        alone_cpu = self.alone(seconds)
        log = self.folder / "worker.log"
        command = [self.release.python, "-P", "-m", "webrtc_events.cli", "worker"]
        begun = time.monotonic()
        with started(command, self.environ, log) as process:
            ready_s = _await_line(log, "Delivering", begun)
            time.sleep(_SETTLE_S)
            cpu, before, at = exact_cpu_s(process.pid), self.store.counters(), time.monotonic()
            time.sleep(seconds)
            took = time.monotonic() - at
            cpu, used = exact_cpu_s(process.pid) - cpu, self.store.counters().since(before)
            return Idle(
                worker_cpu=100 * cpu / took,
                store_cpu=100 * used.cpu_s / took,
                store_alone_cpu=alone_cpu,
                scripts_per_s=used.scripts / took,
                commands_per_s=used.commands / took,
                worker_mb=resident_bytes(process.pid) / 1e6,
                worker_pss_mb=proportional_bytes(process.pid) / 1e6,
                ready_s=ready_s,
            )

    def served(self, *, first: bool = False) -> Served:
        """Of a `serve`, which stops then; CPU without its store's. `first`: on no data."""
        data, log = self.folder / "serve", self.folder / "serve.log"
        if first:
            shutil.rmtree(data, ignore_errors=True)
        options = ("--port", "0", "--sink-port", "0", "--data-dir", str(data))
        command = [self.release.python, "-P", "-m", "webrtc_events.cli", "serve", *options]
        begun = time.monotonic()
        with started(command, {"PYTHONPATH": str(self.release.folder)}, log) as process:
            took = _await_line(log, "is ready", begun)
            delay_s = int(Path(f"/proc/{process.pid}/schedstat").read_text().split()[1]) / 1e9
            return Served(took, exact_cpu_s(process.pid), took - delay_s)

    def imported(self) -> Imported:
        """Of the API."""
        command = [self.release.python, "-P", "-c", "import os, webrtc_events.app; os._exit(0)"]
        begun, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, env=clean_environ(self.environ), check=True, timeout=_READY_S)
        took, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Imported(took, cpu)


def _await_line(log: Path, text: str, begun: float) -> float:
    while time.monotonic() - begun < _READY_S:
        if text in log.read_text(errors="replace"):
            return time.monotonic() - begun
        time.sleep(0.01)
    raise RuntimeError(f"the {log.stem} is not ready after {_READY_S:.0f} s\n{tail(log)}")


def _imports(places: Sequence[Place]) -> dict[str, list[Imported]]:
    for place in places:
        # It writes the compiled files.
        place.imported()
    found: dict[str, list[Imported]] = {place.name: [] for place in places}
    for number in range(_IMPORTS):
        for place in places if number % 2 == 0 else reversed(places):
            found[place.name].append(place.imported())
    return found


def _serves(places: Sequence[Place]) -> dict[str, list[Served]]:
    for place in places:
        place.served(first=True)
    found: dict[str, list[Served]] = {}
    for title, first in (("second start", False), ("first start", True)):
        for number in range(_SERVES):
            for place in places if number % 2 == 0 else reversed(places):
                found.setdefault(f"{place.name}, {title}", []).append(place.served(first=first))
    return found


Rounds = dict[str, list[Idle]]


def _play(places: Sequence[Place], title: str, rounds: int, seconds: float) -> Rounds:
    found: Rounds = {f"{place.name}, {title}": [] for place in places}
    for number in range(rounds):
        for place in places if number % 2 == 0 else reversed(places):
            idle = place.idle(seconds)
            found[f"{place.name}, {title}"].append(idle)
            progress(
                f"round {number + 1} of {rounds}: {place.name}, {title}: worker {idle.worker_cpu:.2f} %, "
                f"store {idle.store_cpu:.2f} %, alone {idle.store_alone_cpu:.2f} %"
            )
    return found


HEADS = ("", "worker CPU %", "store CPU %", "alone %", "scripts/s", "commands/s", "MB", "PSS MB", "ready s")


def _medians(found: Rounds) -> list[tuple[object, ...]]:
    names = [field.name for field in fields(Idle)]
    return [
        (title, *(median(getattr(idle, name) for idle in idles) for name in names))
        for title, idles in found.items()
    ]


def main() -> int:
    options = _options()
    report: dict[str, Any] = {"machine": machine(), "options": vars(options)}
    show_machine(report["machine"])
    with ExitStack() as stack:
        places = []
        for name, release in _releases(options).items():
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
            store = stack.enter_context(BenchStore.running(folder))
            places.append(Place(name, release, folder, store))
        imports = _imports(places)
        serves = _serves(places)
        found = _play(places, "empty store", options.rounds, options.seconds)
        sizes = {}
        for place in places:
            progress(f"{place.name}: creating {options.subscriptions:,} subscriptions")
            sizes[place.name] = place.fill(options.subscriptions)
        found |= _play(
            places, f"{options.subscriptions:,} idle subscriptions", options.rounds, options.seconds
        )
    report["rounds"] = {title: [asdict(idle) for idle in idles] for title, idles in found.items()}
    report["store_bytes_per_subscription"] = sizes
    report["imports"] = {name: [asdict(one) for one in times] for name, times in imports.items()}
    sizes_table = table(
        ("", "store B a subscription", "import of the API s", "CPU s"),
        [
            (name, sizes[name], median(one.took for one in times), median(one.cpu for one in times))
            for name, times in imports.items()
        ],
    )
    report["serves"] = {title: [asdict(one) for one in times] for title, times in serves.items()}
    serves_table = table(
        ("`serve`", "ready s", "CPU s", "ready, less waiting for a core, s"),
        [
            (title, *(median(getattr(one, field.name) for one in times) for field in fields(Served)))
            for title, times in serves.items()
        ],
    )
    finish(options.name, report, [table(HEADS, _medians(found)), sizes_table, serves_table])
    return 0


def _releases(options: argparse.Namespace) -> dict[str, Release]:
    found = {SERVICE: Release(ROOT, sys.executable)}
    if options.compare:
        found[f"{SERVICE} in {options.compare}"] = release_in(options.compare, options.python)
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0, help="a round")
    parser.add_argument("--subscriptions", type=int, default=100_000)
    parser.add_argument("--compare", metavar="DIR", help="another checkout")
    parser.add_argument("--python", metavar="PATH", help="the interpreter of the other checkout")
    parser.add_argument("--name", default="idle", help="of the JSON file in build/bench/")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
