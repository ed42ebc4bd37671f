"""What `serve` says when it is ready: where things are, and commands to paste."""

import json
import shlex
import shutil
import sys
from importlib.metadata import version
from pathlib import Path

from webrtc_events.local.endpoints import Endpoints
from webrtc_events.local.files import default_data_directory
from webrtc_events.local.recording import recording_path, registration_of
from webrtc_events.model import EventType

__all__ = ["banner"]


def banner(endpoints: Endpoints, data: Path, ca: Path, store: str) -> str:
    """`store` says where the store is, without credentials."""
    command = _command()
    options = "" if data == default_data_directory() else f" --data-dir {shlex.quote(str(data))}"
    recording = recording_path("answered")
    lines = [
        f"webrtc-events {version('webrtc-events')} is ready.",
        "",
        f"  API           {endpoints.public}",
        f"  Swagger UI    {endpoints.public}/ui/",
        f"  gateway side  {endpoints.network}",
        f"  issuer        {endpoints.issuer or 'as set by WEBRTC_EVENTS_OPENID_CONFIGURATION_URL'}",
        f"  sink          {endpoints.sink}/",
        f"  CA of it      {ca}",
        f"  store         {store}",
        f"  data          {data}",
        "",
    ]
    if endpoints.issuer is not None:
        lines += [
            "Subscribe to incoming calls, then play a recorded one:",
            "",
            f"  TOKEN=$({command} token{options})",
            "  curl -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' \\",
            f"    -d {shlex.quote(_subscription(endpoints, registration_of('answered')))} \\",
            f"    {endpoints.public}/subscriptions",
            f"  {command} publish{options} {shlex.quote(str(recording))}",
            "",
            f"The whole of it at once: {command} demo{options}",
        ]
    return "\n".join([*lines, "Ctrl-C stops everything in order.", ""])


def _subscription(endpoints: Endpoints, registration: str) -> str:
    return json.dumps(
        {
            "protocol": "HTTP",
            "sink": f"{endpoints.sink}/first",
            "types": [EventType.SESSION_INVITATION],
            "config": {"subscriptionDetail": {"registrationId": registration}},
        }
    )


def _command() -> str:
    """As the person can type it: by name when it is on the path, else by the path it was started with."""
    started = Path(sys.argv[0])
    found = shutil.which("webrtc-events")
    if found is not None and started.name == "webrtc-events" and Path(found).resolve() == started.resolve():
        return "webrtc-events"
    if started.name == "webrtc-events":
        return shlex.quote(_relative(started.resolve()))
    return f"{shlex.quote(sys.executable)} -m webrtc_events.cli"


def _relative(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
