"""Which sockets are ready: epoll itself where there is one, else what Python's selectors find.

Both speak of sockets as libcurl does: `pycurl.POLL_*` for what is awaited, `pycurl.CSELECT_*` for what came.
"""

import select
import selectors
import sys
from collections.abc import Iterable
from typing import Final, Protocol

import pycurl

__all__ = ["EpollPoller", "Poller", "SelectorPoller", "new_poller"]

_IN, _OUT = pycurl.CSELECT_IN, pycurl.CSELECT_OUT


class Poller(Protocol):
    """Waits for several descriptors at once, level-triggered."""

    def watch(self, fd: int, awaited: int) -> None:
        """From now on for this; a descriptor that is watched already changes what it is watched for."""

    def forget(self, fd: int) -> None:
        """No more. One that is not watched, or is closed by now, is none."""

    def ready(self, timeout_s: float) -> Iterable[tuple[int, int]]:
        """Descriptors, each with what came, as soon as there are any, or none after `timeout_s`."""

    def close(self) -> None: ...


def new_poller() -> Poller:
    """The fastest that this system has."""
    return EpollPoller() if sys.platform == "linux" else SelectorPoller()


class EpollPoller:
    """epoll without Python's selectors in front of it, which cost more than epoll does."""

    def __init__(self) -> None:
        self._epoll = select.epoll()

    def watch(self, fd: int, awaited: int) -> None:
        mask = _EPOLL_MASKS[awaited]
        try:
            self._epoll.register(fd, mask)
        except FileExistsError:
            self._epoll.modify(fd, mask)

    def forget(self, fd: int) -> None:
        try:
            self._epoll.unregister(fd)
        except OSError:
            # Closed, which took it out.
            return

    def ready(self, timeout_s: float) -> Iterable[tuple[int, int]]:
        return [(fd, _FROM_EPOLL[events & _EPOLL_ALL]) for fd, events in self._epoll.poll(timeout_s)]

    def close(self) -> None:
        self._epoll.close()


class SelectorPoller:
    """For every system that Python runs on."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def watch(self, fd: int, awaited: int) -> None:
        # Forgotten first: it may be another socket than the one that had this number before.
        self.forget(fd)
        self._selector.register(fd, _SELECTOR_MASKS[awaited])

    def forget(self, fd: int) -> None:
        try:
            self._selector.unregister(fd)
        except (KeyError, OSError):
            return

    def ready(self, timeout_s: float) -> Iterable[tuple[int, int]]:
        return [(key.fd, _FROM_SELECTOR[events]) for key, events in self._selector.select(timeout_s)]

    def close(self) -> None:
        self._selector.close()


_SELECTOR_MASKS: Final = {
    pycurl.POLL_IN: selectors.EVENT_READ,
    pycurl.POLL_OUT: selectors.EVENT_WRITE,
    pycurl.POLL_INOUT: selectors.EVENT_READ | selectors.EVENT_WRITE,
}
_FROM_SELECTOR: Final = {
    selectors.EVENT_READ: _IN,
    selectors.EVENT_WRITE: _OUT,
    selectors.EVENT_READ | selectors.EVENT_WRITE: _IN | _OUT,
}
if sys.platform == "linux":
    _EPOLL_MASKS: Final = {
        pycurl.POLL_IN: select.EPOLLIN,
        pycurl.POLL_OUT: select.EPOLLOUT,
        pycurl.POLL_INOUT: select.EPOLLIN | select.EPOLLOUT,
    }
    _BROKEN: Final = select.EPOLLERR | select.EPOLLHUP
    _EPOLL_ALL: Final = select.EPOLLIN | select.EPOLLOUT | _BROKEN
    # A connection that broke is ready for all: libcurl finds out by reading or writing.
    _FROM_EPOLL: Final = tuple(
        (_IN if events & (select.EPOLLIN | _BROKEN) else 0)
        | (_OUT if events & (select.EPOLLOUT | _BROKEN) else 0)
        for events in range(_EPOLL_ALL + 1)
    )
