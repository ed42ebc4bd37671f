"""Commands under way to the store for which nobody waits: their answers are read as they come.

Who sends is often to rest next, so that whom it wakes begins on the same core. So `send` comes last: what is
done after it holds the store up.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import redis
from redis.exceptions import RedisError, ResponseError

from webrtc_events.store.redis.exchange import Command
from webrtc_events.store.redis.kept_connections import KeptConnections, drop
from webrtc_events.store.redis.packing import pack_commands
from webrtc_events.store.redis.topology import Node

__all__ = ["Begun", "ReadyConnections"]

# For a claim and a settle, which may be under way at once.
_ENOUGH = 2


class _Part:
    """The commands of one node, on a connection that has nothing else under way."""

    def __init__(self, node: Node, connection: Any, commands: Sequence[Command]) -> None:
        self.node = node
        self.connection = connection
        # redis-py has no other way to wait for a connection together with other descriptors.
        self.socket = connection._sock
        self.fd: int = self.socket.fileno()
        self.answers: list[Any] = []
        self.error: RedisError | None = None
        self._count = len(commands)
        self._unsent = pack_commands([args for args, _ in commands])

    @property
    def is_sent(self) -> bool:
        return not self._unsent or self.error is not None

    @property
    def is_over(self) -> bool:
        return self.error is not None or len(self.answers) == self._count

    def send(self) -> None:
        """As much as the socket takes at once. It has nothing to send yet, so it takes something."""
        try:
            self._unsent = self._unsent[self.socket.send(self._unsent) :]
        except OSError as error:
            self.error = redis.ConnectionError(f"cannot send: {error}")

    def receive(self) -> bool:
        """Takes what has come. Returns whether anything has."""
        before = len(self.answers)
        try:
            while not self.is_over:
                self._read(timeout=0)
        except redis.TimeoutError:
            # hiredis keeps what has come of the next answer.
            return len(self.answers) > before
        except redis.ConnectionError as error:
            self.error = error
        return True

    def wait(self) -> None:
        """Sends and reads what is left, as long as it takes, see TIMEOUT_S."""
        try:
            if self._unsent and self.error is None:
                self.connection.send_packed_command([self._unsent], check_health=False)
                self._unsent = b""
            while not self.is_over:
                self._read()
        except (redis.ConnectionError, redis.TimeoutError) as error:
            self.error = error

    def _read(self, **options: float) -> None:
        try:
            self.answers.append(self.connection.read_response(disconnect_on_error=False, **options))
        except ResponseError as error:
            self.answers.append(error)


class ReadyConnections(KeptConnections):
    """Connections on which commands can be begun without a wait: plain ones.

    What TLS has decrypted does not make a socket readable.
    """

    def __init__(self) -> None:
        super().__init__()
        # Until one is found that is none.
        self.are_plain = True

    def add(self, nodes: Iterable[Node]) -> None:
        """One more to each of these that has few. It may have to be made.

        Raises:
            redis.ConnectionError, redis.TimeoutError: a node does not let it be made.
        """
        for node in nodes:
            if self.count(node) >= _ENOUGH:
                continue
            pool = node.client.connection_pool
            connection = pool.get_connection()
            if hasattr(connection._sock, "pending"):
                self.are_plain = False
                pool.release(connection)
            else:
                self.keep(node, connection)


class Begun:
    """Commands that `send` sends, and what has come of them. `close` ends it, whatever came.

    `groups`: the indexes of the commands of each node. `sent_s`: when they are about to be sent, by a
    monotonic clock.
    """

    def __init__(
        self,
        commands: Sequence[Command],
        groups: Mapping[Node, list[int]],
        connections: Mapping[Node, Any],
        sent_s: float,
    ) -> None:
        self.commands = commands
        self.groups = groups
        self.sent_s = sent_s
        self._parts = [
            _Part(node, connections[node], [commands[index] for index in indexes])
            for node, indexes in groups.items()
        ]

    def send(self) -> None:
        """As much as the sockets take at once. To be called once, before anything else is done with it."""
        for part in self._parts:
            part.send()

    @property
    def is_sent(self) -> bool:
        """False: who waits for it must send the rest too, see `results`."""
        return all(part.is_sent for part in self._parts)

    @property
    def is_over(self) -> bool:
        return all(part.is_over for part in self._parts)

    @property
    def is_clean(self) -> bool:
        """Whether each command has an answer that is no error: nothing is to be asked again."""
        return all(
            part.error is None
            and part.is_over
            and not any(isinstance(answer, Exception) for answer in part.answers)
            for part in self._parts
        )

    @property
    def descriptors(self) -> list[int]:
        """Of the sockets on which answers are still to come."""
        return [part.fd for part in self._parts if not part.is_over]

    def receive(self) -> bool:
        """Takes what has come, without a wait. Returns whether anything has."""
        came = False
        for part in self._parts:
            if not part.is_over:
                came = part.receive() or came
        return came

    def give_up(self) -> None:
        """What has not been answered by now was not answered in time."""
        for part in self._parts:
            if not part.is_over:
                part.error = redis.TimeoutError(f"{part.node.address} does not answer")

    def results(self) -> dict[Node, list[Any] | RedisError]:
        """A node's answers, or why it gave none. Waits for what is still to come."""
        for part in self._parts:
            part.wait()
        return {part.node: part.error or part.answers for part in self._parts}

    def close(self, kept: KeptConnections) -> None:
        """Nothing is awaited any more; repeating it does nothing."""
        parts, self._parts = self._parts, []
        for part in parts:
            if part.is_over and part.error is None:
                kept.keep(part.node, part.connection)
            else:
                # What is still to come must not be taken for the answer to another command.
                drop(part.node, part.connection)
