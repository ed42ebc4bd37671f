"""What a node of the store reports of itself. What it does not report stays unknown: nothing is guessed.

Sources: the documentation of INFO and CONFIG GET of Redis 7 and 8, and of Valkey 8 and 9. A Valkey server
gives `redis_version` too, the release that it is compatible with.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["CONFIG_NAMES", "NodeFacts", "SavePoint", "StoreClock", "node_facts", "store_clock"]

CONFIG_NAMES = (
    "appendonly",
    "appendfsync",
    "maxmemory",
    "maxmemory-policy",
    "no-appendfsync-on-rewrite",
    "save",
    "stop-writes-on-bgsave-error",
)
"""What is asked of CONFIG GET."""

# An answer that took longer says too little of the time.
_MAX_CLOCK_ERROR_S = 0.5

_VERSION = re.compile(r"([0-9]+)\.([0-9]+)")


@dataclass(frozen=True, slots=True)
class SavePoint:
    """A snapshot is made `seconds` after the last one, if at least `changes` were made."""

    seconds: int
    changes: int


@dataclass(frozen=True, slots=True)
class StoreClock:
    """By how much a node's wall clock is ahead of this host's; negative: behind. Give or take `error_s`."""

    ahead_s: float
    error_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """None is: not known. `refused` are the commands that the node does not permit.

    `fsync` is always, everysec or no. `syncs_in_rewrites`: also while the append-only file is rewritten.
    `save_points` is empty if no snapshots are made. `run_id` changes with each start of the server.
    `takes_marks`: those of marks.py.
    """

    address: str
    product: str | None = None
    version: str | None = None
    run_id: str | None = None
    loading: bool | None = None
    aof: bool | None = None
    aof_written: bool | None = None
    aof_rewritten: bool | None = None
    fsync: str | None = None
    syncs_in_rewrites: bool | None = None
    save_points: tuple[SavePoint, ...] | None = None
    snapshot_written: bool | None = None
    stops_without_snapshots: bool | None = None
    maxmemory: int | None = None
    policy: str | None = None
    clock: StoreClock | None = None
    takes_marks: bool | None = None
    refused: tuple[str, ...] = ()

    @property
    def release(self) -> tuple[int, int] | None:
        """Major and minor version."""
        match = _VERSION.match(self.version or "")
        return None if match is None else (int(match[1]), int(match[2]))


def node_facts(
    address: str, info: Mapping[str, Any] | None, config: Mapping[str, str] | None, clock: StoreClock | None
) -> NodeFacts:
    """Of the answers to INFO and to CONFIG GET, as redis-py reads them; None for one that is refused."""
    refused = [name for name, answer in (("INFO", info), ("CONFIG GET", config)) if answer is None]
    known, set_to = info or {}, config or {}
    save = set_to.get("save")
    maxmemory = known.get("maxmemory", set_to.get("maxmemory"))
    return NodeFacts(
        address=address,
        product=None if info is None else "Valkey" if _is_valkey(known) else "Redis",
        version=_text(known.get("valkey_version", known.get("redis_version"))),
        run_id=_text(known.get("run_id")),
        loading=_flag(known.get("loading")),
        aof=_flag(known.get("aof_enabled", set_to.get("appendonly"))),
        aof_written=_ok(known.get("aof_last_write_status")),
        aof_rewritten=_ok(known.get("aof_last_bgrewrite_status")),
        fsync=set_to.get("appendfsync"),
        syncs_in_rewrites=_not(_flag(set_to.get("no-appendfsync-on-rewrite"))),
        save_points=None if save is None else _save_points(save),
        snapshot_written=_ok(known.get("rdb_last_bgsave_status")),
        stops_without_snapshots=_flag(set_to.get("stop-writes-on-bgsave-error")),
        maxmemory=_number(maxmemory),
        policy=_text(known.get("maxmemory_policy", set_to.get("maxmemory-policy"))),
        clock=clock,
        refused=tuple(refused),
    )


def _is_valkey(info: Mapping[str, Any]) -> bool:
    return "valkey_version" in info or info.get("server_name") == "valkey"


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _flag(value: Any) -> bool | None:
    """INFO has 0 and 1, CONFIG has yes and no."""
    return {"1": True, "yes": True, "0": False, "no": False}.get(str(value))


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value


def _ok(value: Any) -> bool | None:
    return {"ok": True, "err": False}.get(str(value))


def _number(value: Any) -> int | None:
    """What is no number stays unknown."""
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() else None


def _save_points(text: str) -> tuple[SavePoint, ...] | None:
    """`3600 1 300 100`: pairs of seconds and changes."""
    numbers = [_number(part) for part in text.split()]
    known = [number for number in numbers if number is not None]
    if len(known) != len(numbers) or len(known) % 2:
        return None
    return tuple(SavePoint(*pair) for pair in zip(known[::2], known[1::2], strict=True))


def store_clock(time: Any, before: float, after: float) -> StoreClock | None:
    """By the answer to TIME: seconds and microseconds, asked between two moments of this host's clock."""
    error_s = abs(after - before) / 2
    if time is None or error_s > _MAX_CLOCK_ERROR_S:
        return None
    seconds, microseconds = time
    return StoreClock(seconds + microseconds / 1e6 - (before + after) / 2, error_s)
