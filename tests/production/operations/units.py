"""The units of `deploy/`: read as systemd reads them, and run as it runs them."""

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.chaos.processes import Process, end_of
from tests.harness.documents import ROOT
from tests.production.operations.tools import adapted, tool
from webrtc_events.core.clock import SystemClock

__all__ = ["DEPLOY", "SCRIPTS", "Unit", "environment_file", "started"]

CLOCK = SystemClock()
DEPLOY = ROOT / "deploy"
SCRIPTS = Path(sys.executable).parent
INSTALLED = "/opt/webrtc-events/venv/bin"
_CONFINED = Path(__file__).with_name("confined.py")


class Unit:
    """A service's unit. Keys may come several times."""

    def __init__(self, path: Path) -> None:
        self.path = path
        lines = path.read_text().splitlines()
        assert not [line for line in lines if line.endswith("\\")], "continued lines are not read here"
        pairs = [line.partition("=") for line in lines if re.match(r"[A-Za-z]+=", line)]
        self._values = [(key, value) for key, _, value in pairs]

    def values(self, key: str) -> list[str]:
        return [value for name, value in self._values if name == key]

    def value(self, key: str) -> str:
        (found,) = self.values(key)
        return found

    def settings(self) -> Mapping[str, str]:
        """Those of its keys that come once."""
        names = [name for name, _ in self._values]
        return {name: value for name, value in self._values if names.count(name) == 1}

    def seconds(self, key: str) -> float:
        return float(self.value(key))

    def command(self) -> list[str]:
        """What it executes, from where this Python is."""
        return shlex.split(adapted(self.value("ExecStart"), {INSTALLED: str(SCRIPTS)}))

    def environ(self, settings: Path) -> dict[str, str]:
        """Its own variables, and those of `settings` in the place of its file, which has the last word."""
        assert self.value("EnvironmentFile") == "/etc/webrtc-events/settings.env"
        own = dict(assignment.split("=", 1) for assignment in self.values("Environment"))
        return own | environment_file(settings)


def environment_file(path: Path) -> dict[str, str]:
    """Source: systemd.exec(5), EnvironmentFile; values without quotes."""
    lines = [line for line in path.read_text().splitlines() if line and line[0] not in "#;"]
    pairs = [(line.partition("=")[0], line.partition("=")[2]) for line in lines]
    for name, value in pairs:
        assert re.fullmatch(r"[A-Z_]+", name), name
        assert not set(value) & set("'\"\\ $`"), value
    return dict(pairs)


@contextmanager
def started(
    unit: Unit,
    directory: Path,
    settings: Path,
    *,
    confined: bool = False,
    more: Mapping[str, str] | None = None,
) -> Iterator[Process]:
    """The process of a unit, once it has reported itself ready; at the end it is stopped as the unit says.

    `confined`: with the system calls, address families and memory that the unit leaves it. `more` are
    further variables.
    """
    assert unit.value("Type") == "notify"
    command = unit.command()
    if confined:
        command = [*_confinement(unit, directory), *command]
    name = unit.path.stem.rstrip("@")
    with _notified() as (notify, address):
        environ = unit.environ(settings) | {"NOTIFY_SOCKET": address} | dict(more or {})
        process = Process(name, directory, environ, command)
        process.start()
        try:
            _await_ready(notify, process)
            yield process
            process.terminate(unit.seconds("TimeoutStopSec"))
        finally:
            process.kill_all()


@contextmanager
def _notified() -> Iterator[tuple[socket.socket, str]]:
    """A service manager's socket; its path must be short."""
    folder = tempfile.mkdtemp()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
            listening.bind(f"{folder}/notify")
            listening.settimeout(0.1)
            yield listening, f"{folder}/notify"
    finally:
        shutil.rmtree(folder)


def _await_ready(notify: socket.socket, process: Process) -> None:
    deadline = CLOCK.monotonic() + 60
    while CLOCK.monotonic() < deadline:
        try:
            if b"READY=1" in notify.recv(4096):
                return
        except TimeoutError:
            assert process.running, end_of(process.log)
    raise TimeoutError(f"{process.name} is not ready: {end_of(process.log)}")


def _confinement(unit: Unit, directory: Path) -> list[str]:
    """A command that runs another with what the unit leaves it."""
    kernel = tuple(map(int, os.uname().release.split(".")[:2])) if sys.platform == "linux" else (0, 0)
    if kernel < (6, 3):
        pytest.skip("needs Linux 6.3 or later: PR_SET_MDWE")
    for key in ("MemoryDenyWriteExecute", "NoNewPrivileges"):
        assert unit.value(key) == "yes"
    families = [getattr(socket, name).value for name in unit.value("RestrictAddressFamilies").split()]
    calls = directory / "system-calls"
    calls.write_text("\n".join(_system_calls(unit.value("SystemCallFilter"))))
    numbers = ",".join(str(family) for family in families)
    return [sys.executable, "-I", "-S", str(_CONFINED), str(calls), numbers]


def _system_calls(group: str) -> list[str]:
    """Those of a group, as this machine's systemd has them."""
    command = [tool("systemd", "systemd-analyze"), "syscall-filter", "--no-pager"]
    shown = subprocess.run(command, env=os.environ | {"SYSTEMD_COLORS": "0"}, capture_output=True, check=True)
    members: dict[str, list[str]] = {}
    for line in shown.stdout.decode().splitlines():
        if line.startswith("@"):
            group_members = members.setdefault(line.strip(), [])
        elif line.startswith("    ") and not line.lstrip().startswith("#"):
            group_members.append(line.strip())

    def flat(name: str) -> Iterator[str]:
        for member in members[name]:
            if member.startswith("@"):
                yield from flat(member)
            else:
                yield member

    return sorted(set(flat(group)))
