"""Do events for very many subscriptions hold back others? `make fanout` runs it.

The store (AOF, synced at every write) and three API servers are separate processes. In every round, one
client reads its few subscriptions at the first server, and a gateway publishes single events for them at the
second, both at a steady rate. In half of the rounds, the third server appends batches of events for very many
subscriptions of one registration, as the release before let a client make them. The exit status is 1 if the
p99 of reads or of publishes is worse than the limit.
"""

import argparse
import copy
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import redis
import requests

from webrtc_events.core.clock import SystemClock
from webrtc_events.local.stack.http_server import HttpServer, asgi
from webrtc_events.local.stack.issuer import LocalIssuer
from webrtc_events.local.stack.issuer_pages import issuer_app
from webrtc_events.local.stack.key_files import TokenSigningKey
from webrtc_events.local.stack.valkey import Valkey
from webrtc_events.store.keys import new_subscription_id, partition_of

P = partition_of("crowded", 64)
PREFIX = "org.camaraproject.webrtc-events.v0."
BATCH = {"Content-Type": "application/cloudevents-batch+json"}
# No script should hold the store for longer.
SCRIPT_MS = 20
# Copies of the first subscription, as the release before would have made them.
COPIES = """
for _, id in ipairs(ARGV) do
  redis.call('COPY', KEYS[1], (string.gsub(KEYS[1], '[^:]+$', id)))
  redis.call('SADD', KEYS[2], id)
end
"""


class Api:
    """An API server in a separate process."""

    def __init__(self, stack: ExitStack, environ: dict[str, str], token: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        command = [sys.executable, "-m", "uvicorn", "--factory", "webrtc_events.app:create_app"]
        command += ["--port", str(port), "--log-level", "error", "--ws", "none"]
        process = subprocess.Popen(command, env=os.environ | environ)
        stack.callback(process.wait)
        stack.callback(process.terminate)
        self._url = f"http://127.0.0.1:{port}"
        self._pid = process.pid
        self._session = _session(stack, token)
        for _ in range(600):
            try:
                self._session.get(f"{self._url}/livez", timeout=1)
            except requests.ConnectionError:
                time.sleep(0.1)
            else:
                return
        raise RuntimeError("the API server did not start")

    def __call__(self, method: str, path: str, **options: Any) -> Any:
        answer = self._session.request(method, self._url + path, timeout=300, **options)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def of(self, stack: ExitStack, token: str) -> "Api":
        """The same server, for another client."""
        other = copy.copy(self)
        other._session = _session(stack, token)
        return other

    def memory_mb(self) -> float:
        """The resident memory of its process."""
        pages = int(Path(f"/proc/{self._pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _session(stack: ExitStack, token: str) -> requests.Session:
    session = stack.enter_context(requests.Session())
    session.trust_env = False
    session.headers["Authorization"] = f"Bearer {token}"
    return session


def invitation(name: str, registration: str) -> dict[str, Any]:
    return {
        "id": name,
        "source": "/bench",
        "specversion": "1.0",
        "type": PREFIX + "session-invitation",
        "time": "2026-03-10T09:00:00.000Z",
        "subject": registration,
        "data": {
            "mediaSessionId": "m1",
            "originatorAddress": "tel:+12025550100",
            "receiverAddress": "tel:+12025550101",
            "status": "Initial",
        },
    }


def _subscribe(api: Api, registration: str) -> str:
    request = {
        "protocol": "HTTP",
        "sink": "https://127.0.0.1:9443/inbox",
        "types": [PREFIX + "session-invitation"],
        "config": {"subscriptionDetail": {"registrationId": registration}},
    }
    created: str = api("POST", "/webrtc-events/v0.2/subscriptions", json=request)["id"]
    return created


class Steady:
    """Calls `act` at a steady rate until it is stopped; keeps how long each call took, in ms."""

    def __init__(self, act: Callable[[int], object], per_s: float) -> None:
        self.durations_ms: list[float] = []
        self._act = act
        self._every_s = 1 / per_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        number = 0
        while not self._stop.wait(self._every_s):
            started = time.perf_counter()
            self._act(number)
            self.durations_ms.append((time.perf_counter() - started) * 1000)
            number += 1

    def __enter__(self) -> "Steady":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def p99(self) -> float:
        ordered = sorted(self.durations_ms)
        return ordered[int(len(ordered) * 0.99)]


class Scene:
    def __init__(self, stack: ExitStack, options: argparse.Namespace) -> None:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        valkey = Valkey(folder, SystemClock())
        valkey.start()
        stack.callback(valkey.stop)
        valkey.wait_ready()
        self.redis = redis.Redis.from_url(valkey.url, decode_responses=True)
        stack.callback(self.redis.close)
        issuer = stack.enter_context(issuing(folder))
        environ = {
            "WEBRTC_EVENTS_REDIS_URL": valkey.url,
            "WEBRTC_EVENTS_OPENID_CONFIGURATION_URL": issuer.discovery_url,
            "WEBRTC_EVENTS_SECRET_KEY": "A" * 43,
            "WEBRTC_EVENTS_SINK_ALLOWED_NETWORKS": "127.0.0.0/8",
            "WEBRTC_EVENTS_REQUESTS_PER_S": "0",
        }
        token = issuer.mint(client="few")
        self.crowded, self.reader, self.gateway = (Api(stack, environ, token) for _ in range(3))
        for number in range(5):
            _subscribe(self.reader, f"few-{number}")
        first = _subscribe(self.crowded, "crowded")
        ids = [new_subscription_id(P) for _ in range(options.subscriptions - 1)]
        index = P.registration(PREFIX + "session-invitation", "crowded")
        for start in range(0, len(ids), 1000):
            self.redis.eval(COPIES, 2, P.subscription(first), index, *ids[start : start + 1000])
        self._outboxes = [P.outbox(subscription_id) for subscription_id in (first, *ids)]
        self._published = 0

    def publish_for_many(self, events: int, subscriptions: int) -> None:
        batch = [invitation(f"many-{self._published + number}", "crowded") for number in range(events)]
        self._published += events
        results = self.crowded("POST", "/network/v0/events", json=batch, headers=BATCH)["results"]
        assert [result["subscriptions"] for result in results] == [subscriptions] * events, results
        # As if they were delivered: a backlog is not what this measures.
        for start in range(0, len(self._outboxes), 100):
            self.redis.unlink(*self._outboxes[start : start + 100])

    def round(self, seconds: float, crowd: Callable[[], object] | None) -> tuple[float, float]:
        """p99 of reads and of publishes, in ms."""
        started = time.time_ns()

        def read(_: int) -> None:
            self.reader("GET", "/webrtc-events/v0.2/subscriptions")

        def publish(number: int) -> None:
            event = invitation(f"{started}-{number}", f"few-{number % 5}")
            self.gateway("POST", "/network/v0/events", json=event)

        with Steady(read, 40) as reads, Steady(publish, 40) as publishes:
            if crowd is None:
                time.sleep(seconds)
            else:
                until = time.monotonic() + seconds
                while time.monotonic() < until:
                    crowd()
        return reads.p99(), publishes.p99()


@contextmanager
def issuing(folder: Path) -> Iterator[LocalIssuer]:
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    issuer = LocalIssuer(url, TokenSigningKey.load_or_make(folder), "webrtc-events", SystemClock())
    server = HttpServer("issuer", asgi(issuer_app(issuer)), [listener])
    server.start()
    try:
        yield issuer
    finally:
        server.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each kind")
    parser.add_argument("--seconds", type=float, default=10.0, help="shortest length of a round (s)")
    parser.add_argument("--subscriptions", type=int, default=2_000, help="subscriptions of one registration")
    parser.add_argument("--events", type=int, default=50, help="events in a batch")
    parser.add_argument("--max-latency", type=float, default=3.0, help="greatest ratio of the p99 latencies")
    options = parser.parse_args()
    found: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
    with ExitStack() as stack:
        scene = Scene(stack, options)
        print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
        print(
            f"{options.events} events a batch for {options.subscriptions} subscriptions of one registration"
        )
        print(f"{'round':<10}{'read p99 ms':>14}{'publish p99 ms':>17}")
        scene.redis.config_set("slowlog-log-slower-than", 1000)
        scene.redis.config_set("slowlog-max-len", 100_000)
        scene.round(2, None)
        for number in range(2 * options.rounds):
            # Without, with, with, without: a drift of the machine counts for both.
            crowded = number % 4 in (1, 2)

            def crowd() -> None:
                scene.publish_for_many(options.events, options.subscriptions)

            found[crowded].append(scene.round(options.seconds, crowd if crowded else None))
            _show("crowded" if crowded else "quiet", found[crowded][-1])
        scripts = sorted(
            entry["duration"] / 1000
            for entry in scene.redis.slowlog_get(100_000)
            if "EVALSHA" in str(entry["command"])
        )
    print("medians")
    quiet, with_crowds = (
        [statistics.median(figures) for figures in zip(*found[is_crowded], strict=True)]
        for is_crowded in (False, True)
    )
    _show("quiet", quiet)
    _show("crowded", with_crowds)
    ratios = [with_crowd / alone for with_crowd, alone in zip(with_crowds, quiet, strict=True)]
    print(f"p99: reads {ratios[0]:.2f} times, publishes {ratios[1]:.2f}; limit {options.max_latency:.1f}")
    if scripts:
        median = scripts[len(scripts) // 2]
        longer = sum(script_ms > SCRIPT_MS for script_ms in scripts)
        print(
            f"{len(scripts)} scripts of more than 1 ms: median {median:.1f}, longest {scripts[-1]:.1f} ms, "
            f"{longer} of more than {SCRIPT_MS} (by the wall clock: also what waits for a core)"
        )
    return 0 if max(ratios) <= options.max_latency else 1


def _show(title: str, found: Any) -> None:
    print(f"{title:<10}{found[0]:>14.1f}{found[1]:>17.1f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
