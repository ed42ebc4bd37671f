"""For gunicorn: the application, which dies now and then when an event is half published.

That is, when the outboxes of its registration's subscriptions hold it, and those of its device's do not yet.
"""

import os
import random
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from webrtc_events import app
from webrtc_events.store.device_events import DeviceEvents

__all__ = ["DEATHS", "create_app"]

DEATHS = "CHAOS_DEATHS"
"""Names a file: a byte for each death."""
_MAX = 8
_SHARE = 0.2


def create_app() -> Any:
    deaths, draw = Path(os.environ[DEATHS]), random.Random(os.getpid())
    accept = DeviceEvents.accept

    def die_or_accept(events: DeviceEvents, of_devices: Sequence[Any]) -> Any:
        if deaths.stat().st_size < _MAX and draw.random() < _SHARE:
            with deaths.open("ab") as file:
                file.write(b"x")
            os.kill(os.getpid(), signal.SIGKILL)
        return accept(events, of_devices)

    DeviceEvents.accept = die_or_accept  # type: ignore[method-assign]
    return app.create_app()
