"""Commands on one connection, under way to one server, and what each is answered."""

from collections.abc import Mapping, Sequence
from typing import Any

from redis.exceptions import ResponseError

from webrtc_events.core.errors import Unavailable
from webrtc_events.store.redis.packing import pack_commands
from webrtc_events.store.redis.topology import Node

__all__ = ["KEY_AT", "SCRIPTS", "Answers", "Command", "Exchange"]

SCRIPTS = frozenset({"EVAL", "EVALSHA"})
KEY_AT = {**dict.fromkeys(SCRIPTS, 3), "BITOP": 2}
"""Which argument is the first key, where it is not the one behind the command."""

# The command as it is sent, and what redis-py needs to read its answer.
Command = tuple[tuple[Any, ...], Mapping[str, Any]]
Answers = list[Any]

_REPLICA_WAIT_MS = 1_000


class Exchange:
    """On a connection that has nothing else under way. Errors of the connection are redis-py's.

    With `replicas`, what was written counts only if as many hold it.
    """

    def __init__(self, node: Node, connection: Any, commands: Sequence[Command], replicas: int) -> None:
        self.node = node
        self.connection = connection
        self._commands = commands
        self._replicas = replicas
        self.is_over = False
        """Whether every answer was read. What is still to come must not be taken for another's."""

    def send(self) -> None:
        commands = [args for args, _ in self._commands]
        if self._replicas:
            # WAIT speaks of the writes of its own connection.
            commands.append(("WAIT", self._replicas, _REPLICA_WAIT_MS))
        self.connection.send_packed_command([pack_commands(commands)], check_health=False)

    def answers(self) -> Answers:
        """Of each command; an error of the server is a value."""
        answers = [self._answer(args[0], options) for args, options in self._commands]
        held_by = self._answer("WAIT", {}) if self._replicas else 0
        self.is_over = True
        if isinstance(held_by, ResponseError):
            return [held_by] * len(answers)
        if held_by < self._replicas:
            too_few = Unavailable("Too few replicas hold the event; try again.")
            return [answer if isinstance(answer, ResponseError) else too_few for answer in answers]
        return answers

    def _answer(self, name: str, options: Mapping[str, Any]) -> Any:
        try:
            if name in SCRIPTS:
                # redis-py does nothing with what a script returns, after a long look at whether it does.
                return self.connection.read_response()
            return self.node.client.parse_response(self.connection, name, **options)
        except ResponseError as error:
            return error
