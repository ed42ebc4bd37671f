"""The servers that hold the store: one, the master that Sentinels name, or the nodes of a cluster."""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import redis
from redis.backoff import NoBackoff
from redis.exceptions import MovedError, RedisClusterException, SlotNotCoveredError
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry
from redis.sentinel import Sentinel

from webrtc_events.core.store_url import StoreKind, StoreUrl

if TYPE_CHECKING:
    from redis.cluster import ClusterNode

__all__ = ["TIMEOUT_S", "Node", "Nodes", "open_nodes"]

log = logging.getLogger(__name__)

# A command that takes longer than this is as good as lost; callers get 503 and try again.
TIMEOUT_S = 2.0
# So often Sentinels are asked who the master is. And a node of a cluster that did not answer, whether it
# does, and the others, who has its keys.
_WATCH_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Node:
    """A server, and a redis-py client for it. Equal names mean the same server.

    `address` is for people, and stays the same while the server does.
    """

    name: str
    client: Any = field(compare=False)
    address: str = field(compare=False)


class Nodes(Protocol):
    """Which node has which key. Safe for use by several threads."""

    version: int
    """Changes whenever `of` may give other nodes than before."""

    has_slots: bool
    """Whether a script must stay in one slot. A single server may turn out to be a node of a cluster."""

    def of(self, key: str) -> Node:
        """The node that has the key.

        Raises:
            redis.ConnectionError: none has it, or the one that has it is known not to answer.
        """

    def all(self) -> list[Node]:
        """Every node that has keys, also one that does not answer."""

    def some(self) -> list[Node]:
        """Every node that has keys and is not known not to answer.

        Raises:
            redis.ConnectionError: there is none.
        """

    def moved(self, error: MovedError) -> None:
        """A node said that another has the key."""

    def silent(self, node: Node, error: Exception) -> None:
        """The node does not answer."""

    def answered(self, node: Node) -> None:
        """The node answers. Called with every answer, so it must cost nothing."""

    def pubsub(self, node: Node) -> Any:
        """A redis-py PubSub on a connection that is not disturbed by what happens to other nodes."""

    def close(self) -> None: ...


def open_nodes(url: StoreUrl) -> Nodes:
    """
    Raises:
        redis.ConnectionError: no node of the cluster answers. With the other kinds nothing is sent yet.
    """
    if url.kind is StoreKind.CLUSTER:
        return _ClusterNodes(url)
    options = _options(url) | {"retry": _never(), "db": url.db}
    if url.kind is StoreKind.SENTINEL:
        return _MasterNode(url, options)
    if url.kind is StoreKind.SOCKET:
        return _OneNode(redis.Redis(unix_socket_path=url.path, **options), str(url))
    ((host, port),) = url.hosts
    return _OneNode(redis.Redis(host=host, port=port, **options), str(url))


def _options(url: StoreUrl) -> dict[str, Any]:
    options: dict[str, Any] = {
        "decode_responses": True,
        # Bytes that are no text, which nobody meant to store, are no reason not to read the rest.
        "encoding_errors": "surrogateescape",
        "username": url.username,
        "password": url.password,
        "socket_timeout": TIMEOUT_S,
        "socket_connect_timeout": TIMEOUT_S,
        # With them, redis-py does not see that an idle connection was closed.
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }
    if url.tls:
        options |= {"ssl": True, **dict(url.tls_files)}
    return options


def _never() -> Retry:
    """What is sent again is decided in commands.py."""
    return Retry(NoBackoff(), 0)


class _OneNode:
    """A server."""

    def __init__(self, client: Any, address: str) -> None:
        self.version = 0
        self.has_slots = False
        self._lock = threading.Lock()
        self._node = Node("0", client, address)
        self._away = False

    def of(self, key: str) -> Node:  # noqa: ARG002
        return self._node

    def all(self) -> list[Node]:
        return [self._node]

    def some(self) -> list[Node]:
        return [self._node]

    def moved(self, error: MovedError) -> None:
        """A node of a cluster that was taken for a single server: there is no other to ask."""

    def silent(self, node: Node, error: Exception) -> None:
        with self._lock:
            news, self._away = not self._away, True
        if news and isinstance(error, redis.AuthenticationError):
            log.warning("the store does not let the service in: %s", error)
        elif news:
            log.warning("the store does not answer: %s", error)
        # Other connections to it are as dead.
        _drop_idle(node.client)
        self._renew()

    def answered(self, node: Node) -> None:  # noqa: ARG002
        if not self._away:
            return
        with self._lock:
            news, self._away = self._away, False
        if news:
            log.info("the store answers again")

    def _renew(self) -> None:
        """From now on it counts as another node."""
        with self._lock:
            self.version += 1
            self._node = replace(self._node, name=str(self.version))

    def pubsub(self, node: Node) -> Any:
        return node.client.pubsub()

    def close(self) -> None:
        self._node.client.close()


class _MasterNode(_OneNode):
    """The server that the Sentinels name.

    Each new connection asks them. A thread does so too: a master that another has replaced may
    still answer, and a connection to one that is gone may never break.
    """

    def __init__(self, url: StoreUrl, options: Mapping[str, Any]) -> None:
        own = {"username": url.sentinel_username, "password": url.sentinel_password, "db": 0}
        self._sentinel = Sentinel(url.hosts, sentinel_kwargs={**options, **own})
        super().__init__(self._sentinel.master_for(url.service, **options), str(url))
        self._service = url.service
        self._closing = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="store-master", daemon=True)
        self._watcher.start()

    def _watch(self) -> None:
        pool = self._node.client.connection_pool
        former = None
        while not self._closing.wait(_WATCH_EVERY_S):
            try:
                # It drops the idle connections to another server; those in use are dropped after it.
                master = pool.get_master_address()
            except redis.RedisError as error:
                log.debug("no Sentinel names a master: %s", error)
                continue
            if former != master:
                # At the first look too: connections may have been made before.
                log.info("the master %s is %s:%d", self._service, *master)
                self._renew()
            former = master

    def close(self) -> None:
        self._closing.set()
        self._watcher.join(2 * TIMEOUT_S)
        super().close()
        self._sentinel.close()


class _ClusterNodes:
    """The nodes of a cluster.

    One that does not answer is left alone, so that it costs no time to those who also work with
    the others. A thread watches it, and whether another took its place, until it answers.
    """

    def __init__(self, url: StoreUrl) -> None:
        self.version = 0
        self.has_slots = True
        self._options = _options(url)
        self._lock = threading.Lock()
        self._silent: set[str] = set()
        self._watcher: threading.Thread | None = None
        self._closing = threading.Event()
        # A store of one server does without.
        from redis.cluster import ClusterNode, RedisCluster

        try:
            self._cluster = RedisCluster(
                startup_nodes=[ClusterNode(host, port) for host, port in url.hosts],
                # Slots that no node has are no reason not to use the others.
                require_full_coverage=False,
                retry=_never(),
                **self._options,
            )
        except RedisClusterException as error:
            raise redis.ConnectionError(str(error)) from error

    def of(self, key: str) -> Node:
        slot = self._cluster.keyslot(key)
        try:
            found = self._cluster.nodes_manager.get_node_from_slot(slot)
        except SlotNotCoveredError as error:
            self._watch()
            raise redis.ConnectionError(f"no node of the cluster has slot {slot}") from error
        if found.name in self._silent:
            raise redis.ConnectionError(f"{found.name} does not answer")
        return self._node(found)

    def all(self) -> list[Node]:
        return [self._node(primary) for primary in self._cluster.get_primaries()]

    def some(self) -> list[Node]:
        found = [node for node in self.all() if node.name not in self._silent]
        if not found:
            raise redis.ConnectionError("no node of the cluster answers")
        return found

    def _node(self, found: "ClusterNode") -> Node:
        return Node(found.name, self._cluster.get_redis_connection(found), found.name)

    def moved(self, error: MovedError) -> None:
        self._cluster.nodes_manager.move_slot(error)
        self.version += 1

    def silent(self, node: Node, error: Exception) -> None:
        with self._lock:
            known = node.name in self._silent
            self._silent.add(node.name)
        if not known:
            log.warning("the store's node %s does not answer: %s", node.name, error)
        _drop_idle(node.client)
        self._watch()

    def answered(self, node: Node) -> None:
        """The thread that watches silent nodes finds out that one is back."""

    def pubsub(self, node: Node) -> Any:
        # redis-py drops the connections of its own clients when it looks at the cluster anew.
        host, _, port = node.name.rpartition(":")
        own = redis.Redis(host=host, port=int(port), retry=_never(), **self._options)
        return own.pubsub()

    def close(self) -> None:
        self._closing.set()
        watcher = self._watcher
        if watcher is not None:
            watcher.join(2 * TIMEOUT_S)
        self._cluster.close()

    def _watch(self) -> None:
        with self._lock:
            if self._watcher is None and not self._closing.is_set():
                self._watcher = threading.Thread(target=self._watch_silent, name="store-nodes", daemon=True)
                self._watcher.start()

    def _watch_silent(self) -> None:
        while not self._closing.is_set():
            with self._lock:
                silent = sorted(self._silent)
            self._look_anew(silent)
            back = [name for name in silent if self._is_back(name)]
            with self._lock:
                self._silent.difference_update(back)
                if not self._silent:
                    self._watcher = None
                    return
            self._closing.wait(_WATCH_EVERY_S)

    def _look_anew(self, silent: list[str]) -> None:
        """Asks the nodes, the silent ones last, who has which slots."""
        try:
            self._cluster.nodes_manager.initialize(last_failed_node_name=next(iter(silent), None))
        except (RedisClusterException, redis.RedisError) as error:
            log.debug("no node of the cluster tells who has which keys: %s", error)
        self.version += 1

    def _is_back(self, name: str) -> bool:
        """Whether it answers again, or nothing is asked of it any more."""
        node = self._cluster.get_node(node_name=name)
        if node is None:
            log.info("the store's node %s was replaced", name)
            return True
        try:
            self._cluster.get_redis_connection(node).ping()
        except redis.RedisError:
            return False
        log.info("the store's node %s answers again", name)
        return True


def _drop_idle(client: Any) -> None:
    client.connection_pool.disconnect(inuse_connections=False)
