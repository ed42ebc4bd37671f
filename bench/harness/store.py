"""The store of a measurement: Valkey with its append-only file, and what it counts."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import redis

from webrtc_events.core.clock import SystemClock
from webrtc_events.local.stack.valkey import Valkey

__all__ = ["BenchStore", "StoreCounters"]


@dataclass(frozen=True)
class StoreCounters:
    """What the store has done since its start.

    `commands` includes those that scripts ran; `round_trips` is how often it read from a connection.
    """

    cpu_s: float
    commands: int
    scripts: int
    round_trips: int

    def since(self, before: "StoreCounters") -> "StoreCounters":
        return StoreCounters(
            self.cpu_s - before.cpu_s,
            self.commands - before.commands,
            self.scripts - before.scripts,
            self.round_trips - before.round_trips,
        )


class BenchStore:
    """A running Valkey on a Unix socket, for one benchmark."""

    def __init__(self, valkey: Valkey, fsync: str) -> None:
        self.fsync = fsync
        self.url = valkey.url
        self.socket = Path(unquote(urlsplit(valkey.url).path))
        self.client = redis.Redis.from_url(valkey.url, decode_responses=True)

    @classmethod
    @contextmanager
    def running(
        cls, folder: Path, fsync: str = "everysec", server: Path | None = None
    ) -> "Iterator[BenchStore]":
        """`fsync` is Valkey's appendfsync: everysec or always. `server`: another than the embedded one."""
        valkey = Valkey(folder, SystemClock(), server)
        valkey.start()
        try:
            valkey.wait_ready()
            store = cls(valkey, fsync)
            store.client.config_set("appendfsync", fsync)
            # A rewrite of the file forks, in the middle of some round and not of others.
            store.client.config_set("auto-aof-rewrite-percentage", "0")
            yield store
            store.client.close()
        finally:
            valkey.stop()

    def empty(self) -> None:
        """Removes everything, from the append-only file too."""
        self.client.flushall()
        self.client.bgrewriteaof()
        while any(self.client.info("persistence")[f"aof_rewrite_{state}"] for state in _REWRITE_STATES):
            time.sleep(0.02)

    def counters(self) -> StoreCounters:
        everything = self.client.info("everything")
        calls = {
            name.removeprefix("cmdstat_"): statistics["calls"]
            for name, statistics in everything.items()
            if name.startswith("cmdstat_")
        }
        return StoreCounters(
            cpu_s=everything["used_cpu_user"] + everything["used_cpu_sys"],
            commands=sum(calls.values()),
            scripts=calls.get("evalsha", 0) + calls.get("fcall", 0),
            round_trips=everything["total_reads_processed"],
        )

    def outboxes(self) -> int:
        """How many subscriptions still have something to deliver."""
        return sum(1 for _ in self.client.scan_iter("*:outbox:*", count=1000))

    @property
    def version(self) -> str:
        """With its allocator, on which half of its CPU may depend: libc, or jemalloc and which."""
        server, memory = self.client.info("server"), self.client.info("memory")
        return f"{server.get('valkey_version', server['redis_version'])}, {memory['mem_allocator']}"


_REWRITE_STATES = ("in_progress", "scheduled")
