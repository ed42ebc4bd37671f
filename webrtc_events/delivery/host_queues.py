"""The queues of tasks that wait for busy hosts. Pure."""

from collections import deque
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from webrtc_events.delivery.client_accounts import ClientAccount
from webrtc_events.delivery.shares import Pool

__all__ = ["HostQueues"]

T = TypeVar("T")


class _Waiting(NamedTuple, Generic[T]):
    task: T
    client: ClientAccount
    prompt: bool


class HostQueues(Generic[T]):
    """A queue for each host that something waits for; `size` entries in all, which clients share."""

    def __init__(self, size: int) -> None:
        self._pool = Pool(size)
        self._queues: dict[str, deque[_Waiting[T]]] = {}

    @property
    def room_of_one(self) -> int:
        """How many more may wait before one client alone has all that it may."""
        return self._pool.room_of_one

    @property
    def hosts(self) -> list[str]:
        """Those that something waits for."""
        return list(self._queues)

    def count(self, host: str) -> int:
        queue = self._queues.get(host)
        return 0 if queue is None else len(queue)

    def has_room(self, host: str, client: ClientAccount, per_second: float, *, prompt: bool) -> bool:
        """Whether one more may wait for a host that does `per_second`."""
        if not self._pool.may_have(client.waiting, prompt=prompt):
            return False
        waiting = self.count(host)
        # What waits for a prompt host goes soon, so one host may have all the room there is.
        room = waiting + self._pool.room(prompt=True) if prompt else self._pool.share(prompt=False)
        return waiting < min(room, per_second)

    def put(self, host: str, task: T, client: ClientAccount, *, prompt: bool) -> None:
        self._pool.take(client.waiting, prompt=prompt)
        self._queues.setdefault(host, deque()).append(_Waiting(task, client, prompt))

    def take(self, host: str, may_go: Callable[[ClientAccount], bool] | None = None) -> T | None:
        """What has waited longest for the host, of the clients that may go; it no longer waits."""
        for index, waiting in enumerate(self._queues.get(host, ())):
            if may_go is None or may_go(waiting.client):
                return self._remove(host, index)
        return None

    def take_prompt(self, host: str) -> list[T]:
        """What came while the host was prompt; it no longer waits."""
        queue, found = self._queues[host], []
        for _ in range(len(queue)):
            if queue[0].prompt:
                found.append(self._remove(host, 0))
            else:
                queue.rotate(-1)
        return found

    def clear(self) -> list[T]:
        """Everything that waits; nothing does any longer."""
        return [self._remove(host, 0) for host in self.hosts for _ in range(self.count(host))]

    def _remove(self, host: str, index: int) -> T:
        queue = self._queues[host]
        found = queue[index]
        del queue[index]
        self._pool.give(found.client.waiting, prompt=found.prompt)
        if not queue:
            del self._queues[host]
        return found.task
