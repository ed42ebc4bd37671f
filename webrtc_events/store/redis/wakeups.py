"""Hints, from `SPUBLISH`, of partitions that have something due.

Losing one costs only time: workers also ask by themselves, now and then.
"""

import select
from collections import deque
from typing import Any

import redis
from redis.exceptions import MovedError

from webrtc_events.store.keys import Partition
from webrtc_events.store.redis.scripts import store_errors
from webrtc_events.store.redis.topology import TIMEOUT_S, Node, Nodes

__all__ = ["Wakeups"]


class Wakeups:
    """Listens to every node that can be reached. Not thread-safe."""

    def __init__(self, nodes: Nodes, partitions: int) -> None:
        self._nodes = nodes
        self._numbers = {Partition(number).wakeup: number for number in range(partitions)}
        self._subscribers: deque[_Subscriber] = deque()
        self._version: int | None = None
        self._missed: list[int] = []

    def missed(self) -> list[int]:
        """Of which partitions hints may have been lost: those listened to anew since this was last asked."""
        missed, self._missed = self._missed, []
        return missed

    def wait(self, timeout_s: float) -> int | None:
        """The number of a partition that has something due, or None after `timeout_s`.

        Raises:
            Unavailable: no node can be listened to.
        """
        with store_errors():
            self._listen()
            channel = self._next_channel()
            if channel is None and self._subscribers:
                self._await_any(timeout_s)
                channel = self._next_channel()
        return None if channel is None else self._numbers.get(channel)

    def _await_any(self, timeout_s: float) -> None:
        # Unlike select, poll takes descriptors of any number: the sinks' connections have many.
        poller = select.poll()
        for subscriber in self._subscribers:
            poller.register(subscriber, select.POLLIN)
        poller.poll(timeout_s * 1000)

    def close(self) -> None:
        while self._subscribers:
            self._subscribers.pop().close()

    def _listen(self) -> None:
        """Subscribes at each node to the channels that are the node's now."""
        if self._version == self._nodes.version:
            return
        self._version = self._nodes.version
        wanted, trouble = self._wanted()
        for subscriber in list(self._subscribers):
            if wanted.get(subscriber.node) == subscriber.channels:
                del wanted[subscriber.node]
            else:
                self._drop(subscriber)
        for node, channels in wanted.items():
            try:
                self._subscribers.append(_Subscriber(self._nodes.pubsub(node), node, channels))
            except redis.RedisError as error:
                self._failed(node, error)
                trouble = error
            else:
                self._missed += sorted(self._numbers[channel] for channel in channels)
        if trouble is not None:
            self._version = None
            if not self._subscribers:
                raise trouble

    def _wanted(self) -> tuple[dict[Node, set[str]], redis.RedisError | None]:
        """The channels of each node, and why there is none for some."""
        found: dict[Node, set[str]] = {}
        trouble = None
        for channel in self._numbers:
            try:
                found.setdefault(self._nodes.of(channel), set()).add(channel)
            except redis.ConnectionError as error:
                trouble = error
        return found, trouble

    def _next_channel(self) -> str | None:
        """The channel of a message that has come, from one subscriber after the other."""
        for _ in range(len(self._subscribers)):
            subscriber = self._subscribers[0]
            self._subscribers.rotate(-1)
            try:
                channel = subscriber.next_channel()
            except redis.RedisError:
                # It is opened anew, and what is wrong with the node comes out then.
                self._drop(subscriber)
                self._version = None
            else:
                if channel is not None:
                    return channel
        return None

    def _drop(self, subscriber: "_Subscriber") -> None:
        self._subscribers.remove(subscriber)
        subscriber.close()

    def _failed(self, node: Node, error: redis.RedisError) -> None:
        if isinstance(error, MovedError):
            self._nodes.moved(error)
        elif isinstance(error, redis.ConnectionError | redis.TimeoutError):
            self._nodes.silent(node, error)


class _Subscriber:
    """A connection to one node that is subscribed to some of its channels."""

    def __init__(self, pubsub: Any, node: Node, channels: set[str]) -> None:
        self.node = node
        self.channels = channels
        self._pubsub = pubsub
        try:
            self._subscribe()
        except BaseException:
            pubsub.close()
            raise

    def _subscribe(self) -> None:
        # Each by itself: on a cluster, the channels of one command must share a slot.
        for channel in self.channels:
            self._pubsub.ssubscribe(channel)
        confirmed = 0
        while confirmed < len(self.channels):
            message = self._pubsub.get_message(timeout=TIMEOUT_S)
            if message is None:
                raise redis.TimeoutError(f"{self.node.name} does not confirm a subscription")
            confirmed += message["type"] == "ssubscribe"

    def fileno(self) -> int:
        """For select; redis-py offers no way to wait for several connections at once."""
        return int(self._pubsub.connection._sock.fileno())

    def next_channel(self) -> str | None:
        while self._pubsub.connection.can_read():
            message = self._pubsub.get_message(timeout=0)
            if message is not None and message["type"] == "smessage":
                return str(message["channel"])
        return None

    def close(self) -> None:
        self._pubsub.close()
