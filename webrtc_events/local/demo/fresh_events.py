"""Makes recorded network events happen now: new ids, the current time, the rest as it was."""

import uuid
from typing import Any

import jsonschema_rs

from webrtc_events.core.clock import Clock, format_time, parse_time

__all__ = ["FreshEvents"]

# Source: network-events.yaml, NetworkEvent.id and .time.
_CAN_BE_RENEWED = jsonschema_rs.Draft202012Validator(
    {
        "type": "object",
        "required": ["id", "time"],
        "properties": {
            "id": {"type": "string", "minLength": 1, "maxLength": 256},
            "time": {"type": "string", "format": "date-time"},
        },
    },
    validate_formats=True,
)


class FreshEvents:
    """One run of a recording of any length: it stores nothing of the events that it renewed.

    Registrations and sessions keep their names, since subscriptions name them. So a session that was
    played before is played again, and the service knows its latest status: what happens anew must be
    later than all that happened in earlier runs. That is why an event's time is the moment of `renew`,
    and the distances between recorded times are not kept.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._run = uuid.uuid4()
        self._last_us = 0

    def renew(self, event: Any) -> Any:
        """The event with a new id and the current time, later than the event before.

        Events with one source and id get one new id, so that what was repeated in the recording is
        still a repeat. What has no valid id or time stays as it is, for the service to refuse.
        """
        if not _CAN_BE_RENEWED.is_valid(event) or not _in_range(event["time"]):
            return event
        new_id = uuid.uuid5(self._run, f"{event.get('source')} {event['id']}")
        return event | {"id": str(new_id), "time": self._time()}

    def _time(self) -> str:
        """To the microsecond: many events are renewed within a millisecond."""
        self._last_us = max(round(self._clock.now() * 1_000_000), self._last_us + 1)
        ms, us = divmod(self._last_us, 1000)
        return f"{format_time(ms).removesuffix('Z')}{us:03}Z"


def _in_range(time: str) -> bool:
    try:
        parse_time(time)
    except ValueError:
        return False
    return True
