"""Waits for libcurl's sockets and its timer, all at once."""

import selectors
import socket
import threading
from contextlib import suppress
from typing import Any, Final

import pycurl

from webrtc_events.core.clock import Clock

__all__ = ["CurlLoop"]

_WAKE_READ = 4096


class CurlLoop:
    """Waits for the sockets and the timer of one multi handle, and for `wake`."""

    def __init__(self, multi: Any, clock: Clock) -> None:
        self._multi = multi
        self._clock = clock
        self._selector = selectors.DefaultSelector()
        self._timer_s: float | None = None
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        self._wake_lock = threading.Lock()
        self._closed = False
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        self._wake_fd = self._wake_reader.fileno()
        self._watched: dict[int, int] = {}
        multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)

    def step(self, timeout_s: float) -> None:
        """Waits at most `timeout_s` for anything to happen, and lets libcurl act."""
        # What the timer sets going may also be done at once, and then there is nothing to wait for.
        wait_s = 0.0 if self._fire_timer() else self._wait_s(timeout_s)
        for key, events in self._selector.select(wait_s):
            if key.fd == self._wake_fd:
                self._drain()
            elif key.fd in self._watched:
                self._multi.socket_action(key.fd, _TO_CURL[events])
        self._fire_timer()

    def _wait_s(self, timeout_s: float) -> float:
        if self._timer_s is None:
            return max(0.0, timeout_s)
        return max(0.0, min(timeout_s, self._timer_s - self._clock.monotonic()))

    def _fire_timer(self) -> bool:
        if self._timer_s is None or self._clock.monotonic() < self._timer_s:
            return False
        self._timer_s = None
        self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        return True

    def _on_timer(self, timeout_ms: int) -> None:
        if self._closed:
            return
        self._timer_s = None if timeout_ms < 0 else self._clock.monotonic() + timeout_ms / 1000

    def _on_socket(self, what: int, fd: int, _multi: Any, _data: Any) -> None:
        if self._closed:
            return
        wanted = _FROM_CURL.get(what, 0)
        watched = self._watched.pop(fd, 0)
        if wanted:
            self._watched[fd] = wanted
        if wanted == watched:
            return
        if not watched:
            self._selector.register(fd, wanted)
        elif not wanted:
            self._selector.unregister(fd)
        else:
            self._selector.modify(fd, wanted)

    def _drain(self) -> None:
        with suppress(BlockingIOError):
            while len(self._wake_reader.recv(_WAKE_READ)) == _WAKE_READ:
                pass

    def wake(self) -> None:
        with self._wake_lock:
            if not self._closed:
                # A full buffer means that the wake-up is on its way already.
                with suppress(BlockingIOError):
                    self._wake_writer.send(b"\0")

    def close(self) -> None:
        with self._wake_lock:
            self._closed = True
            self._selector.close()
            self._wake_reader.close()
            self._wake_writer.close()


_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_FROM_CURL: Final[dict[int, int]] = {
    pycurl.POLL_IN: _READ,
    pycurl.POLL_OUT: _WRITE,
    pycurl.POLL_INOUT: _READ | _WRITE,
}
_TO_CURL: Final[dict[int, int]] = {
    _READ: pycurl.CSELECT_IN,
    _WRITE: pycurl.CSELECT_OUT,
    _READ | _WRITE: pycurl.CSELECT_IN | pycurl.CSELECT_OUT,
}
