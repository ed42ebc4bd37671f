"""Latencies at a steady rate: a peer's way from enqueue to receipt, and HTTP requests that do not wait."""

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import pycurl
from sinks import arrivals_file, forget_arrivals

from harness.arrivals import Arrivals
from harness.contenders import Contender
from harness.http_load import Connection, Request, finished
from harness.processes import clean_environ, run_logged, started
from harness.scene import Scene

__all__ = ["Latencies", "peer_latencies", "request_at_rate", "until_received"]

_TIMEOUT_S = 300.0
_WARM_UP = 20
_WARM_UP_PER_S = 20
# What begins in the first second is not counted: connections are made then.
_SKIPPED_S = 1.0
# The sink's moments are cut to the ms.
_CUT_MS = 0.5


@dataclass(frozen=True)
class Latencies:
    """In ms; `per_s` is how many were done a second."""

    per_s: float
    p50: float
    p99: float

    @classmethod
    def of(cls, pairs: Iterable[tuple[float, float]], cut_ms: float = 0.0) -> "Latencies":
        """From pairs of begin and end, in s."""
        ordered = sorted(pairs)
        counted = [pair for pair in ordered if pair[0] >= ordered[0][0] + _SKIPPED_S] or ordered
        took = sorted((end - begin) * 1000 + cut_ms for begin, end in counted)
        span_s = max(end for _, end in counted) - counted[0][0]
        return cls(len(counted) / span_s, took[len(took) // 2], took[int(len(took) * 0.99)])


def until_received(sent: Mapping[str, float], scene: Scene, others: int = 0) -> Latencies:
    """Waits for everything that was sent, by the ids of its events, and for as many others."""
    arrivals = Arrivals(arrivals_file(scene.folder))
    arrivals.wait(len(sent) + others, _TIMEOUT_S)
    received: dict[str, float] = {}
    for moment, event in arrivals.all():
        received.setdefault(event, moment)
    return Latencies.of(((begin, received[event]) for event, begin in sent.items()), _CUT_MS)


def peer_latencies(peer: Contender, scene: Scene, rate: float, count: int) -> Latencies:
    """From before a peer's enqueue to the receipt at the sink."""
    scene.store.empty()
    with started(peer.work, peer.environ, scene.folder / "worker.log", peer.cwd):
        _enqueue(peer, scene, _WARM_UP_PER_S, _WARM_UP)
        Arrivals(arrivals_file(scene.folder)).wait(_WARM_UP, _TIMEOUT_S)
        moments = _enqueue(peer, scene, rate, count)
        targets = scene.job.targets
        sent = {
            f"target-{place % targets}.{place // targets + 1}": moment for place, moment in enumerate(moments)
        }
        return until_received(sent, scene)


def _enqueue(peer: Contender, scene: Scene, rate: float, count: int) -> list[float]:
    forget_arrivals(scene.folder)
    path, log = scene.folder / "sent.json", scene.folder / "pace.log"
    asked = {"BENCH_RATE": str(rate), "BENCH_COUNT": str(count), "BENCH_SENT": str(path)}
    environ = clean_environ({**peer.environ, **asked})
    run_logged(peer.pace, environ, peer.cwd, log, _TIMEOUT_S, f"{peer.name} cannot enqueue")
    sent: list[float] = json.loads(path.read_text())
    return sent


def request_at_rate(requests: Iterator[Request], rate: float, count: int) -> list[tuple[float, float]]:
    """Begin and end of each request, in s since the epoch. None waits for an answer to another."""
    multi = pycurl.CurlMulti()
    multi.setopt(pycurl.M_MAXCONNECTS, 1024)
    idle: list[Connection] = []
    busy: dict[pycurl.Curl, tuple[int, Connection]] = {}
    begun: list[float] = []
    ended: dict[int, float] = {}
    started_s = time.monotonic()
    while len(ended) < count:
        while len(begun) < count and time.monotonic() >= started_s + len(begun) / rate:
            # The one that was used last, whose connection is open.
            connection = idle.pop() if idle else Connection()
            connection.start(next(requests))
            busy[connection.curl] = len(begun), connection
            begun.append(time.time())
            multi.add_handle(connection.curl)
            multi.perform()
        multi.perform()
        for curl in finished(multi):
            multi.remove_handle(curl)
            place, connection = busy.pop(curl)
            ended[place] = time.time()
            connection.finish()
            idle.append(connection)
        due_s = started_s + len(begun) / rate - time.monotonic() if len(begun) < count else 1.0
        if due_s > 0 and busy:
            multi.select(min(due_s, 1.0))
        elif due_s > 0:
            # With nothing under way `select` does not wait: it would take a core from whom it measures.
            time.sleep(due_s)
    return [(begin, ended[place]) for place, begin in enumerate(begun)]
