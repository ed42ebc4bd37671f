"""A thread pool that clients share fairly."""

import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Callable

__all__ = ["FairThreadPool"]


class FairThreadPool:
    """At most `size` threads, started as they are needed. Clients take turns.

    A client may have as many threads at work as it leaves to the others.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._tasks: OrderedDict[str, deque[Callable[[], None]]] = OrderedDict()
        self._at_work: Counter[str] = Counter()
        self._threads = 0
        self._closed = False
        self._changed = threading.Condition()

    def submit(self, task: Callable[[], None], client: str) -> None:
        with self._changed:
            self._tasks.setdefault(client, deque()).append(task)
            if self._threads < self._size:
                self._threads += 1
                threading.Thread(target=self._run, name="resolver", daemon=True).start()
            self._changed.notify()

    def _run(self) -> None:
        while (found := self._next()) is not None:
            client, task = found
            try:
                task()
            finally:
                self._done(client)

    def _next(self) -> tuple[str, Callable[[], None]] | None:
        """Waits for a task; returns it with its client. None: the pool is closed."""
        with self._changed:
            while not self._closed:
                client = self._next_client()
                if client is not None:
                    self._at_work[client] += 1
                    return client, self._take(client)
                self._changed.wait()
        return None

    def _next_client(self) -> str | None:
        left = self._size - self._at_work.total()
        return next((client for client in self._tasks if self._at_work[client] < left), None)

    def _take(self, client: str) -> Callable[[], None]:
        tasks = self._tasks[client]
        task = tasks.popleft()
        if tasks:
            self._tasks.move_to_end(client)
        else:
            del self._tasks[client]
        return task

    def _done(self, client: str) -> None:
        with self._changed:
            self._at_work[client] -= 1
            if not self._at_work[client]:
                del self._at_work[client]
            # More than one thread may have a task now: the limit of every client has grown.
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
