"""Commands to the store: each goes to the node that has its key, to all nodes at once.

redis-py's own pipeline over a cluster is of no use here: a node that cannot be reached fails
the commands of all, one that hangs is waited for once for each of its commands, and WAIT goes
to any node.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Self

import redis
from redis.commands import CoreCommands
from redis.exceptions import MovedError, RedisError, ResponseError

from webrtc_events.core.clock import Clock, SystemClock
from webrtc_events.core.histogram import SharedHistogram
from webrtc_events.store.redis.begun import Begun, ReadyConnections
from webrtc_events.store.redis.exchange import KEY_AT, Answers, Command, Exchange
from webrtc_events.store.redis.kept_connections import KeptConnections, drop
from webrtc_events.store.redis.topology import Node, Nodes
from webrtc_events.telemetry.families import ROUND_TRIP_BOUNDS_S

__all__ = ["Batch", "Client"]

# The first, one after a connection broke, and one more after keys moved.
_ROUNDS = 3
_KEYLESS = frozenset({"PING", "TIME"})

# A script runs long, a replica has lost its master, keys are on their way.
_PASSING = re.compile(r"(BUSY|CLUSTERDOWN|LOADING|MASTERDOWN|TRYAGAIN)\b")

# Untyped: redis-py's own types leave open whether an answer is there or awaited.
_RedisCommands: Any = CoreCommands


class Client(_RedisCommands):  # type: ignore[misc]
    """redis-py's commands, one at a time or several in a pipeline, wherever their keys are.

    A command whose connection breaks is sent again, once and at once: a connection that the store
    closed while idle is replaced, and a store that is down is reported quickly. So each command
    must be safe to repeat. One that is not answered in time is not sent again.

    `round_trips`: how long it took until all nodes that were asked together had answered, or were given up.
    """

    def __init__(self, nodes: Nodes, clock: Clock | None = None) -> None:
        self.nodes = nodes
        self.round_trips = SharedHistogram(ROUND_TRIP_BOUNDS_S)
        self._now_s = (clock or SystemClock()).monotonic
        self._ready = ReadyConnections()
        self._kept = KeptConnections()
        # Of the nodes, when connections were last kept for them alone.
        self._version: int | None = None

    def execute_command(self, *args: Any, **options: Any) -> Any:
        (answer,) = self.run([(args, options)])
        if isinstance(answer, Exception):
            raise answer
        return answer

    def pipeline(self) -> "Batch":
        """Commands that are sent together. It is no transaction."""
        return Batch(self)

    def ping(self, **_: Any) -> bool:
        """Raises RedisError unless some node answers."""
        found = self._exchange({node: [(("PING",), {})] for node in self.nodes.some()})
        errors = [answer for answer in found.values() if isinstance(answer, RedisError)]
        if len(errors) == len(found):
            raise errors[0]
        return True

    def scan_iter(self, match: str | None = None, count: int | None = None) -> Iterator[str]:
        """The keys of every node that match; some may come twice."""
        for node in self.nodes.all():
            yield from node.client.scan_iter(match=match, count=count)

    def first_on_each(self, keys: Iterable[str]) -> dict[str, str]:
        """Of the keys, the first that each node has, by its address; not of nodes known not to answer."""
        found: dict[Node, str] = {}
        for key in keys:
            with suppress(redis.ConnectionError):
                found.setdefault(self.nodes.of(key), key)
        return {node.address: key for node, key in found.items()}

    def addresses(self) -> list[str]:
        """Of every node that has keys, also of one that does not answer."""
        return [node.address for node in self.nodes.all()]

    def ask_each(self, *commands: tuple[str, ...]) -> dict[str, Answers]:
        """What each node answers, by its address; None where it refuses. For commands that only read.

        A node that does not answer, or cannot at the moment, is left out.

        Raises:
            redis.RedisError: every node is.
        """
        asked: list[Command] = [(args, {}) for args in commands]
        results = self._exchange(dict.fromkeys(self.nodes.some(), asked))
        # A connection that was closed while idle is replaced.
        broken = [node for node, result in results.items() if isinstance(result, redis.ConnectionError)]
        results |= self._exchange(dict.fromkeys(broken, asked))
        found: dict[str, Answers] = {}
        trouble: RedisError | None = None
        for node, result in results.items():
            answers = result if isinstance(result, list) else [result]
            error = next(filter(_is_passing, answers), None)
            if error is None:
                refused = [isinstance(answer, ResponseError) for answer in answers]
                found[node.address] = [
                    None if no else answer for no, answer in zip(refused, answers, strict=True)
                ]
            else:
                trouble = error
        if trouble is not None and not found:
            raise trouble
        return found

    def close(self) -> None:
        self._ready.retain(())
        self._kept.retain(())
        self._version = None
        self.nodes.close()

    def begin(self, commands: Sequence[Command]) -> Begun | None:
        """Commands that can be sent without a wait; `run` goes on with what was. None: there must be one.

        Source of what can be begun: `keep`. Whoever begins must see to `send`, and then to `end`.
        """
        if not self._ready.are_plain:
            return None
        groups = self._by_node(commands, range(len(commands)), [None] * len(commands))
        if sum(map(len, groups.values())) < len(commands):
            return None
        connections: dict[Node, Any] = {}
        for node in groups:
            connection = self._ready.take(node)
            if connection is None:
                for other, unused in connections.items():
                    self._ready.keep(other, unused)
                return None
            connections[node] = connection
        try:
            return Begun(commands, groups, connections, self._now_s())
        except BaseException:
            for node, connection in connections.items():
                drop(node, connection)
            raise

    def end(self, begun: Begun) -> None:
        """Its connections carry what is begun next, or are closed if answers are still to come."""
        begun.close(self._ready)

    def keep(self, commands: Sequence[Command]) -> None:
        """Sees to connections for `begin`, to the nodes of these commands. It may take a while."""
        if not self._ready.are_plain:
            return
        groups = self._by_node(commands, range(len(commands)), [None] * len(commands))
        self._ready.retain(self.nodes.all())
        with suppress(RedisError):
            self._ready.add(groups)

    def run(
        self,
        commands: Sequence[Command],
        *,
        replicas: int = 0,
        repeats: bool = True,
        begun: Begun | None = None,
    ) -> Answers:
        """What each is answered, or the exception that says why it is not.

        The commands of a node run in their order. With `replicas`, those count as answered only if
        as many replicas of their node hold what was written. Without `repeats`, they are not sent
        again when a connection breaks. What is `begun` is not sent at first, only awaited.
        """
        answers: Answers = [None] * len(commands)
        left = list(range(len(commands)))
        for round_ in range(_ROUNDS):
            results: Mapping[Node, Answers | RedisError]
            if begun is not None and round_ == 0:
                groups, results = begun.groups, begun.results()
                self.round_trips.observe(self._now_s() - begun.sent_s)
            else:
                groups = self._by_node(commands, left, answers)
                sent = {node: [commands[index] for index in indexes] for node, indexes in groups.items()}
                results = self._exchange(sent, replicas)
            for node, result in results.items():
                found = result if isinstance(result, list) else [result] * len(groups[node])
                for index, answer in zip(groups[node], found, strict=True):
                    answers[index] = answer
                if isinstance(result, list):
                    self.nodes.answered(node)
                if isinstance(result, redis.TimeoutError) or (isinstance(result, RedisError) and round_ > 0):
                    self._silent(node, result)
            may_break = repeats and round_ == 0
            left = [index for index in left if self._is_to_repeat(answers[index], broken=may_break)]
            if not left:
                break
        return answers

    def _by_node(
        self, commands: Sequence[Command], wanted: Iterable[int], answers: Answers
    ) -> dict[Node, list[int]]:
        """Which to send where; what has no node is answered with the reason."""
        groups: dict[Node, list[int]] = {}
        node = None
        for index in wanted:
            args, _ = commands[index]
            try:
                if args[0] in _KEYLESS:
                    # It concerns the command before it, if there is any.
                    node = node or self.nodes.some()[0]
                else:
                    node = self.nodes.of(args[KEY_AT.get(args[0], 1)])
            except redis.ConnectionError as error:
                node, answers[index] = None, error
            else:
                groups.setdefault(node, []).append(index)
        return groups

    def _exchange(
        self, groups: Mapping[Node, Sequence[Command]], replicas: int = 0
    ) -> dict[Node, Answers | RedisError]:
        """Sends to every node before it listens to any. A node's answers, or why it gave none."""
        found: dict[Node, Answers | RedisError] = {}
        under_way: list[Exchange] = []
        sent_s = self._now_s()
        try:
            for node, commands in groups.items():
                try:
                    under_way.append(Exchange(node, self._connection(node), commands, replicas))
                    under_way[-1].send()
                except (redis.ConnectionError, redis.TimeoutError) as error:
                    found[node] = error
            for exchange in under_way:
                if exchange.node not in found:
                    try:
                        found[exchange.node] = exchange.answers()
                    except (redis.ConnectionError, redis.TimeoutError) as error:
                        found[exchange.node] = error
        finally:
            for exchange in under_way:
                if exchange.is_over:
                    self._kept.keep(exchange.node, exchange.connection)
                else:
                    drop(exchange.node, exchange.connection)
        if groups:
            self.round_trips.observe(self._now_s() - sent_s)
        return found

    def _connection(self, node: Node) -> Any:
        version = self.nodes.version
        if version != self._version:
            self._kept.retain(self.nodes.all())
            self._version = version
        return self._kept.take(node) or node.client.connection_pool.get_connection()

    def _silent(self, node: Node, error: RedisError) -> None:
        self.nodes.silent(node, error)
        # What is kept for it is as dead.
        self._ready.drop_idle(node)
        self._kept.drop_idle(node)

    def _is_to_repeat(self, answer: Any, *, broken: bool) -> bool:
        if isinstance(answer, MovedError):
            self.nodes.moved(answer)
            return True
        return broken and isinstance(answer, redis.ConnectionError)


def _is_passing(answer: Any) -> bool:
    """Whether it is an error that says nothing of whether the command is permitted."""
    if isinstance(answer, ResponseError):
        return bool(_PASSING.match(str(answer)))
    return isinstance(answer, RedisError)


class Batch(_RedisCommands):  # type: ignore[misc]
    """Commands to be sent together, in the order in which they are called here."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._commands: list[Command] = []

    def execute_command(self, *args: Any, **options: Any) -> Self:
        self._commands.append((args, options))
        return self

    def execute(self, *, raise_on_error: bool = True, replicas: int = 0, repeats: bool = True) -> Answers:
        """See `Client.run`. Raises the first exception among the answers if `raise_on_error`."""
        commands, self._commands = self._commands, []
        if not commands:
            return []
        answers = self._client.run(commands, replicas=replicas, repeats=repeats)
        if raise_on_error:
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
        return answers
