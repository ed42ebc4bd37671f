"""What do very many subscriptions cost? `python bench/growth.py` measures it at 1,000, 100,000 and 1,000,000.

Memory of the store for each subscription, by kind of key; what an event costs the API and the store,
published in batches of 100 for 500 of the subscriptions, chosen by chance; what an idle worker and its store
take, and how soon the worker delivers.

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
from harness.report import finish, machine, progress, show_machine, table
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


@dataclass(frozen=True)
class Grown:
    """`bytes_each`: of the store, for each of the subscriptions that came last."""

    subscriptions: int
    bytes_each: float
    publish: Published
    idle: Idle


def grow(place: Place, former: int, size: int, seconds: float) -> Grown:
    progress(f"creating {size - former:,} subscriptions")
    bytes_each = place.fill(size - former, former)
    idle = place.idle(seconds)
    with service_api(SERVICE, place.folder, place.store, (_GATEWAY,), place.release) as server:
        publish = _publish(server, place.store, size)
    _forget_events(place.store)
    return Grown(size, bytes_each, publish, idle)


def _publish(server: ApiServer, store: BenchStore, subscriptions: int) -> Published:
    """As many events at every size: the first of a session cost more than those that follow."""
    batches = _batches(server, subscriptions)
    load(batches, connections=_CONNECTIONS, count=_CONNECTIONS)
    cpu, before = cpu_s(server.pid), store.counters()
    done = load(batches, connections=_CONNECTIONS, count=_BATCHES)
    cpu, used = cpu_s(server.pid) - cpu, store.counters().since(before)
    thousands = _BATCHES * _BATCH / 1000
    return Published(cpu / thousands, used.cpu_s / thousands, done.p50)


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
    "idle worker CPU %",
    "idle store CPU %",
    "worker ready s",
)


def _row(grown: Grown) -> tuple[object, ...]:
    publish, idle = grown.publish, grown.idle
    figures = (grown.bytes_each, publish.api_cpu, publish.store_cpu, publish.p50)
    return (f"{grown.subscriptions:,}", *figures, idle.worker_cpu, idle.store_cpu, idle.ready_s)


def main() -> int:
    options = _options()
    sizes = [int(size) for size in options.sizes.split(",")]
    report: dict[str, Any] = {"machine": machine(), "options": vars(options)}
    show_machine(report["machine"])
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        store = stack.enter_context(BenchStore.running(folder))
        place = Place(SERVICE, Release(ROOT, sys.executable), folder, store)
        found = []
        for former, size in zip([0, *sizes], sizes, strict=False):
            found.append(grow(place, former, size, options.seconds))
            print(table(HEADS, [_row(found[-1])]))
        report["store"] = store.version
        progress(f"weighing keys of Valkey {store.version}")
        kinds = key_bytes(store, sizes[-1])
    report["sizes"] = [asdict(grown) for grown in found]
    report["key_bytes"] = kinds
    tables = [table(HEADS, map(_row, found)), table(("keys", "B a subscription"), sorted(kinds.items()))]
    finish(options.name, report, tables)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", default="1000,100000,1000000", help="comma-separated, growing")
    parser.add_argument("--seconds", type=float, default=10.0, help="of idling, at each size")
    parser.add_argument("--name", default="growth", help="of the JSON file in build/bench/")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
