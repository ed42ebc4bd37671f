"""Processes of the release before this one, from its wheel, and of this one, side by side."""

import copy
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.processes import Process
from tests.chaos.service import APP, GUNICORN_CONF, Service
from tests.harness.valkeys import _free_port as free_port

__all__ = ["Release", "previous", "this"]

_WHEELS = Path(__file__).parents[1] / "data" / "releases"


@dataclass(frozen=True)
class Release:
    """`code` is the folder with its packages, None for those under test."""

    name: str
    code: Path | None
    gunicorn_conf: str = GUNICORN_CONF

    def start_worker(self, service: Service) -> Process:
        worker = service.run(f"worker-{self.name}", *self.python("-m", "webrtc_events.cli", "worker"))
        worker.wait_output("Delivering.")
        return worker

    def start_api(self, service: Service) -> tuple[Process, Service]:
        """On the service's port, which it shares, and on one of its own: the service as asked there."""
        own = copy.copy(service)
        own._port = free_port()
        binds = [part for each in (service, own) for part in ("-b", each.url.removeprefix("http://"))]
        options = ["-c", self.gunicorn_conf, "--reuse-port", "--access-logfile", "-", *binds]
        api = service.run(f"api-{self.name}", *self.python("-m", "gunicorn", *options, APP))
        api.wait_output("Application startup complete")
        return api, own

    def python(self, *arguments: str) -> tuple[str, ...]:
        """A command that runs its code, if it is not given in a folder with other code."""
        path = () if self.code is None else ("/usr/bin/env", f"PYTHONPATH={self.code}")
        return (*path, sys.executable, *arguments)


def previous(directory: Path) -> Release:
    """The latest release that there is a wheel of, unpacked into `directory`."""
    wheels = {tuple(map(int, path.name.split("-")[1].split("."))): path for path in _WHEELS.glob("*.whl")}
    with zipfile.ZipFile(wheels[max(wheels)]) as archive:
        archive.extractall(directory)
    # 0.1.0 had it beside the package.
    return Release("previous", directory, str(_WHEELS / "gunicorn.conf.py"))


def this() -> Release:
    return Release("this", None)
