"""Events for subscriptions to devices, once the partitions of their registrations hold them."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from webrtc_events.core.errors import NewerRelease
from webrtc_events.core.model import DeviceAudience, NetworkEvent
from webrtc_events.store.appends import AppendResult, RegisteredDevice
from webrtc_events.store.connection import Connection
from webrtc_events.store.formats import FORMAT
from webrtc_events.store.keys import partition_of
from webrtc_events.store.outbox_entries import payload_with_registrations
from webrtc_events.store.redis.scripts import answers_of, store_errors

__all__ = ["DeviceEvents", "Heard"]

Heard = Mapping[str, RegisteredDevice]
"""Whose subscriptions to devices an event is for, by the registrations that it concerns."""

_Append = Callable[[Mapping[int, Sequence[NetworkEvent]]], Mapping[int, Sequence[AppendResult]]]
_FIELDS: Final = ("device", "owner", "subject", "format")


class DeviceEvents:
    """Every method may raise `errors.Unavailable`.

    `append` appends events of partitions, in order (`NetworkEvents.append`). An event has a name for each
    device and owner there, so a repeat completes what is lacking, and a subscription gets it once, however
    many registrations of its device it concerns.
    """

    def __init__(self, connection: Connection, append: _Append) -> None:
        self._connection = connection
        self._append = append

    def accept(self, events: Sequence[tuple[NetworkEvent, Heard]]) -> list[AppendResult]:
        """One result for each, in order; of one that nobody hears it says that it was seen before."""
        batches: dict[int, list[NetworkEvent]] = defaultdict(list)
        numbers: list[list[int]] = []
        for event, heard in events:
            copies = list(_for_devices(event, heard))
            numbers.append([self._number(copy) for copy in copies])
            for number, copy in zip(numbers[-1], copies, strict=True):
                batches[number].append(copy)
        answers = {number: iter(results) for number, results in self._append(batches).items()}
        return [_sum([next(answers[number]) for number in of_event]) for of_event in numbers]

    def registered(self, registrations: Iterable[str]) -> dict[str, RegisteredDevice]:
        """Of those of these registrations that are known. One whose record is damaged is as good as unknown.

        Raises:
            NewerRelease: a newer release wrote one of them.
        """
        names = sorted(set(registrations))
        keys = [
            partition_of(name, self._connection.partition_count).registration_record(name) for name in names
        ]
        with store_errors():
            pipe = self._connection.client.pipeline()
            for key in keys:
                pipe.hmget(key, _FIELDS)
            answers = answers_of(pipe) if keys else []
        found = {}
        for name, key, fields in zip(names, keys, answers, strict=True):
            device = self._read(key, fields)
            if device is not None:
                found[name] = device
        return found

    def _read(self, key: str, fields: Sequence[str | None] | Exception) -> RegisteredDevice | None:
        if isinstance(fields, Exception):
            self._connection.damage.report(key, "it is a key of another type")
            return None
        device, owner, subject, text = fields
        if text is not None and text.isdecimal() and int(text) > FORMAT:
            raise NewerRelease
        if device is None or owner is None:
            if any(value is not None for value in fields):
                self._connection.damage.report(key, "it lacks its device or its owner")
            return None
        return RegisteredDevice(device.lower(), owner, subject or "")

    def _number(self, copy: NetworkEvent) -> int:
        device = "" if copy.audience is None else copy.audience.device
        return partition_of(device, self._connection.partition_count).number


def _for_devices(event: NetworkEvent, heard: Heard) -> Iterable[NetworkEvent]:
    """The event for the subscriptions of each owner to each device, which may have several registrations."""
    concerned: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for registration, registered in heard.items():
        concerned[registered.device, registered.owner][registration] = registered.subject
    for (device, owner), subjects in concerned.items():
        yield replace(
            event,
            audience=DeviceAudience(device, owner, tuple(sorted(set(subjects.values())))),
            payload=payload_with_registrations(event.payload, sorted(subjects)),
        )


def _sum(results: Sequence[AppendResult]) -> AppendResult:
    return AppendResult(
        any(result.new for result in results), sum(result.subscriptions for result in results)
    )
