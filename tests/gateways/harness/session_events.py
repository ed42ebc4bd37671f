"""Events of media sessions, and a service that refuses some of them as a whole request."""

from collections.abc import Callable
from typing import Any

from tests.gateways.harness.answering_service import Service, accepted, answer
from tests.harness.sinks import Answer
from webrtc_events.core.model import EventType
from webrtc_events.gateways.network_requests import PublishEvent

__all__ = ["NO", "refusing", "status"]

NO = answer(400, {"status": 400, "code": "INVALID_ARGUMENT", "message": "it is not right"})


def status(session: str, number: int) -> PublishEvent:
    """The number-th event of a session; its id says both."""
    data = {"mediaSessionId": session, "status": "Busy", "sequenceNumber": number}
    kind = EventType.SESSION_STATUS.value
    return PublishEvent({"id": f"{session}-{number}", "source": "/x", "type": kind, "data": data})


def refusing(service: Service, is_bad: Callable[[str], bool], status: int = 403) -> list[str]:
    """A batch with an event whose id is bad is refused whole, by a proxy say. Returns what it takes."""
    taken: list[str] = []

    def decide(events: list[Any]) -> Answer:
        if not events:
            return NO
        if any(is_bad(event["id"]) for event in events):
            return Answer(status, (), b"<html>no</html>")
        taken.extend(event["id"] for event in events)
        return accepted(events)

    service.events = decide
    return taken
