"""The queue of an adapter with very many requests, measured in a program of its own."""

import json
from dataclasses import dataclass
from pathlib import Path

from harness.contenders import Release, script_of
from harness.processes import clean_environ, run_logged, tail

__all__ = ["Queue", "play_queue"]

_BOUND_S = 600.0


@dataclass(frozen=True)
class Queue:
    """Of so many requests: times in s, but to read in ms; sizes of the file with its log in MB."""

    requests: int
    append_s: float
    read_ms: float
    send_s: float
    full_mb: float
    sent_mb: float
    tidied_mb: float


def play_queue(release: Release, folder: Path, count: int) -> Queue:
    log = folder / "queues.log"
    environ = clean_environ({"PYTHONPATH": str(release.folder)})
    command = (release.python, "-P", str(script_of(release, "long_queue.py")), str(count), str(folder))
    run_logged(command, environ, None, log, _BOUND_S, "the queue cannot be measured")
    return Queue(**json.loads(tail(log).splitlines()[-1]))
