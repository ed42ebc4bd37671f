"""Network events: each is appended to the outbox of every subscription that it matches."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from webrtc_events.core.model import NetworkEvent
from webrtc_events.store.appends import AppendOptions, AppendResult, append_events, append_step
from webrtc_events.store.connection import Connection
from webrtc_events.store.device_events import DeviceEvents, Heard
from webrtc_events.store.event_runs import in_one_run
from webrtc_events.store.keys import Partition, partition_of
from webrtc_events.store.redis.scripts import SlotsFound
from webrtc_events.store.script_steps import ScriptStep
from webrtc_events.store.session_index import SessionIndex
from webrtc_events.store.session_states import SessionStates

__all__ = ["NetworkEvents"]


class NetworkEvents:
    """Every method may raise `errors.Unavailable`: some outbox may lack some event. The same call again
    completes it, and changes nothing else.
    """

    def __init__(
        self,
        connection: Connection,
        session_states: SessionStates,
        session_index: SessionIndex,
        options: AppendOptions,
    ) -> None:
        self._connection = connection
        self._session_states = session_states
        self._session_index = session_index
        self._options = options
        self.devices = DeviceEvents(connection, self.append)

    def accept(self, events: Sequence[NetworkEvent]) -> list[AppendResult]:
        """One result for each event, in order, once every matching outbox holds it.

        An event is new unless every partition that it may match has seen it before. First those of their
        registrations get the events, then those of their devices: these answers are needed for that.
        """
        records = self._are_recorded_as_appended(events)
        routes, has_devices = self._routes(events if records else self._with_involved(events))
        batches: dict[int, list[NetworkEvent]] = defaultdict(list)
        for event, partitions in routes:
            for partition in partitions:
                batches[partition.number].append(event)
        try:
            appended = self.append(batches, records=records)
        except SlotsFound:
            return self.accept(events)
        answers = {number: iter(results) for number, results in appended.items()}
        results = [
            _combined(event, [next(answers[partition.number]) for partition in partitions])
            for event, partitions in routes
        ]
        if not has_devices and all(result.device is None for result in results):
            return results
        return self._with_devices(routes, results)

    def goes_in_step(self, event: NetworkEvent) -> bool:
        """Whether `step` can accept it, together with others that `in_one_step` lets in."""
        has_slots = self._connection.client.nodes.has_slots
        return event.registration is not None and not self._options.replicas and not has_slots

    def in_one_step(self, events: Iterable[NetworkEvent]) -> list[bool]:
        """Of the first of these, all of which `goes_in_step`, whether each is accepted by the next step."""
        return in_one_run(events, lambda event: self._partition_of(event).number)

    def step(self, events: Sequence[NetworkEvent]) -> ScriptStep[list[AppendResult | None]]:
        """Accepts these in one round trip.

        A result None: the event is not done with, and is to be given to `accept`. With one that has a
        `device` it is to go to `complete`.

        Raises:
            Unavailable: nothing is taken at the moment.
        """
        self._connection.guard.check()
        batches: dict[int, list[int]] = defaultdict(list)
        for place, event in enumerate(events):
            batches[self._partition_of(event).number].append(place)
        appending = append_step(
            self._connection.scripts,
            self._options,
            {number: [events[place] for place in places] for number, places in batches.items()},
            self._connection.report_damaged,
            self._connection.given_up.report,
        )

        def in_order(appended: Mapping[int, Sequence[AppendResult]]) -> list[AppendResult | None]:
            results: list[AppendResult | None] = [None] * len(events)
            for number, done in appended.items():
                # Of those that come first in a partition.
                for place, result in zip(batches[number], done, strict=False):
                    results[place] = result
            return results

        return appending.mapped(in_order)

    def complete(self, event: NetworkEvent, result: AppendResult) -> AppendResult:
        """The result of an event of a step, once subscriptions to its registration's device have it too."""
        return self._with_devices([(event, [self._partition_of(event)])], [result])[0]

    def _partition_of(self, event: NetworkEvent) -> Partition:
        """Of one that names its registration."""
        return partition_of(event.registration or "", self._connection.partition_count)

    def _with_devices(
        self, routes: Sequence[tuple[NetworkEvent, list[Partition]]], results: Sequence[AppendResult]
    ) -> list[AppendResult]:
        """The results, once subscriptions to devices have the events too."""
        events = [event for event, _ in routes]
        involved = self.devices.registered(
            registration for event in events if event.registration is None for registration in event.involved
        )
        heard: list[Heard] = [
            {name: involved[name] for name in event.involved if name in involved}
            if event.registration is None
            else {event.registration: result.device}
            if result.device is not None
            else {}
            for event, result in zip(events, results, strict=True)
        ]
        of_devices = self.devices.accept(list(zip(events, heard, strict=True)))
        return [
            result
            if not of_event
            else replace(
                result,
                # Where no other partition is asked, those of devices alone know whether it is new.
                new=also.new or (result.new and bool(partitions)),
                subscriptions=result.subscriptions + also.subscriptions,
            )
            for (_, partitions), result, of_event, also in zip(
                routes, results, heard, of_devices, strict=True
            )
        ]

    def append(
        self, batches: Mapping[int, Sequence[NetworkEvent]], *, records: bool = False
    ) -> dict[int, list[AppendResult]]:
        """Appends events to every matching outbox: for each partition number, in order.

        Returns once all hold their events, on as many replicas as `ack_replicas` asks for. `records`: see
        `append_events`.
        """
        self._connection.guard.check()
        return append_events(
            self._connection.scripts,
            self._options,
            batches,
            self._connection.report_damaged,
            report_given_up=self._connection.given_up.report,
            records=records,
        )

    def _are_recorded_as_appended(self, events: Sequence[NetworkEvent]) -> bool:
        """Whether the runs that append the events may also record what they say of their sessions.

        Each session is of one partition then: so its states are recorded in the order of the events.
        """
        if self._connection.client.nodes.has_slots:
            return False
        partitions: dict[str, int] = {}
        for event in events:
            if event.registration is None:
                return False
            number = self._partition_of(event).number
            if event.session is not None and partitions.setdefault(event.session, number) != number:
                return False
        return True

    def _with_involved(self, events: Sequence[NetworkEvent]) -> list[NetworkEvent]:
        """The events, each that names no registration with those that its session is then known to involve.

        State is written before anything is appended, so that a subscription made meanwhile finds the event in
        one of the two places.
        """
        of_sessions = [event for event in events if event.session is not None]
        known = iter(self._session_states.record(of_sessions))
        return [event if event.session is None else replace(event, involved=next(known)) for event in events]

    def _routes(
        self, events: Sequence[NetworkEvent]
    ) -> tuple[list[tuple[NetworkEvent, list[Partition]]], bool]:
        """Where each event may match: its registration's partition, or all that know its session.

        Also whether there may be subscriptions to devices for one that names no registration.
        """
        sessions = [event.session or "" for event in events if event.registration is None]
        partitions, has_devices = self._session_index.routes_of(sessions)
        found = dict(zip(sessions, partitions, strict=True))
        routes = [
            (event, found[event.session or ""])
            if event.registration is None
            else (event, [self._partition_of(event)])
            for event in events
        ]
        return routes, has_devices


def _combined(event: NetworkEvent, results: Sequence[AppendResult]) -> AppendResult:
    """What the partitions of its registration, or of its session, did with one event."""
    if event.registration is not None:
        return results[0]
    return AppendResult(
        new=not results or any(result.new for result in results),
        subscriptions=sum(result.subscriptions for result in results),
        names_nobody=not event.involved,
    )
