"""What tests of operators' commands share: commands on the private store, and many subscriptions."""

import json
import os
import pty
from collections.abc import Callable, Mapping
from typing import Any

import redis

from tests.harness.commands import COMMAND, clean_environ
from webrtc_events.core.model import EventType
from webrtc_events.store.keys import client_key, new_subscription_id, partition_of

__all__ = ["HOSTILE", "fill", "in_terminal", "lines_of"]

HOSTILE = "a\x1b[2Jb\nc\u202ed"
"""Clears a screen, breaks a line, turns the direction of text."""


def lines_of(output: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def fill(raw_store: "redis.Redis", count: int, *, client: str = "many") -> list[str]:
    """That many subscriptions as `create` makes them, in a hundredth of the time; their ids."""
    pipe = raw_store.pipeline(transaction=False)
    made = []
    for number in range(count):
        registration = f"registration-{number}"
        partition = partition_of(registration, 64)
        made.append(new_subscription_id(partition))
        sink = f"https://host-{number % 9}.example/{number}"
        record = {
            "format": 1,
            "status": "ACTIVE",
            "type": EventType.SESSION_INVITATION,
            "registration": registration,
            "session": "",
            "client": client,
            "subject": "",
            "sink": sink,
            "headers": "{}",
            "starts_at": 1_773_133_200_000 + number,
            "expires_at": "",
            "max_events": "",
            "contract": "v0.2",
            **dict.fromkeys(("appended", "number", "fence", "lease_until", "attempts", "drop_before"), 0),
            "request": json.dumps(
                {"protocol": "HTTP", "sink": sink, "types": [EventType.SESSION_INVITATION]}
            ),
        }
        pipe.hset(partition.subscription(made[-1]), mapping=record)
        pipe.zadd(client_key(client), {made[-1]: (1_773_133_200 + number) / 2**20})
        if number % 2_000 == 1_999:
            pipe.execute()
    pipe.execute()
    return made


def in_terminal(environ: Mapping[str, str], *arguments: str, columns: int = 80) -> str:
    """What a command prints on a terminal that is so wide, both streams."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ.clear()
        os.environ.update(clean_environ() | environ | {"COLUMNS": str(columns), "TERM": "xterm"})
        os.execv(COMMAND[0], [*COMMAND, *arguments])  # noqa: S606 - our own program
    found = b""
    # Linux answers EIO when the other side has closed it.
    while piece := _read(terminal):
        found += piece
    os.close(terminal)
    os.waitpid(child, 0)
    return found.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:
        return b""


Command = Callable[..., Any]
