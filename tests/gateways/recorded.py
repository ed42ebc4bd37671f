"""Recorded runs of a real Kamailio: what its queue held, and what the adapter makes of it."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from webrtc_events.core.clock import Clock
from webrtc_events.core.log_limit import LineLimit
from webrtc_events.gateways.journal import Journal
from webrtc_events.gateways.kamailio.calls import Calls
from webrtc_events.gateways.kamailio.intake import Batch, Intake
from webrtc_events.gateways.kamailio.registrations import Registrations
from webrtc_events.gateways.network_requests import NetworkRequest, PublishEvent
from webrtc_events.gateways.ownership import Ownership, OwnershipRule

__all__ = ["CALLS", "RECORDS", "Recording", "events_of", "new_intake", "requests_of", "written"]

_DATA: Final = Path(__file__).parents[1] / "data"
CALLS: Final = _DATA / "calls"
"""Network events: kamailio-NAME.ndjson."""
RECORDS: Final = _DATA / "kamailio"
"""The records of Kamailio's queue: NAME.records."""
SOURCE: Final = "/kamailio"
_EVERYBODY: Final = Ownership((OwnershipRule(identity="sip:*@example.com", owner="softphone", id="{user}"),))


@dataclass(frozen=True, slots=True)
class Recording:
    """A run of Kamailio from its start."""

    boot: str
    records: tuple[bytes, ...]

    @classmethod
    def read(cls, file: Path) -> "Recording":
        boot, *lines = file.read_text(encoding="ascii").splitlines()
        return cls(boot, tuple(base64.b64decode(line) for line in lines))

    def write(self, file: Path) -> None:
        lines = [self.boot, *(base64.b64encode(record).decode() for record in self.records)]
        file.write_text("\n".join(lines) + "\n", encoding="ascii")

    def batch(self, first: int, last: int) -> Batch:
        """The records of these numbers, from 1."""
        numbered = list(enumerate(self.records, start=1))
        return Batch(self.boot, first, last, numbered[first - 1 : last])


def new_intake(journal: Journal, clock: Clock, ownership: Ownership = _EVERYBODY) -> Intake:
    lines = LineLimit(clock)
    calls, registrations = Calls(ownership, "example.com"), Registrations(ownership, 60_000, lines)
    return Intake(journal, calls, registrations, SOURCE, lines)


def requests_of(journal: Journal) -> list[NetworkRequest]:
    return [entry.request for entry in journal.head(10_000)]


def events_of(journal: Journal) -> list[dict[str, Any]]:
    """What waits for the service to be published, in order."""
    return [dict(request.event) for request in requests_of(journal) if isinstance(request, PublishEvent)]


def written(events: list[dict[str, Any]]) -> str:
    """As files of recorded calls are."""
    return "".join(json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n" for event in events)
