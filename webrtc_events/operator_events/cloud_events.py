"""The CloudEvents that operators are sent, valid by their contract."""

import os
import socket
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Final, NamedTuple

from webrtc_events.contract.documents import load_operator
from webrtc_events.core.ascii_json import ascii_json
from webrtc_events.core.clock import format_time
from webrtc_events.core.random_uuids import random_uuids
from webrtc_events.operator_events.conditions import Kind, Occurrence

__all__ = ["PREFIX", "OperatorEvents", "WrittenEvent", "check_event"]

PREFIX: Final = "org.webrtc-events.operator.v0."
"""Of every type."""

# Source: CloudEvents, documented extension Severity.
_INFO, _WARN, _ERROR = ("INFO", 9), ("WARN", 13), ("ERROR", 17)
_SEVERITY: Final[Mapping[Kind, tuple[str, int]]] = {
    Kind.CIRCUIT_OPENED: _WARN,
    Kind.FAILING: _ERROR,
    Kind.RECOVERED: _INFO,
    Kind.ENDED: _ERROR,
    Kind.LIMITED: _ERROR,
    Kind.RESUMED: _INFO,
    Kind.DEAD_LETTERS_HIGH: _ERROR,
    Kind.DEAD_LETTERS_NORMAL: _INFO,
    Kind.ABOVE_WATERMARK: _ERROR,
    Kind.BELOW_WATERMARK: _INFO,
    Kind.TEST: _INFO,
}
_VALIDATOR: Final = load_operator().validator("OperatorEvent")


def check_event(event: Any) -> None:
    """
    Raises:
        ValueError: it is no valid event for operators; says where.
    """
    fault = _VALIDATOR.first_fault(event)
    if fault is not None:
        raise ValueError(f"{fault.path}: {fault.message}")


class WrittenEvent(NamedTuple):
    """`text`: as it waits in the outbox, JSON in ASCII."""

    id: str
    text: str


class OperatorEvents:
    """Writes them for one process. `source`: of the installation. For one thread."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._ids = random_uuids()
        self._reporter = {
            "machine": socket.gethostname(),
            "pid": os.getpid(),
            "version": version("webrtc-events"),
        }

    def text(self, occurrence: Occurrence, now_ms: int) -> str:
        """See `written`."""
        return self.written(occurrence, now_ms).text

    def written(self, occurrence: Occurrence, now_ms: int) -> WrittenEvent:
        """The event, with an id that is the same for every attempt to deliver it.

        Raises:
            ValueError: it would not be valid, which is a bug.
        """
        severity, number = _SEVERITY[occurrence.kind]
        event_id = next(self._ids)
        event = {
            "id": event_id,
            "source": self._source,
            "specversion": "1.0",
            "type": PREFIX + occurrence.kind,
            "subject": occurrence.subject,
            "time": format_time(now_ms),
            "datacontenttype": "application/json",
            "severitytext": severity,
            "severitynumber": number,
            "data": {**occurrence.data, "reportedBy": self._reporter},
        }
        check_event(event)
        return WrittenEvent(event_id, ascii_json(event))
