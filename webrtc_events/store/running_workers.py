"""Which workers are running: each says so every now and then. A hint, of which nothing depends but time."""

from webrtc_events.store.connection import Connection
from webrtc_events.store.keys import WORKERS_KEY
from webrtc_events.store.redis.scripts import Call, answers_of, store_errors

__all__ = ["RunningWorkers"]

_LASTING_MS = 6000


class RunningWorkers:
    """For one thread at a time."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def beat(self, name: str) -> list[str]:
        """The worker `name` is running: it has to say so again within 6 s. Returns the names of all that are.

        Raises:
            Unavailable: the store cannot be reached.
        """
        return self._say(name, _LASTING_MS)

    def leave(self, name: str) -> None:
        """The worker `name` ends.

        Raises:
            Unavailable: the store cannot be reached.
        """
        self._say(name, 0)

    def count(self) -> int:
        """How many are running, or were some seconds ago. Any thread may ask.

        Raises:
            Unavailable: the store cannot be reached.
        """
        with store_errors():
            (count,) = answers_of(self._connection.client.pipeline().zcard(WORKERS_KEY))
        return count if isinstance(count, int) else 0

    def _say(self, name: str, lasting_ms: int) -> list[str]:
        """Source: lua/beat.lua."""
        found: list[str] = self._connection.run(Call("beat", [WORKERS_KEY], "", [name, lasting_ms]))
        return found
