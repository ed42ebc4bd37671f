"""Do a client's long list, full quota, or many ended subscriptions hold back others? `make lists` runs it.

The store (AOF, synced at every write), one API server, the worker and the sink are separate processes with
the default settings. In every round another client reads one of its subscriptions, and a gateway publishes
events for it, both at a steady rate: alone, and while the first client does one of

    list    lists 10,000 subscriptions in a loop, as fast as its rate lets it
    full    creates above its quota of 10,000 in a loop
    ended   creates and deletes in a loop, with 30,000 ended ones in its index

The exit status is 1 if the p99 of reads, or of the time from the gateway to the sink, is worse than the
limit, or if the server's memory grows.
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
# By then every published event has arrived.
MAX_WAIT_S = 60.0
# Copies of the first subscription, as the release before would have named them.
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

    def ask(self, *request: str, **options: Any) -> Any:
        """Sends a request; where the client's rate is used up, waits for the `Retry-After` and repeats it."""
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
        self.done += len(self.ask("GET", SUBSCRIPTIONS))

    def full(self) -> None:
        assert self.ask("POST", SUBSCRIPTIONS, json=_request("above", "https://127.0.0.1:9443/")) is None

    def ended(self) -> None:
        made = self.ask("POST", SUBSCRIPTIONS, json=_request("another", "https://127.0.0.1:9443/"))
        assert made is not None
        self.ask("DELETE", f"{SUBSCRIPTIONS}/{made['id']}")
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
        """p50 and p99 of reads, and of the time of an event from the gateway to the sink, in ms."""
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
        arrived = self._arrived(sent.keys())
        latencies = sorted(max(0.0, arrived[event_id] - moment) * 1000 for event_id, moment in sent.items())
        return (*_percentiles(sorted(reads.durations_ms)), *_percentiles(latencies))

    def _arrived(self, events: Set[str]) -> dict[str, float]:
        """When each event arrived first: seconds since the epoch by event id."""
        until = time.monotonic() + MAX_WAIT_S
        while True:
            arrived = {event_id: moment for moment, event_id in reversed(arrivals(self.folder))}
            missing = events - arrived.keys()
            if not missing:
                return arrived
            if time.monotonic() > until:
                raise RuntimeError(
                    f"{len(missing)} of {len(events)} events did not arrive in {MAX_WAIT_S:.0f} s"
                )
            time.sleep(0.1)


def _registration(name: str, partition: int) -> str:
    return next(
        registration
        for number in range(100_000)
        if partition_of(registration := f"{name}-{number}", PARTITIONS).number == partition
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
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each kind")
    parser.add_argument("--seconds", type=float, default=8.0, help="shortest length of a round (s)")
    parser.add_argument(
        "--subscriptions", type=int, default=10_000, help="subscriptions that are listed, or fill a quota"
    )
    parser.add_argument("--ended", type=int, default=30_000, help="ended subscriptions in the index")
    parser.add_argument(
        "--kind", choices=KINDS, action="append", help="measure only this kind; may be repeated"
    )
    parser.add_argument("--max-latency", type=float, default=3.0, help="greatest ratio of the p99 latencies")
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
        ratios = [medians[kind][column] / medians["quiet"][column] for column in (1, 3)]
        worst = max(worst, *ratios)
        print(f"{kind}: p99 of reads {ratios[0]:.2f} times, of events {ratios[1]:.2f} times")
    print(f"limit {options.max_latency:.1f} times; memory grew by {memory_mb - first_mb:.0f} MB, limit 30")
    return 0 if worst <= options.max_latency and memory_mb - first_mb <= 30 else 1


def _show(title: str, found: Any, memory_mb: float | None) -> None:
    memory = "" if memory_mb is None else f"{memory_mb:>11.0f}"
    print(
        f"{title:<10}{found[0]:>10.1f}{found[1]:>8.1f}{found[2]:>11.1f}{found[3]:>8.1f}{memory}", flush=True
    )


if __name__ == "__main__":
    sys.exit(main())
