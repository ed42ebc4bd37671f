"""How durable a node of the store is, by what it reports of itself.

The rule (docs/decisions/0010): a store is durable if a crash of its servers loses at most the last two
seconds of what it took. So each node that has keys keeps an append-only file, which is synced always or every
second, also while it is rewritten; can write to it; and evicts no keys.

Snapshots do not do, and neither do replicas: a master that is started again before a replica takes its place
has what its own disk has, and its replicas follow it.
"""

from webrtc_events.store.durability.node_facts import NodeFacts

__all__ = ["described", "loss_by_crash"]


def described(node: NodeFacts) -> str:
    """Which server it is and how durable, such as `Valkey 9.1.2, AOF everysec`."""
    return f"{node.product or 'a server'} {node.version or 'of an unknown version'}, {_persistence(node)}"


def _persistence(node: NodeFacts) -> str:
    match node:
        case NodeFacts(aof=True):
            return f"AOF {node.fsync or '(how often it is synced is not known)'}"
        case NodeFacts(aof=False, save_points=()):
            return "nothing on disk"
        case NodeFacts(aof=False, save_points=None):
            return "no AOF"
        case NodeFacts(aof=False):
            return "snapshots only"
    return "how durable is not known"


def loss_by_crash(node: NodeFacts) -> str:
    """What a crash of the node may lose of what it took."""
    match node:
        case NodeFacts(aof=True, fsync="always"):
            return "nothing"
        case NodeFacts(aof=True, fsync="everysec"):
            return "the last two seconds"
        case NodeFacts(aof=True, fsync="no"):
            return "the last half minute, or more"
        case NodeFacts(aof=False, save_points=()):
            return "everything"
        case NodeFacts(aof=False):
            return f"what came since the last snapshot{_age_of_snapshot(node)}"
    return "nobody knows how much"


def _age_of_snapshot(node: NodeFacts) -> str:
    """By the save point that waits for the fewest changes: others only come before it."""
    if not node.save_points:
        return ""
    last = min(node.save_points, key=lambda point: (point.changes, point.seconds))
    if last.changes > 1:
        return f", however old, up to {last.changes - 1} changes"
    if last.seconds < 120:
        return f", up to {last.seconds} seconds"
    return f", up to {last.seconds // 60} minutes"
