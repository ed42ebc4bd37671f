"""How far a simulation is."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from webrtc_events.core.clock import format_time
from webrtc_events.local.simulation.request import SimulationRequest

__all__ = ["Progress", "State"]


class State(StrEnum):
    """`STOPPING`: it was asked to stop, and awaits the answer to what it has sent.

    `FINISHED`: every event was sent. `FAILED`: it gave up, and `message` says why.
    """

    RUNNING = "running"
    STOPPING = "stopping"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def over(self) -> bool:
        return self in {State.FINISHED, State.STOPPED, State.FAILED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A moment of a simulation.

    Of the `events` that it is to send, `accepted` and `failed` have their answer; `notifications` counts what
    subscribers get. `elapsed_s` and `behind_s` are seconds since its start, and how late the event is that is
    sent now. `message` is the latest error, empty without one. `registration` is the one that is called,
    `sessions` are the mediaSessionIds of the calls that were started last, newest first, 20 at most.
    """

    id: str
    request: SimulationRequest
    state: State
    started_at_ms: int
    elapsed_s: float
    behind_s: float
    calls_started: int
    events: int
    accepted: int
    failed: int
    notifications: int
    message: str
    registration: str
    sessions: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "request": dict(self.request.as_form()),
            "state": self.state,
            "startedAt": format_time(self.started_at_ms),
            "elapsedSeconds": round(self.elapsed_s, 3),
            "behindSeconds": round(self.behind_s, 3),
            "calls": self.request.calls,
            "callsStarted": self.calls_started,
            "events": self.events,
            "accepted": self.accepted,
            "failed": self.failed,
            "notifications": self.notifications,
            "message": self.message,
            "registration": self.registration,
            "sessions": list(self.sessions),
        }
