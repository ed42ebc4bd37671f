"""Open connections to nodes that wait for their next commands, beside the pools that they come from.

A pool of redis-py keeps accounts of each checkout and each return, which take as long as the exchange itself.
"""

import os
import threading
from collections import defaultdict
from collections.abc import Iterable
from typing import Any
from weakref import WeakSet

import redis

from webrtc_events.store.redis.topology import Node

__all__ = ["KeptConnections", "drop"]


class KeptConnections:
    """Connected, each with nothing under way. Safe for use by several threads.

    While one is kept it stays checked out of its node's pool, so that the pool's bound counts it. A process
    that was forked begins with none: their sockets are its parent's.
    """

    def __init__(self) -> None:
        self._wanted: frozenset[Node] | None = None
        self.forget()
        _all.add(self)

    def forget(self) -> None:
        """Leaves what is kept to others."""
        # Of the threads of a parent, one that has no counterpart here may have held it.
        self._lock = threading.Lock()
        self._idle: defaultdict[Node, list[Any]] = defaultdict(list)

    def count(self, node: Node) -> int:
        return len(self._idle.get(node, ()))

    def take(self, node: Node) -> Any | None:
        """A connection that is open as far as is known here."""
        while True:
            with self._lock:
                found = self._idle.get(node)
                if not found:
                    return None
                connection = found.pop()
            if _is_idle(connection):
                return connection
            drop(node, connection)

    def keep(self, node: Node, connection: Any) -> None:
        """For one that was taken, or that comes from the node's pool."""
        with self._lock:
            is_wanted = self._wanted is None or node in self._wanted
            if is_wanted:
                self._idle[node].append(connection)
        if not is_wanted:
            drop(node, connection)

    def retain(self, nodes: Iterable[Node]) -> None:
        """Drops what is kept for other nodes than these, now and from now on."""
        wanted = frozenset(nodes)
        with self._lock:
            self._wanted = wanted
            gone = {node: self._idle.pop(node) for node in [*self._idle] if node not in wanted}
        _drop_all(gone)

    def drop_idle(self, node: Node) -> None:
        """Drops what is kept for this node."""
        with self._lock:
            gone = {node: self._idle.pop(node, [])}
        _drop_all(gone)


def drop(node: Node, connection: Any) -> None:
    """Closes it, and gives its place in the pool back."""
    connection.disconnect()
    node.client.connection_pool.release(connection)


def _drop_all(gone: dict[Node, list[Any]]) -> None:
    for node, connections in gone.items():
        for connection in connections:
            drop(node, connection)


def _is_idle(connection: Any) -> bool:
    """Nothing is under way: whatever came is its end, or not to be understood."""
    try:
        return bool(
            connection.is_connected and not connection.should_reconnect() and not connection.can_read(0)
        )
    except redis.ConnectionError:
        return False


def _forget_all() -> None:
    for kept in _all:
        kept.forget()


_all: WeakSet[KeptConnections] = WeakSet()
os.register_at_fork(after_in_child=_forget_all)
