"""Do sinks that never answer hold back the others? `make fairness` runs it.

One run alternates rounds without and with such sinks. The store is real (AOF, synced at every write),
and so are the worker and the TLS sinks; each is a separate process. A round measures

- deliveries/s: the store holds the same number of events for every subscription, then the worker starts.
  The figure is all healthy deliveries by the time from the first arrival to the last;
- latency: the gateway publishes at a steady rate, an eighth of what a warm-up round delivered. The figure
  is the time from the store's acceptance to the arrival at a healthy sink.

When a round begins, the worker knows nothing of any sink. So the figures include the time to find out which
sinks hang. The exit status is 1 if the medians of the rounds are worse than the limits.
"""

import argparse
import json
import os
import platform
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path

import redis
from sinks import arrivals, certificates, forget_arrivals, free_ports, healthy_sinks, sick_sinks

from webrtc_events.core.clock import SystemClock
from webrtc_events.core.model import EventType, NetworkEvent, Subscription
from webrtc_events.core.settings import Settings
from webrtc_events.local.stack.valkey import Valkey
from webrtc_events.store.keys import new_subscription_id, partition_of
from webrtc_events.store.store import Store

KINDS = ("silent", "deaf", "drip", "nameless")
# A name server that never answers, for this run alone.
DEAF_RESOLVER = f"127.77.{os.getpid() // 256 % 256}.{os.getpid() % 254 + 1}"
MAX_WAIT_S = 120.0


@dataclass(frozen=True)
class Target:
    """A subscription, its registration, and whether its sink answers."""

    id: str
    registration: str
    url: str
    healthy: bool


@dataclass(frozen=True)
class Round:
    """What one round measured. Latencies in ms; CPU of the worker, in µs for a healthy delivery."""

    per_s: float
    p50: float
    p99: float
    cpu: float


class Scene:
    """Everything but the worker: store, sinks, host names."""

    def __init__(self, folder: Path, options: argparse.Namespace, stack: ExitStack) -> None:
        self.folder = folder
        self.options = options
        valkey = Valkey(folder, SystemClock())
        valkey.start()
        stack.callback(valkey.stop)
        valkey.wait_ready()
        self._redis = redis.Redis.from_url(valkey.url)
        stack.callback(self._redis.close)
        self.ca_file, certificate = certificates(folder)
        ports = iter(free_ports(options.hosts + 3 * options.sick_hosts + 1))
        self.healthy_ports = list(islice(ports, options.hosts))
        silent_port = next(ports) if options.same_hosts else None
        if silent_port is not None:
            stack.enter_context(sick_sinks("silent", certificate, [silent_port]))
        self.served_by = stack.enter_context(
            healthy_sinks(folder, certificate, self.healthy_ports, silent_port=silent_port)
        )
        self.names = _Names.if_possible(folder, stack)
        self.kinds = KINDS if self.names else KINDS[:3]
        self.sick_ports = {kind: list(islice(ports, options.sick_hosts)) for kind in KINDS[:3]}
        for kind, ports in self.sick_ports.items():
            stack.enter_context(sick_sinks(kind, certificate, ports))
        self.environ = {
            "WEBRTC_EVENTS_REDIS_URL": valkey.url,
            "WEBRTC_EVENTS_OPENID_CONFIGURATION_URL": "http://127.0.0.1:1/",
            "WEBRTC_EVENTS_SECRET_KEY": "A" * 43,
            "WEBRTC_EVENTS_SINK_ALLOWED_NETWORKS": "127.0.0.0/8",
            "WEBRTC_EVENTS_SINK_CA_FILE": str(self.ca_file),
            "WEBRTC_EVENTS_OUTBOX_LENGTH": "100000",
        }

    def emptied(self) -> Store:
        self._redis.flushall()
        forget_arrivals(self.folder)
        return Store.connect(Settings.from_environ(self.environ))

    def targets(self, *, sick: bool) -> list[Target]:
        """The same healthy targets in every round, and enough others to make the share that hangs."""
        options = self.options
        healthy = options.subscriptions
        urls = [(self._healthy_url(number), True) for number in range(healthy)]
        if sick:
            share = options.share / (1 - options.share)
            urls += [(self._sick_url(number), False) for number in range(round(healthy * share))]
        made = []
        for number, (url, is_healthy) in enumerate(urls):
            registration = f"registration-{number}"
            subscription_id = new_subscription_id(partition_of(registration, 64))
            made.append(Target(subscription_id, registration, url, is_healthy))
        return made

    @property
    def sick_hosts(self) -> str:
        return f"{len(self.kinds) * self.options.sick_hosts} that hang: {', '.join(self.kinds)}"

    def _healthy_url(self, number: int, folder: str = "inbox") -> str:
        host = number % len(self.healthy_ports)
        name = self.names.healthy(host) if self.names else "127.0.0.1"
        return f"https://{name}:{self.healthy_ports[host]}/{folder}/{number}"

    def _sick_url(self, number: int) -> str:
        if self.options.same_hosts:
            return self._healthy_url(number, "hang")
        kind = self.kinds[number % len(self.kinds)]
        host = number // len(self.kinds) % self.options.sick_hosts
        if kind == "nameless":
            return f"https://hangs-{host}.bench.test/inbox/{number}"
        return f"https://127.0.0.1:{self.sick_ports[kind][host]}/inbox/{number}"

    @contextmanager
    def worker(self) -> Iterator[subprocess.Popen[bytes]]:
        command = [sys.executable, "-m", "webrtc_events.cli", "worker"]
        if self.names:
            command = self.names.around(command)
        environ = {key: value for key, value in os.environ.items() if not key.startswith("WEBRTC_EVENTS_")}
        with (self.folder / "worker.log").open("wb") as log:
            process = subprocess.Popen(command, env=environ | self.environ, stderr=log)
            try:
                yield process
            finally:
                process.kill()
                process.wait()


class _Names:
    """Host names that only the worker sees: those of healthy sinks resolve, all others hang.

    Mounts files over /etc/hosts and /etc/resolv.conf, which needs root and a mount namespace.
    """

    def __init__(self, folder: Path) -> None:
        self._hosts = folder / "hosts"
        self._resolv = folder / "resolv.conf"
        self._hosts.write_text(
            "127.0.0.1 localhost\n" + "".join(f"127.0.0.1 {self.healthy(number)}\n" for number in range(1000))
        )
        self._resolv.write_text(f"nameserver {DEAF_RESOLVER}\n")

    @classmethod
    def if_possible(cls, folder: Path, stack: ExitStack) -> "_Names | None":
        if os.geteuid() != 0 or shutil.which("unshare") is None:
            return None
        if subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode:
            return None
        deaf = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        try:
            deaf.bind((DEAF_RESOLVER, 53))
        except OSError:
            return None
        return cls(folder)

    def healthy(self, host: int) -> str:
        return f"sink-{host}.bench.test"

    def around(self, command: Sequence[str]) -> list[str]:
        mounts = f"mount --bind {self._hosts} /etc/hosts && mount --bind {self._resolv} /etc/resolv.conf"
        return ["unshare", "-m", "sh", "-c", f'{mounts} && exec "$@"', "sh", *command]


class Gateway:
    """Appends events, and records when the store had accepted them."""

    def __init__(self, store: Store, targets: Sequence[Target]) -> None:
        self._store = store
        self._targets = targets
        self._numbers: Counter[str] = Counter()
        self.accepted_s: dict[str, float] = {}

    def publish(self, targets: Sequence[Target]) -> None:
        batches: dict[int, list[NetworkEvent]] = {}
        names = []
        for target in targets:
            self._numbers[target.id] += 1
            number = self._numbers[target.id]
            batches.setdefault(partition_of(target.registration, 64).number, []).append(
                _invitation(target, number)
            )
            names.append((f"{target.id}.{number}", target.healthy))
        self._store.events.append(batches)
        moment = time.time()
        self.accepted_s |= {name: moment for name, healthy in names if healthy}


def _invitation(target: Target, number: int) -> NetworkEvent:
    data = {
        "mediaSessionId": f"session-{number}",
        "originatorAddress": "tel:+12025550100",
        "receiverAddress": "tel:+12025550101",
        "status": "Initial",
        "sequenceNumber": number,
    }
    event_type = EventType.SESSION_INVITATION
    payload = {"type": event_type.value, "time": "2026-03-10T09:00:00.000Z", "data": data}
    return NetworkEvent(
        f"{target.registration}.{number}",
        "/bench",
        event_type,
        target.registration,
        data["mediaSessionId"],
        time_ms=0,
        numbered=True,
        last=False,
        payload=json.dumps(payload),
    )


def play(scene: Scene, *, sick: bool, rate: float, seconds: float) -> Round:
    store = scene.emptied()
    targets = scene.targets(sick=sick)
    for target in targets:
        subscription = Subscription(
            id=target.id,
            client="bench",
            subject=None,
            type=EventType.SESSION_INVITATION,
            registration=target.registration,
            session=None,
            request={"sink": target.url, "types": [EventType.SESSION_INVITATION.value]},
            starts_at_ms=0,
            expires_at_ms=None,
            max_events=None,
        )
        store.subscriptions.create(subscription, sink=target.url, headers={}, sealed=None)
    gateway = Gateway(store, targets)
    for _ in range(scene.options.events):
        gateway.publish(targets)
    with scene.worker() as worker:
        drained = _await_arrivals(scene, len(gateway.accepted_s))
        cpu_us = _cpu_s(worker.pid) * 1e6 / len(drained)
        per_s = len(drained) / (drained[-1][0] - drained[0][0])
        gateway.accepted_s.clear()
        forget_arrivals(scene.folder)
        _publish_steadily(gateway, targets, rate, seconds)
        latencies = sorted(
            (moment - gateway.accepted_s[event_id]) * 1000
            for moment, event_id in _await_arrivals(scene, len(gateway.accepted_s))
        )
    store.close()
    return Round(per_s, _at(latencies, 0.5), _at(latencies, 0.99), cpu_us)


def _await_arrivals(scene: Scene, count: int) -> list[tuple[float, str]]:
    """The first arrival of each event: seconds since the epoch, event id."""
    until = time.monotonic() + MAX_WAIT_S
    while True:
        first: dict[str, float] = {}
        for moment, event_id in arrivals(scene.folder):
            first.setdefault(event_id, moment)
        if len(first) >= count:
            return [(moment, event_id) for event_id, moment in first.items()]
        if time.monotonic() > until:
            log = (scene.folder / "worker.log").read_text()[-2000:]
            raise RuntimeError(f"{len(first)} of {count} arrived in {MAX_WAIT_S:.0f} s\n{log}")
        time.sleep(0.25)


def _publish_steadily(gateway: Gateway, targets: Sequence[Target], rate: float, seconds: float) -> None:
    """Publishes what is due every 10 ms, to one subscription after the other in a random order."""
    order = random.Random(1).sample(list(targets), len(targets))
    started, sent = time.monotonic(), 0
    healthy = sum(target.healthy for target in targets)
    # Healthy sinks get the same rate in every round.
    rate *= len(targets) / healthy
    while (elapsed := time.monotonic() - started) < seconds:
        due = int(elapsed * rate) - sent
        if due:
            gateway.publish([order[(sent + number) % len(order)] for number in range(min(due, len(order)))])
            sent += min(due, len(order))
        time.sleep(0.01)


def _cpu_s(pid: int) -> float:
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return float("nan")


def _at(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="rounds of each kind")
    parser.add_argument("--subscriptions", type=int, default=380, help="subscriptions on healthy sinks")
    parser.add_argument("--hosts", type=int, default=20, help="healthy hosts")
    parser.add_argument("--share", type=float, default=0.05, help="share of subscriptions on sinks that hang")
    parser.add_argument("--sick-hosts", type=int, default=4, help="hosts of each kind that hangs")
    parser.add_argument("--same-hosts", action="store_true", help="what hangs are paths of the healthy hosts")
    parser.add_argument(
        "--events", type=int, default=40, help="events for each subscription, for deliveries/s"
    )
    parser.add_argument(
        "--rate", type=float, help="events/s in the latency part; default: an eighth of a warm-up round"
    )
    parser.add_argument("--seconds", type=float, default=8.0, help="length of the latency part (s)")
    parser.add_argument("--min-throughput", type=float, default=0.9, help="least ratio of deliveries/s")
    parser.add_argument("--max-latency", type=float, default=2.0, help="greatest ratio of the p99 latencies")
    options = parser.parse_args()
    rounds: dict[bool, list[Round]] = {False: [], True: []}
    where = "paths of them that hang" if options.same_hosts else None
    titles = {False: "none hangs", True: f"{options.share:.0%} hang"}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        scene = Scene(folder, options, stack)
        sick = [target for target in scene.targets(sick=True) if not target.healthy]
        print(
            f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; "
            f"{options.subscriptions} subscriptions on {options.hosts} healthy hosts ({scene.served_by}), "
            f"{len(sick)} on {where or scene.sick_hosts}"
        )
        if scene.names is None:
            print("no host names that hang: they need root and unshare")
        rate = options.rate or play(scene, sick=False, rate=100, seconds=1).per_s / 8
        print(f"{rate:.0f} events/s for latency")
        print(f"{'round':<12}{'deliveries/s':>14}{'p50 ms':>9}{'p99 ms':>9}{'CPU µs':>9}")
        for number in range(2 * options.rounds):
            # Without, with, with, without: a drift of the machine counts for both.
            hangs = number % 4 in (1, 2)
            rounds[hangs].append(play(scene, sick=hangs, rate=rate, seconds=options.seconds))
            _show(titles[hangs], rounds[hangs][-1])
    medians = {hangs: _median(measured) for hangs, measured in rounds.items()}
    per_s = medians[True].per_s / medians[False].per_s
    p99 = medians[True].p99 / medians[False].p99
    print("medians")
    for hangs, median in medians.items():
        _show(titles[hangs], median)
    print(f"deliveries/s: {per_s:.0%}, of {options.min_throughput:.0%} at least")
    print(f"p99 latency: {p99:.2f} times, of less than {options.max_latency:.1f}")
    return 0 if per_s >= options.min_throughput and p99 < options.max_latency else 1


def _median(rounds: Sequence[Round]) -> Round:
    names = (field.name for field in fields(Round))
    return Round(*(statistics.median(getattr(one_round, name) for one_round in rounds) for name in names))


def _show(title: str, measured: Round) -> None:
    print(
        f"{title:<12}{measured.per_s:>14.0f}{measured.p50:>9.1f}{measured.p99:>9.1f}{measured.cpu:>9.0f}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
