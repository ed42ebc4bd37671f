"""How full the store is: the memory of the node that is nearest to its watermark."""

from dataclasses import dataclass

from webrtc_events.store.redis.scripts import Client, store_errors

__all__ = ["NodeMemory", "fullest_node"]


@dataclass(frozen=True, slots=True)
class NodeMemory:
    """Bytes that it uses, and its watermark; 0: it has no limit."""

    address: str
    used: int
    watermark: float


def fullest_node(client: Client, watermark: int) -> NodeMemory | None:
    """`watermark`: percent of maxmemory. None: the nodes may not say.

    Raises:
        Unavailable: no node can be reached.
    """
    with store_errors():
        answers = client.ask_each(("INFO", "memory"))
    nodes = [
        NodeMemory(address, info.get("used_memory", 0), info.get("maxmemory", 0) * watermark / 100)
        for address, (info,) in answers.items()
        if info
    ]
    return max(nodes, key=lambda node: (_share(node), node.used), default=None)


def _share(node: NodeMemory) -> float:
    return node.used / node.watermark if node.watermark else 0.0
