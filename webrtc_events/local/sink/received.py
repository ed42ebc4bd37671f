"""One notification that the local sink received."""

from dataclasses import dataclass
from typing import Any

from webrtc_events.core.clock import format_time, parse_time
from webrtc_events.local.sink.behaviours import Answer, Misbehaviour

__all__ = ["Received"]


@dataclass(frozen=True, slots=True)
class Received:
    """One POST. `number` counts from 1; `fault` is None for a valid notification.

    `event` is the body when it is a JSON object. `repeated`: the same `id` came before. `answered` is the
    status of the answer, or what came in place of one.
    """

    number: int
    at_ms: int
    path: str
    correlator: str | None
    event: dict[str, Any] | None
    fault: str | None
    repeated: bool
    answered: Answer

    @property
    def type(self) -> str:
        """The last part of the event's type, such as `session-status`."""
        return str((self.event or {}).get("type", "?")).rpartition(".")[2]

    @property
    def data(self) -> dict[str, Any]:
        data = (self.event or {}).get("data")
        return data if isinstance(data, dict) else {}

    @property
    def state(self) -> str:
        """What the event says happened: a session's status, or why something ended."""
        return str(self.data.get("status") or self.data.get("terminationReason") or "")

    @property
    def time(self) -> str:
        return format_time(self.at_ms)

    @property
    def behaved(self) -> bool:
        """Whether a behaviour of the sink answered, and not its verdict."""
        return self.answered != (204 if self.fault is None else 400)

    @property
    def result(self) -> str:
        """Whether it is valid; its fault if it is not; what a behaviour answered."""
        word = "ok" if self.fault is None else f"INVALID: {self.fault}"
        notes = [
            *(["repeated"] if self.repeated else []),
            *([f"answered {self.answered}"] if self.behaved else []),
        ]
        return f"{word} ({', '.join(notes)})" if notes else word

    @classmethod
    def from_json(cls, item: dict[str, Any]) -> "Received":
        """The inverse of `as_json`."""
        return cls(
            number=item["number"],
            at_ms=parse_time(item["receivedAt"]),
            path=item["path"],
            correlator=item["xCorrelator"],
            event=item["event"],
            fault=item["fault"],
            repeated=item["repeated"],
            answered=_answer(item["answered"]),
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "receivedAt": self.time,
            "path": self.path,
            "xCorrelator": self.correlator,
            "event": self.event,
            "fault": self.fault,
            "repeated": self.repeated,
            "answered": self.answered,
        }


def _answer(given: int | str) -> Answer:
    return given if isinstance(given, int) else Misbehaviour(given)
