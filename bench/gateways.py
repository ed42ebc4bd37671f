"""What do 10,000 registrations cost an adapter? `python bench/gateways.py` measures it.

An API process, a store and an adapter as a process. All endpoints register at a Janus, renew their
registrations, and renew them while they call; the same with the service some way off (`--round-trip-ms`).
Where Kamailio is installed, they register at a real one, and an adapter that begins later asks who has. Last,
a queue with 100,000 requests: appending, reading and settling them, and its file.

    --compare DIR   another checkout beside this one, in turns
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from harness.adapters import Adapter, adapter
from harness.api_servers import ApiServer, service_api
from harness.contenders import SERVICE, Release, releases_beside
from harness.far import far
from harness.processes import cpu_s
from harness.queues import Queue, play_queue
from harness.registering import calls_of_janus, kamailio, post_as_janus, registered_of_janus
from harness.report import finish, machine, median, progress, show_machine, table
from harness.store import BenchStore
from sinks import free_ports

_RESTARTED_FOR_S = 3.0


@dataclass(frozen=True)
class Registered:
    """`requests` were sent in `s`; CPU in s for 1,000 of them; the adapter's memory at the end."""

    requests: int
    s: float
    per_s: float
    adapter_cpu: float
    api_cpu: float
    adapter_mb: float


class Measured:
    """What an adapter publishes, and what it takes of the machine, from the moment of its making."""

    def __init__(self, running: Adapter, api: ApiServer) -> None:
        self._running = running
        self._api = api
        self._published = running.published
        self._cpu_s = running.cpu_s, cpu_s(api.pid)
        self._begun_s = time.monotonic()

    def at(self, moment_s: float) -> Registered:
        requests = self._running.published - self._published
        taken_s = moment_s - self._begun_s
        used_s = self._running.cpu_s - self._cpu_s[0], cpu_s(self._api.pid) - self._cpu_s[1]
        per_1000 = [found / requests * 1000 if requests else 0.0 for found in used_s]
        return Registered(requests, taken_s, requests / taken_s, *per_1000, self._running.resident_mb)


@contextmanager
def service(folder: Path, round_trip_s: float) -> Iterator[tuple[ApiServer, str]]:
    """Empty; with the URL at which an adapter finds it."""
    with ExitStack() as stack:
        folder.mkdir()
        store = stack.enter_context(BenchStore.running(folder))
        api = stack.enter_context(service_api(SERVICE, folder, store, ("gateway",)))
        url = api.url
        if round_trip_s:
            port = stack.enter_context(far(int(api.url.rpartition(":")[2]), round_trip_s))
            url = f"http://127.0.0.1:{port}"
        yield api, url


def play_janus(
    release: Release, folder: Path, count: int, round_trip_s: float
) -> Iterator[tuple[str, Registered]]:
    (port,) = free_ports(1)
    with service(folder, round_trip_s) as (api, url):
        listening = ("--listen", f"127.0.0.1:{port}")
        options = (release, "janus", folder / "janus.queue", url, api.issuer or "", listening)
        renewals, calls = registered_of_janus(count, 2), calls_of_janus(count)
        steps = {
            "they register": registered_of_janus(count),
            "they renew": registered_of_janus(count, 1),
            "they renew and call": [event for pair in zip(renewals, calls, strict=True) for event in pair],
        }
        taken = 0
        with adapter(*options) as running:
            for title, events in steps.items():
                measured = Measured(running, api)
                post_as_janus(port, events)
                taken += len(events)
                yield title, measured.at(running.await_all(taken))
        with adapter(*options) as running:
            measured = Measured(running, api)
            time.sleep(_RESTARTED_FOR_S)
            yield "the adapter is started again", measured.at(time.monotonic())


def play_kamailio(release: Release, folder: Path, count: int) -> Iterator[tuple[str, Registered]]:
    with service(folder, 0.0) as (api, url), kamailio(folder) as registrar:
        registrar.register([f"user-{number}" for number in range(count)])

        def run(name: str, taken: int) -> Registered:
            where = ("--evapi", f"127.0.0.1:{registrar.evapi}")
            with adapter(release, "kamailio", folder / name, url, api.issuer or "", where) as running:
                measured = Measured(running, api)
                moment_s = running.await_all(taken) if taken else _after(_RESTARTED_FOR_S)
                return measured.at(moment_s)

        # One of them has tried out whether it answers. Each is asked for after what Kamailio has kept.
        yield "an adapter that comes later", run("first.queue", 2 * count + 1)
        yield "it is started again", run("first.queue", 0)
        yield "another one, with a new queue", run("second.queue", count)


def _after(seconds: float) -> float:
    time.sleep(seconds)
    return time.monotonic()


Play = Callable[[Release, Path], Iterator[tuple[str, Registered]]]


def main() -> int:
    options = _options()
    releases = releases_beside(options.compare)
    report: dict[str, Any] = {"machine": machine(), "options": vars(options)}
    show_machine(report["machine"])
    found: dict[str, list[Registered]] = {}
    queues: dict[str, list[Queue]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for number in range(options.rounds):
            names = list(releases) if number % 2 == 0 else list(reversed(releases))
            for name in names:
                for title, play in _parts(options).items():
                    place = Path(folder) / f"{number}-{len(list(Path(folder).iterdir()))}"
                    for step, registered in play(releases[name], place):
                        line = f"{title}, {step}" + (f" ({name})" if options.compare else "")
                        found.setdefault(line, []).append(registered)
                        progress(f"{line}: {registered.requests:,} in {registered.s:.1f} s")
                if options.waiting:
                    queue = play_queue(releases[name], Path(folder), options.waiting)
                    queues.setdefault(name, []).append(queue)
    report["rounds"] = {line: [asdict(one) for one in rounds] for line, rounds in found.items()}
    report["queues"] = {name: [asdict(one) for one in rounds] for name, rounds in queues.items()}
    finish(options.name, report, [table(HEADS, _rows(found)), table(QUEUE_HEADS, _rows(queues))])
    return 0


def _parts(options: argparse.Namespace) -> dict[str, Play]:
    count = options.registrations
    parts: dict[str, Play] = {}
    if "janus" in options.only:
        parts["Janus"] = lambda release, place: play_janus(release, place, count, 0.0)
        far_s = options.round_trip_ms / 1000
        if far_s:
            title = f"Janus, the service {options.round_trip_ms} ms off"
            few = min(count, options.far_registrations)
            parts[title] = lambda release, place: play_janus(release, place, few, far_s)
    if "kamailio" in options.only and shutil.which("kamailio"):
        parts["Kamailio"] = lambda release, place: play_kamailio(release, place, count)
    return parts


HEADS = ("", "requests", "s", "requests/s", "adapter CPU, s/1,000", "API CPU, s/1,000", "adapter MB")
QUEUE_HEADS = (
    "",
    "requests",
    "append, s",
    "read 100 first, ms",
    "send all, s",
    "file full, MB",
    "after sending, MB",
    "tidied, MB",
)


def _rows(found: "dict[str, list[Registered]] | dict[str, list[Queue]]") -> list[tuple[object, ...]]:
    return [
        (line, *(median(getattr(one, field.name) for one in rounds) for field in fields(rounds[0])))
        for line, rounds in found.items()
    ]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--registrations", type=int, default=10_000)
    parser.add_argument("--round-trip-ms", type=int, default=20, help="to the service, in a part; 0: without")
    parser.add_argument("--far-registrations", type=int, default=1_000, help="in that part")
    parser.add_argument("--waiting", type=int, default=100_000, help="requests of the queue; 0: without")
    parser.add_argument("--only", default="janus,kamailio", help="which gateways")
    parser.add_argument("--compare", metavar="DIR", help="another checkout")
    parser.add_argument("--name", default="gateways", help="of the JSON file in build/bench/")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
