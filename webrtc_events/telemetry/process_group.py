"""The processes of one parent, which are scraped at one address: of gunicorn, or `worker --processes N`."""

import logging
import socket
from dataclasses import dataclass
from typing import Final

from webrtc_events.core.setting_values import HostPort
from webrtc_events.core.start_faults import CannotStart
from webrtc_events.telemetry.listener import listen
from webrtc_events.telemetry.slots import MAX_SLOTS, Slots

__all__ = ["Place", "ProcessGroup", "inherit", "inherited"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Of a process in its group: the slot that it writes to. `listener`: where it listens, with others; None:
    its parent does.
    """

    slots: Slots
    number: int
    listener: socket.socket | None = None


class ProcessGroup:
    """Of the parent. What children of it have counted stays after their end, and goes with the parent's."""

    def __init__(self, slots: Slots, listener: socket.socket) -> None:
        self.slots = slots
        self.listener = listener
        self._taken: set[int] = set()

    @classmethod
    def open(cls, address: HostPort, *, shares: bool = False) -> "ProcessGroup":
        """`shares`: see `listen`.

        Raises:
            CannotStart: it cannot listen there, or there is no room for what its processes say.
        """
        listener = listen(address, shares=shares)
        try:
            return cls(Slots.make(), listener)
        except OSError as error:
            listener.close()
            raise CannotStart(f"there is no room for metrics: {error.strerror or error}") from error

    def take(self) -> int | None:
        """The slot of a process that is about to start; None: there are too many."""
        free = next((number for number in range(MAX_SLOTS) if number not in self._taken), None)
        if free is None:
            log.warning("a process is in no metrics: more than %d run", MAX_SLOTS)
        else:
            self._taken.add(free)
        return free

    def note_end(self, number: int) -> None:
        """The process with this slot has ended."""
        self._taken.discard(number)
        try:
            self.slots.note_end(number)
        except OSError as error:
            log.warning("the metrics of a process that ended are not up to date: %s", error)

    def close(self) -> None:
        """Its processes have ended."""
        self.listener.close()
        self.slots.close()


_INHERITED: Final[list[Place]] = []


def inherit(place: Place) -> None:
    """This process has that place. Whoever composes its parts is called without arguments by gunicorn."""
    _INHERITED[:] = [place]


def inherited() -> Place | None:
    return _INHERITED[0] if _INHERITED else None
