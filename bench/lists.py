"""Do a client's long list, full quota, or many ended subscriptions hold back others? `make lists` runs it.

Store (AOF, synced at every write), one server of the API, worker and sink are processes of their own, with
the settings as they are by default. In every round another client reads one of its subscriptions and a
gateway publishes events for it, both at a steady rate: alone, and while the first client does one of

    list    lists 10,000 subscriptions in a loop, as fast as its rate lets it
    full    creates above its quota of 10,000 in a loop
    ended   creates and deletes in a loop, with 30,000 ended ones in its index

It exits with 1 if the p99 of reads, or of the way of an event to its sink, is worse than promised, or if the
server's memory grows.
"""

import argparse
import os
import platform
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Set
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import redis
import requests
from fanout import PREFIX, Api, Steady, invitation, issuing
from sinks import arrivals, certificates, forget_arrivals, free_ports, healthy_sinks

from webrtc_events.core.clock import SystemClock
from webrtc_events.local.stack.valkey import Valkey
from webrtc_events.store.keys import Partition, client_key, new_subscription_id, partition_of

SUBSCRIPTIONS = "/webrtc-events/v0.2/subscriptions"
PARTITIONS = 64
KINDS = ("list", "full", "ended")
# All that was published has arrived by then.
MOST_S = 60.0
# Many of the first, as the release before would have named them.
COPIES = """
for _, id in ipairs(ARGV) do
  redis.call('COPY', KEYS[1], (string.gsub(KEYS[1], '[^:]+$', id)))
end
"""


class Crowd:
    """A client with very many subscriptions."""

    def __init__(self, api: Api, name: str) -> None:
        self.api = api
        self.name = name
        self.done = 0
        self.refused = 0

    def fill(self, store: "redis.Redis", count: int, *, status: str = "ACTIVE") -> None:
        for number in range(PARTITIONS):
            registration = _registration(self.name, number)
            key = Partition(number).subscription(
                _subscribe(self.api, registration, "https://127.0.0.1:9443/")
            )
            store.hset(key, "status", status)
            ids = [new_subscription_id(Partition(number)) for _ in range(count // PARTITIONS)]
            store.eval(COPIES, 1, key, *ids)
            store.zadd(client_key(self.name), dict.fromkeys(ids, 1_760_000_000))

    def asks(self, *request: str, **options: Any) -> Any:
        """Waits as long as it is told to when its rate is used up."""
        while True:
            try:
                return self.api(*request, **options)
            except requests.HTTPError as error:
                answer = error.response
                if answer.json()["code"] != "TOO_MANY_REQUESTS":
                    self.refused += 1
                    return None
                time.sleep(float(answer.headers["Retry-After"]))

    def list(self) -> None:
        self.done += len(self.asks("GET", SUBSCRIPTIONS))

    def full(self) -> None:
        assert self.asks("POST", SUBSCRIPTIONS, json=_request("above", "https://127.0.0.1:9443/")) is None

    def ended(self) -> None:
        made = self.asks("POST", SUBSCRIPTIONS, json=_request("another", "https://127.0.0.1:9443/"))
        assert made is not None
        self.asks("DELETE", f"{SUBSCRIPTIONS}/{made['id']}")
        self.done += 1


class Scene:
    def __init__(self, stack: ExitStack, options: argparse.Namespace) -> None:
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        valkey = Valkey(self.folder, SystemClock())
        valkey.start()
        stack.callback(valkey.stop)
        valkey.wait_ready()
        self.store = redis.Redis.from_url(valkey.url, decode_responses=True)
        stack.callback(self.store.close)
        issuer = stack.enter_context(issuing(self.folder))
        ca_file, certificate = certificates(self.folder)
        (port,) = free_ports(1)
        stack.enter_context(healthy_sinks(self.folder, certificate, [port]))
        environ = {
            "WEBRTC_EVENTS_REDIS_URL": valkey.url,
            "WEBRTC_EVENTS_OPENID_CONFIGURATION_URL": issuer.discovery_url,
            "WEBRTC_EVENTS_SECRET_KEY": "A" * 43,
            "WEBRTC_EVENTS_SINK_ALLOWED_NETWORKS": "127.0.0.0/8",
            "WEBRTC_EVENTS_SINK_CA_FILE": str(ca_file),
            "WEBRTC_EVENTS_MAX_REGISTRATION_SUBSCRIPTIONS": "0",
        }
        self.reader = Api(stack, environ, issuer.mint(client="few"))
        self.gateway = self.reader.of(stack, issuer.mint(client="few"))
        self.mine = _subscribe(self.reader, "few", f"https://127.0.0.1:{port}/inbox")
        self.crowds = {kind: Crowd(self.reader.of(stack, issuer.mint(client=kind)), kind) for kind in KINDS}
        self.crowds["list"].fill(self.store, options.subscriptions)
        self.crowds["full"].fill(self.store, options.subscriptions)
        self.crowds["ended"].fill(self.store, options.ended, status="EXPIRED")
        stack.enter_context(_worker(self.folder, environ))
        self.published = 0

    def round(self, seconds: float, act: Callable[[], object] | None) -> tuple[float, ...]:
        """p50 and p99 of reads, and of the way of an event from the gateway to the sink, in ms."""
        forget_arrivals(self.folder)
        sent: dict[str, float] = {}

        def read(_: int) -> None:
            self.reader("GET", f"{SUBSCRIPTIONS}/{self.mine}")

        def publish(_: int) -> None:
            self.published += 1
            sent[f"{self.mine}.{self.published}"] = time.time()
            self.gateway("POST", "/network/v0/events", json=invitation(secrets.token_hex(8), "few"))

        with Steady(read, 25) as reads, Steady(publish, 25):
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                time.sleep(seconds) if act is None else act()
        came = self._arrived(sent.keys())
        ways = sorted(max(0.0, came[each] - moment) * 1000 for each, moment in sent.items())
        return (*_percentiles(sorted(reads.took)), *_percentiles(ways))

    def _arrived(self, events: Set[str]) -> dict[str, float]:
        """When each of them came first."""
        until = time.monotonic() + MOST_S
        while True:
            came = {event: moment for moment, event in reversed(arrivals(self.folder))}
            missing = events - came.keys()
            if not missing:
                return came
            if time.monotonic() > until:
                raise RuntimeError(f"{len(missing)} of {len(events)} events did not come in {MOST_S:.0f} s")
            time.sleep(0.1)


def _registration(name: str, partition: int) -> str:
    return next(
        each
        for number in range(100_000)
        if partition_of(each := f"{name}-{number}", PARTITIONS).number == partition
    )


def _request(registration: str, sink: str) -> dict[str, Any]:
    return {
        "protocol": "HTTP",
        "sink": sink,
        "types": [PREFIX + "session-invitation"],
        "config": {"subscriptionDetail": {"registrationId": registration}},
    }


def _subscribe(api: Api, registration: str, sink: str) -> str:
    created: str = api("POST", SUBSCRIPTIONS, json=_request(registration, sink))["id"]
    return created


@contextmanager
def _worker(folder: Path, environ: dict[str, str]) -> Any:
    with (folder / "worker.log").open("wb") as log:
        command = [sys.executable, "-m", "webrtc_events.cli", "worker"]
        process = subprocess.Popen(command, env=os.environ | environ, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait()


def _percentiles(ordered: list[float]) -> tuple[float, float]:
    return ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="of each kind")
    parser.add_argument("--seconds", type=float, default=8.0, help="a round, at least")
    parser.add_argument("--subscriptions", type=int, default=10_000, help="that are listed, or fill a quota")
    parser.add_argument("--ended", type=int, default=30_000, help="that are over")
    parser.add_argument("--kind", choices=KINDS, action="append", help="only this; may be repeated")
    parser.add_argument("--most", type=float, default=3.0, help="times the p99 latency")
    options = parser.parse_args()
    kinds = options.kind or KINDS
    found: dict[str, list[tuple[float, ...]]] = {kind: [] for kind in ("quiet", *kinds)}
    with ExitStack() as stack:
        scene = Scene(stack, options)
        print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
        print(f"{'':<10}{'read p50':>10}{'p99':>8}{'event p50':>11}{'p99 ms':>8}{'memory MB':>11}")
        scene.round(2, None)
        first_mb = memory_mb = scene.reader.memory_mb()
        for _ in range(options.rounds):
            for kind in found:
                crowd = scene.crowds.get(kind)
                act = getattr(crowd, kind) if crowd else None
                found[kind].append(scene.round(options.seconds, act))
                memory_mb = scene.reader.memory_mb()
                _show(kind, found[kind][-1], memory_mb)
        print("medians")
        medians = {
            kind: [statistics.median(figures) for figures in zip(*rounds, strict=True)]
            for kind, rounds in found.items()
        }
        for kind, median in medians.items():
            _show(kind, median, None)
        listed, refused = scene.crowds["list"].done, scene.crowds["full"].refused
        print(f"{listed} listed, {refused} creates refused, {scene.crowds['ended'].done} made and deleted")
    worst = 0.0
    for kind in kinds:
        ratios = [medians[kind][at] / medians["quiet"][at] for at in (1, 3)]
        worst = max(worst, *ratios)
        print(f"{kind}: p99 of reads {ratios[0]:.2f} times, of events {ratios[1]:.2f} times")
    print(f"at most {options.most:.1f} times; memory grew by {memory_mb - first_mb:.0f} MB, of at most 30")
    return 0 if worst <= options.most and memory_mb - first_mb <= 30 else 1


def _show(title: str, found: Any, memory_mb: float | None) -> None:
    memory = "" if memory_mb is None else f"{memory_mb:>11.0f}"
    print(
        f"{title:<10}{found[0]:>10.1f}{found[1]:>8.1f}{found[2]:>11.1f}{found[3]:>8.1f}{memory}", flush=True
    )


if __name__ == "__main__":
    sys.exit(main())
