"""A real Sentinel, which watches a master and its replicas."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import redis

from tests.harness.valkeys import ServerProcess, ValkeyServer, eventually

__all__ = ["Sentinel", "sentinel"]

SERVICE = "events"


class Sentinel(ServerProcess):
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
