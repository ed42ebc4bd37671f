"""Ends of registrations that time has ended, brought to the subscriptions to their devices."""

import json
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from webrtc_events.core.errors import NewerRelease, Unavailable
from webrtc_events.core.model import EventType, NetworkEvent
from webrtc_events.store.appends import RegisteredDevice
from webrtc_events.store.connection import Connection
from webrtc_events.store.device_events import DeviceEvents
from webrtc_events.store.device_marks import DeviceMarks
from webrtc_events.store.keys import Partition, partition_of
from webrtc_events.store.redis.scripts import store_errors

__all__ = ["DeviceEnds"]

# No source of a network event is written so: it is a URI.
_SOURCE = "registration expired"


@dataclass(frozen=True, slots=True)
class _Note:
    """What a step that ended a registration left: `name` in `key`, at that moment."""

    key: str
    name: str
    moment_ms: int
    registration: str
    registered: RegisteredDevice
    end: str


class DeviceEnds:
    """For one thread at a time."""

    def __init__(self, connection: Connection, events: DeviceEvents, marks: DeviceMarks) -> None:
        self._connection = connection
        self._events = events
        self._marks = marks

    def settle(self, notes: Mapping[int, Sequence[tuple[str, str]]]) -> int:
        """Appends what these notes say, by partition and in the order of the ends, and removes them.

        Returns how many. What cannot be reached is left for the next sweep, and keeps nothing from others.
        Where some part of the store has lost what makes it leave notes, it has it again.
        """
        by_home: dict[int, list[_Note]] = defaultdict(list)
        for number, of_partition in notes.items():
            for note in self._read(Partition(number), of_partition):
                home = partition_of(note.registered.device, self._connection.partition_count)
                by_home[home.number].append(note)
        homes = list(by_home.values())
        # A store that does not answer is not waited for once for each of them. Next time others come first.
        random.shuffle(homes)
        settled = 0
        with suppress(Unavailable):
            for of_home in homes:
                with suppress(NewerRelease):
                    self._append(sorted(of_home, key=lambda note: note.moment_ms))
                    settled += len(of_home)
        with suppress(Unavailable):
            self._marks.restore()
        return settled

    def _append(self, notes: Sequence[_Note]) -> None:
        self._events.accept([(_event(note), {note.registration: note.registered}) for note in notes])
        with store_errors():
            pipe = self._connection.client.pipeline()
            for note in notes:
                pipe.hdel(note.key, note.name)
            pipe.execute()

    def _read(self, partition: Partition, notes: Sequence[tuple[str, str]]) -> list[_Note]:
        """Source: lua/sweep.lua. One that cannot be read is removed, and the log says so."""
        found = []
        for name, text in notes:
            try:
                moment, _, registration = name.partition(" ")
                of = json.loads(text)
                device = RegisteredDevice(of["device"].lower(), of["owner"], of["subject"])
                found.append(
                    _Note(partition.device_ends, name, int(moment), registration, device, str(of["end"]))
                )
            except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
                why = (
                    f"a note for the device of a registration that ended was dropped: {type(error).__name__}"
                )
                self._connection.damage.report(partition.device_ends, why)
                with store_errors():
                    self._connection.client.hdel(partition.device_ends, name)
        return found


def _event(note: _Note) -> NetworkEvent:
    return NetworkEvent(
        id=note.name,
        source=_SOURCE,
        type=EventType.REGISTRATION_ENDS,
        registration=note.registration,
        session=None,
        time_ms=note.moment_ms,
        numbered=True,
        last=False,
        payload=note.end,
    )
