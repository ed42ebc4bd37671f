"""The same call several times, each time under other names."""

from collections.abc import Iterator, Sequence
from uuid import UUID, uuid5

from webrtc_events.core.clock import parse_time
from webrtc_events.core.model import EventType
from webrtc_events.local.recordings import Event, load_recording
from webrtc_events.local.simulation.compose import compose
from webrtc_events.local.simulation.request import SimulationRequest

__all__ = ["ALWAYS_THE_SAME", "CallCopies", "copies_of"]

ALWAYS_THE_SAME = UUID(int=0)
"""A `run` whose names depend on the call alone."""

_CORRELATORS = ("clientCorrelator", "serverCorrelator", "callObjectRef")


def copies_of(request: SimulationRequest, run: UUID) -> "CallCopies":
    """The calls that the request asks for. `run`: see `CallCopies`."""
    events = load_recording(request.call) if isinstance(request.call, str) else compose(request.call)
    return CallCopies(events, request, run)


class CallCopies:
    """Copies are numbered from 0. Nothing is kept of them: each event is made when it is asked for.

    `run` is another one for each simulation: the copies of one do not have the names of another's.
    """

    def __init__(self, events: Sequence[Event], request: SimulationRequest, run: UUID) -> None:
        played = [
            event for event in events if request.calls == 1 or event["type"] != EventType.REGISTRATION_ENDS
        ]
        self._events = sorted(played, key=_time)
        self._run = run
        self._session = request.session
        self._recorded_session = self._events[0]["data"]["mediaSessionId"]
        self._called = self._events[0]["subject"]
        self.registration: str = request.registration or self._called

    @property
    def offsets_s(self) -> list[float]:
        """When each event of a copy happens, in s since its first; never falling."""
        first = _time(self._events[0])
        return [(_time(event) - first) / 1000 for event in self._events]

    def session(self, copy: int) -> str:
        """The copy's mediaSessionId."""
        return self._session or uuid5(self._run, f"{copy} {self._recorded_session}").hex.upper()

    def call(self, copy: int) -> Iterator[Event]:
        """All events of a copy, in their order."""
        return (self.event(copy, index) for index in range(len(self._events)))

    def event(self, copy: int, index: int) -> Event:
        event = self._events[index]
        data = dict(event["data"])
        if "mediaSessionId" in data:
            data["mediaSessionId"] = self.session(copy)
        for name in _CORRELATORS:
            if name in data:
                value = str(uuid5(self._run, f"{copy} {name}"))
                data[name] = f"urn:uuid:{value}" if name == "callObjectRef" else value
        if data.get("registrationId") == self._called:
            data["registrationId"] = self.registration
        copied = event | {
            "id": str(uuid5(self._run, f"{copy} {event['source']} {event['id']}")),
            "data": data,
        }
        if copied.get("subject") == self._called:
            copied["subject"] = self.registration
        return copied


def _time(event: Event) -> int:
    return parse_time(event["time"])
