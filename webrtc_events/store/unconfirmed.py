"""Subscriptions that this process made, and that their client's index still has as being made."""

from threading import Lock

__all__ = ["Unconfirmed"]

# What is forgotten beyond these is found by a create that needs the room.
_MAX_CLIENTS = 1000
_MAX_OF_A_CLIENT = 100


class Unconfirmed:
    """The latest of the clients that made one last. Safe for use by several threads."""

    def __init__(self) -> None:
        self._ids: dict[str, list[str]] = {}
        self._lock = Lock()

    def add(self, client: str, subscription_id: str) -> None:
        """It was made."""
        with self._lock:
            ids = self._ids.pop(client, [])
            self._ids[client] = [*ids[1 - _MAX_OF_A_CLIENT :], subscription_id]
            if len(self._ids) > _MAX_CLIENTS:
                del self._ids[next(iter(self._ids))]

    def take(self, client: str) -> list[str]:
        """Those of a client, which are forgotten here."""
        with self._lock:
            return self._ids.pop(client, [])
