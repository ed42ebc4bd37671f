"""Ports for programs that bind them later, or again and again."""

import itertools
import os
import random
import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Final

__all__ = ["MEDIA_PORTS", "free_port"]

MEDIA_PORTS: Final = "20000-32000"
"""For Janus. Like those of `free_port` below what the system gives to whoever connects (from 32768 on)."""

_FIRST: Final = 10_000
# Of each process of pytest: a port that one has found, and not bound yet, is nothing for another.
_COUNT: Final = 1_000


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """One that is given to nobody else here, and that no connection can get by chance meanwhile."""
    for _ in range(_COUNT):
        with closing(socket.socket(socket.AF_INET, kind)) as probe:
            port = next(_PORTS)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError(f"all {_COUNT} ports from {_FIRST} on are taken")


def _ports() -> Iterator[int]:
    # "gw3" under xdist.
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    first = _FIRST + _COUNT * (int(worker) % 10)
    # Another run of tests on this machine begins elsewhere.
    return itertools.islice(itertools.cycle(range(first, first + _COUNT)), random.randrange(_COUNT), None)


_PORTS: Final = _ports()
