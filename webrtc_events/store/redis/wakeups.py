"""Hints, from `SPUBLISH`: of partitions that have something due, and whatever else partitions tell.

Losing one costs only time: who listens also looks by itself, now and then.
"""

import select
import socket
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import redis
from redis.exceptions import MovedError

from webrtc_events.store.keys import Partition
from webrtc_events.store.redis.scripts import store_errors
from webrtc_events.store.redis.topology import TIMEOUT_S, Node, Nodes

__all__ = ["Opened", "PartitionMessages", "Subscriber", "Wakeups"]


@dataclass(frozen=True, slots=True)
class Opened:
    """Connections that were missing. `wanted`: the channels of each node; `trouble`: why some still are."""

    wanted: Mapping[Node, set[str]]
    subscribers: list["Subscriber"]
    trouble: redis.RedisError | None


class PartitionMessages:
    """What is published to some sharded channels, one of each partition. Not thread-safe but for `interrupt`.

    Listens to every node that can be reached. `numbers` has the partition of each channel.
    """

    def __init__(self, nodes: Nodes, numbers: Mapping[str, int]) -> None:
        self._nodes = nodes
        self._numbers = numbers
        self._subscribers: deque[Subscriber] = deque()
        self._version: int | None = None
        self._missed: list[int] = []
        self._is_interrupted = False
        # What is sent into the second ends a wait; made when somebody waits.
        self._ends: tuple[socket.socket, socket.socket] | None = None

    def interrupt(self) -> None:
        """Who waits, or is about to, waits no longer; nor does anybody after that. Any thread may call it."""
        self._is_interrupted = True
        if self._ends is not None:
            self._ends[1].sendall(b"!")

    def missed(self) -> list[int]:
        """Of which partitions hints may have been lost: those listened to anew since this was last asked."""
        missed, self._missed = self._missed, []
        return missed

    def next(self, timeout_s: float) -> tuple[int, str] | None:
        """The number of a partition, and what was published there; None after `timeout_s`.

        Raises:
            Unavailable: no node can be listened to.
        """
        with store_errors():
            self._listen()
            message = self._next_message()
            if message is None and self._subscribers:
                self._await_any(timeout_s)
                message = self._next_message()
        if message is None or message[0] not in self._numbers:
            return None
        return self._numbers[message[0]], message[1]

    def _await_any(self, timeout_s: float) -> None:
        # Unlike select, poll takes descriptors of any number: the sinks' connections have many.
        if self._ends is None:
            self._ends = socket.socketpair()
        if self._is_interrupted:
            return
        poller = select.poll()
        poller.register(self._ends[0], select.POLLIN)
        for subscriber in self._subscribers:
            poller.register(subscriber.fd, select.POLLIN)
        poller.poll(timeout_s * 1000)

    def close(self) -> None:
        while self._subscribers:
            self._subscribers.pop().close()
        ends, self._ends = self._ends, None
        for end in ends or ():
            end.close()

    def _listen(self) -> None:
        """Subscribes at each node to the channels that are the node's now."""
        if not self.is_current:
            opened = self.opening()()
            for subscriber in self.take(opened)[0]:
                subscriber.close()
            if opened.trouble is not None and not self._subscribers:
                raise opened.trouble

    @property
    def is_current(self) -> bool:
        """Whether it listens to all that can be listened to, as far as is known."""
        return self._version == self._nodes.version

    def opening(self) -> Callable[[], "Opened"]:
        """What opens the connections that are missing, and waits for that. Another thread may call it.

        What it returns is for `take`; if it raises, `not_opened` says so.
        """
        self._version = self._nodes.version
        return partial(self._open, [(of.node, of.channels) for of in self._subscribers])

    def take(self, opened: "Opened") -> tuple[list["Subscriber"], list["Subscriber"]]:
        """Listens on what was opened. Returns what it no longer listens on, to be closed, and what is new."""
        over = [of for of in self._subscribers if opened.wanted.get(of.node) != of.channels]
        for subscriber in over:
            self._subscribers.remove(subscriber)
        for subscriber in opened.subscribers:
            self._subscribers.append(subscriber)
            self._missed += sorted(self._numbers[channel] for channel in subscriber.channels)
        if opened.trouble is not None:
            self._version = None
        return over, opened.subscribers

    def not_opened(self) -> None:
        """What is missing is to be opened all the same."""
        self._version = None

    def lost(self, subscriber: "Subscriber") -> None:
        """It broke, and is to be closed. It is opened anew; what is wrong with the node comes out then."""
        self._subscribers.remove(subscriber)
        self._version = None

    def numbers_in(self, subscriber: "Subscriber") -> set[int] | None:
        """Of which partitions anything published has come there by now; None: it broke, see `lost`."""
        try:
            channels = {channel for channel, _ in subscriber.messages()}
        except redis.RedisError:
            self.lost(subscriber)
            return None
        return {self._numbers[channel] for channel in channels if channel in self._numbers}

    def _open(self, kept: list[tuple[Node, set[str]]]) -> "Opened":
        wanted, trouble = self._wanted()
        opened: list[Subscriber] = []
        for node, channels in wanted.items():
            if (node, channels) in kept:
                continue
            try:
                opened.append(Subscriber(self._nodes.pubsub(node), node, channels))
            except redis.RedisError as error:
                self._failed(node, error)
                trouble = error
        return Opened(wanted, opened, trouble)

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

    def _next_message(self) -> tuple[str, str] | None:
        """Channel and text of a message that has come, from one subscriber after the other."""
        for _ in range(len(self._subscribers)):
            subscriber = self._subscribers[0]
            self._subscribers.rotate(-1)
            try:
                message = subscriber.next_message()
            except redis.RedisError:
                self.lost(subscriber)
                subscriber.close()
            else:
                if message is not None:
                    return message
        return None

    def _failed(self, node: Node, error: redis.RedisError) -> None:
        if isinstance(error, MovedError):
            self._nodes.moved(error)
        elif isinstance(error, redis.ConnectionError | redis.TimeoutError):
            self._nodes.silent(node, error)


class Wakeups(PartitionMessages):
    """Of partitions that have something due."""

    def __init__(self, nodes: Nodes, partitions: int) -> None:
        super().__init__(nodes, {Partition(number).wakeup: number for number in range(partitions)})


class Subscriber:
    """A connection to one node that is subscribed to some of its channels."""

    def __init__(self, pubsub: Any, node: Node, channels: set[str]) -> None:
        self.node = node
        self.channels = channels
        self._pubsub = pubsub
        try:
            self._subscribe()
            # redis-py offers no way to wait for several connections at once.
            self.fd = int(pubsub.connection._sock.fileno())
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

    def next_message(self) -> tuple[str, str] | None:
        while self._pubsub.connection.can_read():
            message = self._pubsub.get_message(timeout=0)
            if message is not None and message["type"] == "smessage":
                return str(message["channel"]), str(message["data"])
        return None

    def messages(self) -> list[tuple[str, str]]:
        """What has come by now, without a wait.

        Raises:
            redis.RedisError: the connection broke.
        """
        found: list[tuple[str, str]] = []
        try:
            while True:
                # As PubSub reads it, without its accounts of what is subscribed to.
                kind, *about = self._pubsub.connection.read_response(
                    timeout=0, disconnect_on_error=False, push_request=True
                )
                if kind == "smessage":
                    found.append((str(about[0]), str(about[1])))
        except redis.TimeoutError:
            return found

    def close(self) -> None:
        self._pubsub.close()
