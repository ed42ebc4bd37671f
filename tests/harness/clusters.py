"""Clusters of real Valkey servers on loopback TCP."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import redis

from tests.harness.valkeys import ValkeyServer, eventually

__all__ = ["Cluster", "ClusterClient", "FormingCluster", "form", "three_node_cluster"]

SLOTS = 16384


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


class FormingCluster:
    """Three masters, each with a replica if `replicas`, which become a cluster meanwhile.

    Its servers are started here, in the main thread. Then a master takes no writes for 2 s.
    """

    def __init__(
        self, directory: Path, *, replicas: bool = False, aof: Literal["always", "everysec", "no"] = "always"
    ) -> None:
        kinds = ("master", "replica") if replicas else ("master",)
        masters, *others = [
            [ValkeyServer(directory / f"{kind}-{n}", aof=aof, cluster=True) for n in range(3)]
            for kind in kinds
        ]
        self._cluster = Cluster(masters, [replica for servers in others for replica in servers])
        self._error: BaseException | None = None
        for node in self._cluster.nodes:
            node.start()
        self._thread = threading.Thread(target=self._form)
        self._thread.start()

    def formed(self) -> Cluster:
        """Once every node knows it."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._cluster

    def stop(self) -> None:
        self._thread.join()
        for node in self._cluster.nodes:
            node.stop()

    def _form(self) -> None:
        try:
            with ExitStack() as stack:
                for node in self._cluster.nodes:
                    node.wait_ready()
                clients = [stack.enter_context(node.patient_client()) for node in self._cluster.nodes]
                form(self._cluster, clients)
        except BaseException as error:  # noqa: BLE001 (raised where the cluster is asked for)
            self._error = error


@contextmanager
def three_node_cluster(
    directory: Path, *, replicas: bool = False, aof: Literal["always", "everysec", "no"] = "always"
) -> Iterator[Cluster]:
    """Three masters, each with a replica if `replicas`; formed, and every node knows it."""
    forming = FormingCluster(directory, replicas=replicas, aof=aof)
    try:
        yield forming.formed()
    finally:
        forming.stop()


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
    for server in cluster.replicas:
        server.wait_replicated()


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
