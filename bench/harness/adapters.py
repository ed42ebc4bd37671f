"""An adapter beside a gateway, as an operator starts it, and what it counts."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
from sinks import free_ports

from harness.contenders import Release
from harness.processes import await_port, cpu_s, resident_bytes, started

__all__ = ["Adapter", "adapter"]

_READY_S = 60.0
_LOOK_EVERY_S = 0.1
_BOUND_S = 600.0


@dataclass(frozen=True)
class Adapter:
    """`metrics` is where it is scraped."""

    pid: int
    metrics: str

    @property
    def cpu_s(self) -> float:
        return cpu_s(self.pid)

    @property
    def resident_mb(self) -> float:
        return resident_bytes(self.pid) / 1e6

    def count(self, name: str) -> float:
        """Of a metric with its labels, as Prometheus writes it."""
        for line in requests.get(self.metrics, timeout=30).text.splitlines():
            found, _, value = line.rpartition(" ")
            if found == f"webrtc_events_gateway_{name}":
                return float(value)
        return 0.0

    @property
    def published(self) -> int:
        return int(self.count('requests_total{outcome="published"}'))

    def await_all(self, taken: int) -> float:
        """Until it has taken so many of the gateway, and nothing waits; the moment, monotonic.

        Raises:
            RuntimeError: that does not come.
        """
        until_s = time.monotonic() + _BOUND_S
        while time.monotonic() < until_s:
            records = self.count('records_total{outcome="taken"}')
            if records >= taken and self.count("queue_requests") == 0:
                return time.monotonic()
            time.sleep(_LOOK_EVERY_S)
        raise RuntimeError(f"the adapter's queue is not empty after {_BOUND_S:.0f} s")


@contextmanager
def adapter(
    release: Release, kind: str, queue: Path, service: str, issuer: str, options: Sequence[str]
) -> Iterator[Adapter]:
    (port,) = free_ports(1)
    command = (
        *(release.python, "-P", "-m", "webrtc_events.cli", "gateway", kind, "--queue", str(queue)),
        *("--service", service, "--issuer", issuer, "--owner", "softphone"),
        *("--metrics-address", f"127.0.0.1:{port}", *options),
    )
    log = queue.with_suffix(".log")
    with started(command, {"PYTHONPATH": str(release.folder)}, log) as process:
        await_port(port, _READY_S)
        yield Adapter(process.pid, f"http://127.0.0.1:{port}/metrics")
