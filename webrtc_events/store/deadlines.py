"""How long an event of each type may wait for its sink."""

from collections.abc import Mapping
from dataclasses import dataclass

from webrtc_events.core.model import EventType
from webrtc_events.core.settings import Settings

__all__ = ["Deadlines"]


@dataclass(frozen=True, slots=True)
class Deadlines:
    """In ms, from the moment at which the event was accepted."""

    ms: Mapping[EventType, int]

    @classmethod
    def of(cls, settings: Settings) -> "Deadlines":
        return cls({event_type: settings.deadline_ms(event_type) for event_type in EventType})
