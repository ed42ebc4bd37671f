"""What tests of operators' commands share: what they print, and how they look on a terminal."""

import json
import os
import pty
from collections.abc import Callable, Mapping
from typing import Any

from tests.harness.commands import COMMAND, clean_environ

__all__ = ["HOSTILE", "in_terminal", "lines_of"]

HOSTILE = "a\x1b[2Jb\nc\u202ed"
"""Clears a screen, breaks a line, turns the direction of text."""


def lines_of(output: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


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
