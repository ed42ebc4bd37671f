"""What each node of the store says of itself: its load, and what is wrong with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from webrtc_events.core.clock import Clock
from webrtc_events.store.durability.findings import Bearing, Finding, find
from webrtc_events.store.durability.node_facts import CONFIG_NAMES, NodeFacts, node_facts, store_clock
from webrtc_events.store.redis.scripts import Client, store_errors

__all__ = ["NodeStatus", "StoreStatus", "read_status"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """None: the node does not say. `facts`: see node_facts.py. `role`: as it says, `master` or `slave`.

    `used_bytes`: of its memory. `watermark_bytes`: above this nothing more is accepted; None: there is no
    limit. `rewriting`: its append-only file is being rewritten. `commands_per_s`: lately. `up_s`: since it
    was started.
    """

    facts: NodeFacts
    role: str | None
    replicas: int | None
    used_bytes: int | None
    watermark_bytes: int | None
    rewriting: bool | None
    clients: int | None
    commands_per_s: int | None
    up_s: int | None

    @property
    def above_watermark(self) -> bool:
        return bool(self.watermark_bytes and (self.used_bytes or 0) > self.watermark_bytes)


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """Of the nodes that answer. `silent`: addresses of those that do not. `findings`: what is wrong."""

    nodes: Sequence[NodeStatus]
    silent: Sequence[str]
    findings: Sequence[Finding]


def read_status(client: Client, watermark: int, clock: Clock | None = None) -> StoreStatus:
    """`watermark`: percent of a node's maxmemory above which nothing more is accepted.

    With `clock`, this host's, clocks of nodes are compared too.

    Raises:
        Unavailable: no node answers.
    """
    before = clock.now() if clock else 0.0
    with store_errors():
        answers = client.ask_each(("INFO",), ("CONFIG GET", *CONFIG_NAMES), ("TIME",))
        addresses = client.addresses()
    after = clock.now() if clock else 0.0
    nodes = [
        _status(
            node_facts(address, info, config, store_clock(time, before, after) if clock else None),
            info or {},
            watermark,
        )
        for address, (info, config, time) in answers.items()
    ]
    findings = [
        finding for finding in find([node.facts for node in nodes]) if finding.bearing is not Bearing.NOTE
    ]
    return StoreStatus(nodes, [address for address in addresses if address not in answers], findings)


def _status(facts: NodeFacts, info: Mapping[str, Any], watermark: int) -> NodeStatus:
    """Source: the documentation of INFO, of Redis 7 and Valkey 8."""
    return NodeStatus(
        facts=facts,
        role=info.get("role"),
        replicas=info.get("connected_slaves"),
        used_bytes=info.get("used_memory"),
        watermark_bytes=facts.maxmemory * watermark // 100 if facts.maxmemory else None,
        rewriting=None if "aof_rewrite_in_progress" not in info else bool(info["aof_rewrite_in_progress"]),
        clients=info.get("connected_clients"),
        commands_per_s=info.get("instantaneous_ops_per_sec"),
        up_s=info.get("uptime_in_seconds"),
    )
