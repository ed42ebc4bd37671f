"""Recorded calls: the network events of a call, as NDJSON in the package's data."""

import json
import uuid
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from webrtc_events.core.clock import format_time, parse_time

__all__ = [
    "Event",
    "load_recording",
    "played_anew",
    "recording_names",
    "recording_path",
    "registration_of",
]

Event = dict[str, Any]


def recording_names() -> tuple[str, ...]:
    """What `load_recording` takes, in alphabetical order."""
    calls = files("webrtc_events").joinpath("local", "calls")
    names = (entry.name for entry in calls.iterdir())
    return tuple(sorted(name.removesuffix(".ndjson") for name in names if name.endswith(".ndjson")))


def recording_path(name: str) -> Path:
    return Path(str(files("webrtc_events").joinpath("local", "calls", f"{name}.ndjson")))


def load_recording(name: str) -> list[Event]:
    """The events in the order in which they happened."""
    text = recording_path(name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def registration_of(name: str) -> str:
    """The registration that the call is for."""
    return str(load_recording(name)[0]["subject"])


def played_anew(events: Sequence[Event], now_ms: int) -> list[Event]:
    """The same call as if it had just happened: new ids of events, session and registration, and new times.

    The last event happened at `now_ms` (since the epoch); the others keep their distance.
    """
    run = uuid.uuid4().hex
    shift_ms = now_ms - max(parse_time(event["time"]) for event in events)
    return [_anew(event, run, shift_ms) for event in events]


def _anew(event: Event, run: str, shift_ms: int) -> Event:
    data = dict(event["data"])
    for name in ("mediaSessionId", "registrationId"):
        if name in data:
            data[name] = _renamed(data[name], run)
    fresh = event | {
        "id": str(uuid.uuid4()),
        "time": format_time(parse_time(event["time"]) + shift_ms),
        "data": data,
    }
    if "subject" in event:
        fresh["subject"] = _renamed(event["subject"], run)
    return fresh


def _renamed(name: str, run: str) -> str:
    """A new name of the same form; the same for the same old name."""
    return uuid.uuid5(uuid.UUID(run), name).hex
