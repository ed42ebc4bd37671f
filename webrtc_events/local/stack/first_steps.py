"""The first steps of a newcomer, as commands to paste into a terminal."""

import json
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from webrtc_events.core.model import EventType
from webrtc_events.local.data_directory import default_data_directory
from webrtc_events.local.recordings import recording_path, registration_of
from webrtc_events.local.stack.local_stack import LocalStack

__all__ = ["Step", "demo_command", "first_steps"]

# An answered call after which the registration goes on, and so do subscriptions to it.
_RECORDING = "hold-resume"
_NEWEST_ID = shlex.quote('import json, sys; print(json.load(sys.stdin)[-1]["id"])')


@dataclass(frozen=True, slots=True)
class Step:
    """`says` tells what the command does and what it shows."""

    says: str
    command: str


def first_steps(stack: LocalStack) -> list[Step]:
    """Subscribe, publish, list, delete. The first step sets the shell variables that the others use."""
    authorization = f"Authorization: Bearer $({_command('token', stack)})"
    publish = f"{_command('publish', stack)} {shlex.quote(str(recording_path(_RECORDING)))}"
    return [
        Step(
            "Get an access token from the local issuer. It is valid for an hour.",
            f'API={stack.endpoints.public}/subscriptions\nAUTH="{authorization}"',
        ),
        Step(
            "Subscribe to the incoming calls of a registration. The answer is the subscription.",
            "curl -sS $API -H \"$AUTH\" -H 'Content-Type: application/json' -w '\\n' -d "
            + shlex.quote(_subscription(stack)),
        ),
        Step("Play a recorded call, as a gateway would. Its invitation arrives in the inbox.", publish),
        Step(
            "List your subscriptions. The newest is ACTIVE.",
            'curl -sS $API -H "$AUTH" | python3 -m json.tool',
        ),
        Step(
            "Delete it. The answer is 204, and subscription-ended arrives in the inbox.",
            f'ID=$(curl -sS $API -H "$AUTH" | python3 -c {_NEWEST_ID})\n'
            "curl -sS -X DELETE $API/$ID -H \"$AUTH\" -w '%{http_code}\\n'",
        ),
    ]


def demo_command(stack: LocalStack) -> str:
    return _command("demo", stack)


def _subscription(stack: LocalStack) -> str:
    request = {
        "protocol": "HTTP",
        "sink": f"{stack.endpoints.sink}/first",
        "types": [EventType.SESSION_INVITATION],
        "config": {"subscriptionDetail": {"registrationId": registration_of(_RECORDING)}},
    }
    members = ",\n".join(f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in request.items())
    return f"{{\n{members}\n}}"


def _command(command: str, stack: LocalStack) -> str:
    """A command of this package as a person can type it."""
    options = "" if stack.data == default_data_directory() else f" --data-dir {shlex.quote(str(stack.data))}"
    return f"{_program()} {command}{options}"


def _program() -> str:
    """By name if it is on the path, else by the path that started it."""
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
