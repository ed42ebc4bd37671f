"""Pages that are loaded beside a `serve` that is ready: only who asks for them waits for them."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

from webrtc_events.core.errors import NotFound

__all__ = ["LatePages"]


class LatePages:
    """An ASGI application that `make` gives, once: for `load`, or for who asks first, in a thread.

    What `make` gives to its stack is closed by `close`.
    """

    def __init__(self, make: Callable[[ExitStack], Any]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._stack = ExitStack()
        self._pages: Any = None
        self._fault: Exception | None = None
        self._closed = False
        # Whoever waits here keeps none of the loop's own threads from others.
        self._waiting = ThreadPoolExecutor(1, "late pages")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        loop = asyncio.get_running_loop()
        pages = self._pages or await loop.run_in_executor(self._waiting, self._loaded)
        await pages(scope, receive, send)

    def load(self) -> None:
        """Loads what is not loaded yet. Whether it could, `check` says."""
        with self._lock:
            if self._closed or self._pages is not None or self._fault is not None:
                return
            try:
                self._pages = self._make(self._stack)
            except Exception as error:  # noqa: BLE001 (whatever it is, `check` raises it)
                self._fault = error

    def check(self) -> None:
        """Raises what kept the pages from being loaded, if anything did."""
        if self._fault is not None:
            raise self._fault

    def close(self) -> None:
        """Nothing is loaded from here on; what is being loaded is awaited."""
        with self._lock:
            self._closed = True
            self._stack.close()

    def _loaded(self) -> Any:
        self.load()
        self.check()
        if self._pages is None:
            # It stops, and takes its last requests.
            raise NotFound
        return self._pages
