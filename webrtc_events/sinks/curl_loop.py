"""Waits for libcurl's sockets and its timer, all at once."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import pycurl

from webrtc_events.core.clock import Clock
from webrtc_events.sinks.pollers import Poller, new_poller

__all__ = ["CurlLoop"]

_WAKE_READ = 4096
_AT_ONCE: Final = float("-inf")


class CurlLoop:
    """Waits for the sockets and the timer of one multi handle, and for `wake`.

    A socket that libcurl awaits no more is kept by the poller: most carry the next request soon, and then
    nothing has to be said. What comes on it meanwhile, as its end, takes it out. libcurl may close it
    unseen, and another socket get its number: before that `opening` is called.
    """

    def __init__(self, multi: Any, clock: Clock, poller: Poller | None = None) -> None:
        self._multi = multi
        self._monotonic = clock.monotonic
        self._poller = new_poller() if poller is None else poller
        self._timer_s: float | None = None
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        self._wake_lock = threading.Lock()
        self._closed = False
        self._wake_fd = self._wake_reader.fileno()
        self._poller.watch(self._wake_fd, pycurl.POLL_IN)
        # What each socket is awaited for, and what those are kept for that are not.
        self._awaited: dict[int, int] = {}
        self._kept: dict[int, int] = {}
        # What others wait for here, and whom to call.
        self._others: dict[int, Callable[[], None]] = {}
        multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)

    def step(self, timeout_s: float) -> None:
        """Waits at most `timeout_s` for anything to happen, and lets libcurl act."""
        # What the timer sets going may also be done at once, and then there is nothing to wait for.
        wait_s = 0.0 if self._fire_timer() else self._wait_s(timeout_s)
        for fd, events in self._poller.ready(wait_s):
            if fd in self._awaited:
                self._multi.socket_action(fd, events)
            elif fd == self._wake_fd:
                self._drain()
            elif (readable := self._others.get(fd)) is not None:
                readable()
            else:
                self._kept.pop(fd, None)
                self._poller.forget(fd)
        self._fire_timer()

    def opening(self) -> None:
        """libcurl is about to open a socket: its number may be that of one that it has closed."""
        self._kept.clear()

    def watch(self, fd: int, readable: Callable[[], None]) -> None:
        """Calls `readable` from `step` as long as the descriptor can be read; it is not one of libcurl's."""
        # libcurl may have closed a socket of this number.
        self._kept.pop(fd, None)
        self._others[fd] = readable
        self._poller.watch(fd, pycurl.POLL_IN)

    def forget(self, fd: int) -> None:
        """No more. Before the descriptor is closed; one that is not watched is none."""
        if self._others.pop(fd, None) is not None:
            self._poller.forget(fd)

    def _wait_s(self, timeout_s: float) -> float:
        if self._timer_s is None:
            return max(0.0, timeout_s)
        return max(0.0, min(timeout_s, self._timer_s - self._monotonic()))

    def _fire_timer(self) -> bool:
        if self._timer_s is None or self._monotonic() < self._timer_s:
            return False
        self._timer_s = None
        self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        return True

    def _on_timer(self, timeout_ms: int) -> None:
        if self._closed:
            return
        if timeout_ms > 0:
            self._timer_s = self._monotonic() + timeout_ms / 1000
        else:
            # At once, which most are; or never.
            self._timer_s = None if timeout_ms else _AT_ONCE

    def _on_socket(self, what: int, fd: int, _multi: Any, _data: Any) -> None:
        if self._closed:
            return
        if what in _AWAITED:
            known = self._awaited.get(fd) or self._kept.pop(fd, None)
            self._awaited[fd] = what
            if known != what:
                self._poller.watch(fd, what)
        elif (known := self._awaited.pop(fd, None)) is not None:
            self._kept[fd] = known

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
            self._poller.close()
            self._wake_reader.close()
            self._wake_writer.close()


_AWAITED: Final = frozenset({pycurl.POLL_IN, pycurl.POLL_OUT, pycurl.POLL_INOUT})
