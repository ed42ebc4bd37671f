"""Who drains: the service, of this or another release, and its peers."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.job import Job

__all__ = ["Contender", "service", "service_environ"]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


@dataclass(frozen=True)
class Contender:
    """`fill` and `work` are commands that get the path of the job as their last argument.

    `fill` is empty where `work` makes what it posts. `ordered`: it promises the order of a target's events.
    """

    name: str
    work: Sequence[str]
    fill: Sequence[str] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    ordered: bool = False
    takes_job: bool = True


def service(
    name: str, job: Job, folder: Path = ROOT, python: str = sys.executable, options: Sequence[str] = ()
) -> Contender:
    """One `webrtc-events worker` of the checkout in `folder`, with the libraries of `python`."""
    return Contender(
        name=name,
        work=(python, "-P", "-m", "webrtc_events.cli", "worker", *options),
        fill=(python, "-P", str(HERE / "fill.py")),
        environ=service_environ(job) | {"PYTHONPATH": str(folder)},
        ordered=True,
        takes_job=False,
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
