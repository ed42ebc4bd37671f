"""Topologies, commands, scripts, wake-ups: what speaks to the store, by redis-py."""

from webrtc_events.core.late_imports import loaded_once_used

# The asyncio client, metrics, and what tells of changed keys are of no use here; few stores are a cluster.
_LATE = ("asyncio", "opentelemetry", "redis.asyncio", "redis.cluster", "redis.keyspace_notifications")

# Before the modules of this room, which find it loaded.
with loaded_once_used(*_LATE):
    import redis  # noqa: F401
