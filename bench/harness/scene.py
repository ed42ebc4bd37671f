"""Everything but the contenders: a temporary folder, the store, the sink, the job."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sinks import certificates, free_ports, healthy_sinks

from harness.job import Job
from harness.store import BenchStore

__all__ = ["Scene", "scene"]


@dataclass(frozen=True)
class Scene:
    """`job_path` is the job as a file, for other programs; `sink` is what serves it."""

    folder: Path
    store: BenchStore
    job: Job
    job_path: Path
    sink: str

    def __str__(self) -> str:
        job = self.job
        return (
            f"Valkey {self.store.version}, appendfsync {self.store.fsync}; {job.targets} subscriptions, "
            f"{job.events} events of {len(job.notification(0, 1)):,} bytes to each; "
            f"sink: {self.sink}, TLS, HTTP/1.1, {len(job.urls)} host(s)"
        )


@contextmanager
def scene(
    *, fsync: str = "everysec", hosts: int = 1, targets: int = 200, events: int = 100
) -> Iterator[Scene]:
    """`events` to each of `targets`, whose sinks are on `hosts` ports; `fsync` is Valkey's appendfsync."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        store = stack.enter_context(BenchStore.running(folder, fsync))
        ca_file, certificate = certificates(folder)
        ports = free_ports(hosts)
        sink = stack.enter_context(healthy_sinks(folder, certificate, ports, http2=False))
        urls = tuple(f"https://127.0.0.1:{port}" for port in ports)
        posts = folder / "posts.ndjson"
        job = Job(str(store.socket), str(ca_file), str(posts), urls, targets, events)
        path = folder / "job.json"
        job.write(path)
        yield Scene(folder, store, job, path, sink)
