"""Processes of the release before this one, built from the history, and of this one, side by side."""

import copy
import io
import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.chaos.processes import Process
from tests.chaos.service import APP, GUNICORN_CONF, Service
from tests.harness.valkeys import free_port

__all__ = ["Release", "build_wheel", "delivered", "previous", "this"]

_RELEASES = Path(__file__).parents[1] / "data" / "releases"
_ROOT = Path(__file__).parents[2]


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
        """On the service's port, which it shares, and on another: the service as asked on the other port."""
        own = copy.copy(service)
        own._port = free_port()
        binds = [part for process in (service, own) for part in ("-b", process.url.removeprefix("http://"))]
        options = ["-c", self.gunicorn_conf, "--reuse-port", "--access-logfile", "-", *binds]
        api = service.run(f"api-{self.name}", *self.python("-m", "gunicorn", *options, APP))
        api.wait_output("Application startup complete")
        return api, own

    def python(self, *arguments: str) -> tuple[str, ...]:
        """A command that runs its code, if it is not given in a folder with other code."""
        path = () if self.code is None else ("/usr/bin/env", f"PYTHONPATH={self.code}")
        return (*path, sys.executable, *arguments)


def build_wheel(directory: Path) -> Path:
    """The wheel of the release before this one, built in `directory` from the commit that former.toml names.

    Skips the test where the history is not at hand, as in a shallow clone or an sdist. With continuous
    integration, which sets CI, it fails instead: there the history must be.
    """
    former = tomllib.loads((_RELEASES / "former.toml").read_text("utf-8"))
    archive = subprocess.run(["git", "-C", str(_ROOT), "archive", former["commit"]], capture_output=True)
    if archive.returncode != 0:
        missing = (
            f"the tree of {former['version']} is not in the history ({archive.stderr.decode().strip()}); "
            "in a shallow clone run: git fetch --unshallow"
        )
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    tree = directory / "tree"
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(tree, filter="data")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory)]
    subprocess.run(build, cwd=tree, check=True, capture_output=True, timeout=120)
    (wheel,) = directory.glob("*.whl")
    assert wheel.name.split("-")[1] == former["version"]
    return wheel


def previous(wheel: Path, directory: Path) -> Release:
    """The release before this one, its `wheel` unpacked into `directory`."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(directory)  # noqa: S202 (a wheel that is built here)
    # 0.1.0 had it beside the package.
    return Release("previous", directory, str(_RELEASES / "gunicorn.conf.py"))


def this() -> Release:
    return Release("this", None)


def delivered(worker: Process) -> set[str]:
    """The subscriptions of which it delivered an event, by its log."""
    lines = [line for line in worker.log.read_text().splitlines() if "outcome=delivered" in line]
    return {line.partition("event=")[2].partition(".")[0] for line in lines}
