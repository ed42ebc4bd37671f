"""What is to be said of the time that a certificate has left."""

from datetime import UTC, datetime, timedelta
from typing import Final

from webrtc_events.cli.doctor.findings import Area, Finding, error, fine, warning
from webrtc_events.core.clock import Clock

__all__ = ["expiry_finding"]

_SOON: Final = timedelta(days=14)


def expiry_finding(area: Area, whose: str, until: datetime, clock: Clock) -> Finding:
    left = until - datetime.fromtimestamp(clock.now(), UTC)
    day = f"{until:%Y-%m-%d %H:%M} UTC"
    if left <= timedelta(0):
        return error(area, f"{whose} expired at {day}", "Whoever it belongs to has to renew it.")
    text = f"{whose} expires in {left.days} days, at {day}"
    return warning(area, text, "It has to be renewed by then.") if left < _SOON else fine(area, text)
