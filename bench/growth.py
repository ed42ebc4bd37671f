"""What do very many subscriptions cost? `python bench/growth.py` measures it at 1,000, 100,000 and 1,000,000.

Memory of the store for each subscription, by kind of key; what an event costs the API and the store,
published in batches of 100 for 500 of the subscriptions, chosen by chance; what an idle worker and its store
take, and how soon the worker delivers.

Each size has a store of its own. They are published to in turns, forth and back, so that a drift of the
machine counts for all: ratios are of rounds that ran one after the other.

    --server PATH   such as /usr/bin/redis-server: production servers are built with jemalloc, the embedded
                    one is not, and the allocator counts for much of what grows

A million subscriptions take 10 minutes to make, 2 GB of memory, and as much of the disk.
"""

import argparse
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import count, cycle
from pathlib import Path
from typing import Any

from harness.api_servers import ApiServer, service_api
from harness.contenders import ROOT, SERVICE, Release
from harness.http_load import Request, load
from harness.job import Job
from harness.processes import cpu_s
from harness.publishing import BATCH, EVENTS, network_event
from harness.report import finish, machine, median, paired_ratio, progress, show_machine, table
from harness.store import BenchStore
from idle import Idle, Place

_GATEWAY = "gateway"
_BATCH = 100
_BATCHES = 200
_CONNECTIONS = 4
_TARGETS = 500
_SAMPLED = 20_000
# Of the keys that a subscription has, by how their names go on behind the partition's tag.
_KINDS = ("subscription", "registration", "session", "ends")


@dataclass(frozen=True)
class Published:
    """CPU in s for 1,000 events; `p50` of a batch, in ms."""

    api_cpu: float
    store_cpu: float
    p50: float

    @property
    def cpu(self) -> float:
        """Of both."""
        return self.api_cpu + self.store_cpu


@dataclass
class Grown:
    """`bytes_each`: of the store, for each subscription. `rounds`: as many events at every size."""

    subscriptions: int
    place: Place
    bytes_each: float
    idle: Idle
    rounds: list[Published]

    def publish(self, server: ApiServer, batches: Iterator[Request]) -> None:
        store = self.place.store
        # The first of a session cost more than those that follow.
        load(batches, connections=_CONNECTIONS, count=_CONNECTIONS)
        cpu, before = cpu_s(server.pid), store.counters()
        done = load(batches, connections=_CONNECTIONS, count=_BATCHES)
        cpu, used = cpu_s(server.pid) - cpu, store.counters().since(before)
        thousands = _BATCHES * _BATCH / 1000
        self.rounds.append(Published(cpu / thousands, used.cpu_s / thousands, done.p50))
        _forget_events(store)

    def of(self, figure: str) -> list[float]:
        """One figure of each round."""
        return [getattr(published, figure) for published in self.rounds]

    def as_json(self) -> dict[str, Any]:
        rounds = [asdict(published) for published in self.rounds]
        return {
            "subscriptions": self.subscriptions,
            "bytes_each": self.bytes_each,
            "idle": asdict(self.idle),
            "rounds": rounds,
        }


def grow(folder: Path, store: BenchStore, size: int, seconds: float) -> Grown:
    place = Place(SERVICE, Release(ROOT, sys.executable), folder, store)
    progress(f"creating {size:,} subscriptions")
    return Grown(size, place, place.fill(size), place.idle(seconds), [])


def publish_in_turns(all_sizes: list[Grown], rounds: int) -> None:
    with ExitStack() as stack:
        playing: list[tuple[Grown, ApiServer, Iterator[Request]]] = []
        for grown in all_sizes:
            place = grown.place
            api = service_api(SERVICE, place.folder, place.store, (_GATEWAY,), place.release)
            server = stack.enter_context(api)
            playing.append((grown, server, _batches(server, grown.subscriptions)))
        for number in range(rounds):
            for grown, server, batches in playing if number % 2 == 0 else reversed(playing):
                grown.publish(server, batches)
                last = grown.rounds[-1]
                progress(
                    f"round {number + 1} of {rounds}, {grown.subscriptions:,}: API {last.api_cpu:.3f}, "
                    f"store {last.store_cpu:.3f} s/1,000 events"
                )


def _batches(server: ApiServer, subscriptions: int) -> Iterator[Request]:
    """For as many of the subscriptions, whatever there are: what is new to a session costs more."""
    job = Job("", "", "", ("https://127.0.0.1:9443",), subscriptions, 1)
    targets = cycle(random.Random(subscriptions).sample(range(subscriptions), min(_TARGETS, subscriptions)))
    rounds = count(1)
    headers = server.headers(_GATEWAY) | BATCH
    while True:
        numbers = (next(rounds) * subscriptions + next(targets) for _ in range(_BATCH))
        body = "[" + ",".join(network_event(job, number) for number in numbers) + "]"
        yield Request("POST", server.url + EVENTS, 202, body.encode(), headers)


def _forget_events(store: BenchStore) -> None:
    """So that the next worker is idle again."""
    pipe = store.client.pipeline(transaction=False)
    for pattern in ("*:outbox:*", "*:due", "*:seen:*", "*:clients", "*:hosts:*", "*:queue:*"):
        for key in store.client.scan_iter(pattern, count=1000):
            pipe.unlink(key)
        pipe.execute()


def key_bytes(store: BenchStore, subscriptions: int) -> dict[str, float]:
    """Bytes of a subscription by the kind of key, from a sample; the rest is the store's own tables."""
    found: Counter[str] = Counter()
    sampled: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    for key in store.client.scan_iter(count=1000):
        kind = _kind(key)
        kinds[kind] += 1
        if sampled[kind] < _SAMPLED / len(_KINDS):
            sampled[kind] += 1
            found[kind] += store.client.memory_usage(key, samples=0) or 0
    return {kind: found[kind] / sampled[kind] * kinds[kind] / subscriptions for kind in found}


def _kind(key: str) -> str:
    if key.startswith("{"):
        return key.split(":", 2)[1]
    if key.endswith(":state"):
        return "state of a session"
    return f"{key.partition(':')[0]} of all partitions"


HEADS = (
    "subscriptions",
    "store B each",
    "publish, API CPU s/1,000",
    "store CPU s/1,000",
    "p50 ms of a batch",
    "API x",
    "store x",
    "both x",
    "idle worker CPU %",
    "idle store CPU %",
    "worker ready s",
)


def _row(grown: Grown, least: Grown) -> tuple[object, ...]:
    """With the ratios to the smallest size, of API, store, and both."""
    idle = grown.idle
    figures = (grown.bytes_each, *(median(grown.of(name)) for name in ("api_cpu", "store_cpu", "p50")))
    ratios = [paired_ratio(grown.of(name), least.of(name)) for name in ("api_cpu", "store_cpu", "cpu")]
    shown = (f"x {ratio:.2f}" for ratio in ratios)
    return (f"{grown.subscriptions:,}", *figures, *shown, idle.worker_cpu, idle.store_cpu, idle.ready_s)


def main() -> int:
    options = _options()
    sizes = [int(size) for size in options.sizes.split(",")]
    report: dict[str, Any] = {
        "machine": machine(),
        "options": vars(options) | {"server": str(options.server or "embedded")},
    }
    show_machine(report["machine"])
    with ExitStack() as stack:
        top = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        found = []
        for size in sizes:
            folder = top / str(size)
            folder.mkdir()
            store = stack.enter_context(BenchStore.running(folder, server=options.server))
            found.append(grow(folder, store, size, options.seconds))
        report["store"] = store.version
        publish_in_turns(found, options.rounds)
        progress(f"weighing keys of the store, {store.version}")
        kinds = key_bytes(store, sizes[-1])
    report["sizes"] = [grown.as_json() for grown in found]
    report["key_bytes"] = kinds
    rows = [_row(grown, found[0]) for grown in found]
    tables = [table(HEADS, rows), table(("keys", "B a subscription"), sorted(kinds.items()))]
    finish(options.name, report, tables)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", default="1000,100000,1000000", help="comma-separated, growing")
    parser.add_argument("--server", type=Path, metavar="PATH", help="the store's program")
    parser.add_argument("--rounds", type=int, default=3, help="of publishing")
    parser.add_argument("--seconds", type=float, default=10.0, help="of idling, at each size")
    parser.add_argument("--name", default="growth", help="of the JSON file in build/bench/")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
