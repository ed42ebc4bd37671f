"""What INFO and CONFIG GET say, release by release."""

from dataclasses import asdict
from typing import Any

import pytest
import redis

from webrtc_events.store.durability.node_facts import NodeFacts, SavePoint, StoreClock, node_facts

# What is looked at, as each release writes it; whole answers have some 150 lines.
REDIS_6 = """# Server\r
redis_version:6.2.14\r
redis_mode:standalone\r
run_id:de85820049c6a20ef230f4770a8ac9a5ea4b620a\r
\r
# Memory\r
maxmemory:0\r
maxmemory_policy:noeviction\r
\r
# Persistence\r
loading:0\r
rdb_last_bgsave_status:ok\r
aof_enabled:0\r
aof_last_bgrewrite_status:ok\r
aof_last_write_status:ok\r
"""
REDIS_7 = """# Server\r
redis_version:7.0.15\r
redis_git_sha1:00000000\r
redis_mode:standalone\r
os:Linux 6.1.0-18-amd64 x86_64\r
run_id:798255664727b1bfd77bf270c92fe76746009ae7\r
\r
# Memory\r
used_memory:1008288\r
maxmemory:0\r
maxmemory_human:0B\r
maxmemory_policy:noeviction\r
\r
# Persistence\r
loading:0\r
async_loading:0\r
rdb_changes_since_last_save:0\r
rdb_last_save_time:1795816241\r
rdb_last_bgsave_status:ok\r
rdb_last_bgsave_time_sec:-1\r
aof_enabled:1\r
aof_rewrite_in_progress:0\r
aof_last_bgrewrite_status:ok\r
aof_last_write_status:ok\r
aof_current_size:89\r
"""
REDIS_8 = """# Server\r
redis_version:8.10.1\r
redis_git_sha1:00000000\r
redis_mode:cluster\r
os:Linux 6.12.0 aarch64\r
run_id:e47fa0a6160528b56d01a21bfc4146d716ee02e3\r
\r
# Memory\r
maxmemory:1073741824\r
maxmemory_human:1.00G\r
maxmemory_policy:allkeys-lru\r
\r
# Persistence\r
loading:0\r
async_loading:0\r
current_cow_peak:0\r
rdb_last_bgsave_status:err\r
rdb_saves:0\r
aof_enabled:0\r
aof_last_bgrewrite_status:ok\r
aof_last_write_status:ok\r
\r
# Keysizes\r
db0_distrib_strings_sizes:1=2,2=1\r
\r
# Keyspace\r
db0:keys=3,expires=0,avg_ttl=0,subexpiry=0\r
"""
VALKEY_7 = """# Server\r
redis_version:7.2.8\r
server_name:valkey\r
redis_mode:standalone\r
run_id:0c1a\r
\r
# Persistence\r
loading:1\r
aof_enabled:1\r
aof_last_bgrewrite_status:err\r
aof_last_write_status:err\r
"""
VALKEY_8 = """# Server\r
redis_version:7.2.4\r
server_name:valkey\r
valkey_version:8.1.1\r
valkey_release_stage:ga\r
server_mode:standalone\r
run_id:db51448e49fb73ce02ccbab88ff56f6eddef6a90\r
\r
# Memory\r
maxmemory:0\r
maxmemory_policy:noeviction\r
\r
# Persistence\r
loading:0\r
rdb_last_bgsave_status:ok\r
aof_enabled:1\r
aof_last_bgrewrite_status:ok\r
aof_last_write_status:ok\r
"""
VALKEY_9 = VALKEY_8.replace("8.1.1", "9.1.2").replace(
    "rdb_last", "aof_rewrites_consecutive_failures:0\r\nrdb_last"
)

CONFIG = {
    "save": "3600 1 300 100 60 10000",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "no-appendfsync-on-rewrite": "no",
    "stop-writes-on-bgsave-error": "yes",
    "maxmemory": "0",
    "maxmemory-policy": "noeviction",
}


def info(text: str) -> dict[str, Any]:
    """As redis-py reads it."""
    parsed: dict[str, Any] = redis.Redis().response_callbacks["INFO"](text)
    return parsed


def reported(facts: NodeFacts) -> dict[str, Any]:
    return {
        name: value for name, value in asdict(facts).items() if value not in (None, ()) and name != "address"
    }


@pytest.mark.parametrize(
    ("text", "release", "expected"),
    [
        (REDIS_6, (6, 2), {"product": "Redis", "version": "6.2.14", "aof": False, "maxmemory": 0}),
        (REDIS_7, (7, 0), {"product": "Redis", "version": "7.0.15", "aof": True, "policy": "noeviction"}),
        (
            REDIS_8,
            (8, 10),
            {
                "product": "Redis",
                "version": "8.10.1",
                "aof": False,
                "snapshot_written": False,
                "maxmemory": 1 << 30,
                "policy": "allkeys-lru",
            },
        ),
        (
            VALKEY_7,
            (7, 2),
            {
                "product": "Valkey",
                "version": "7.2.8",
                "loading": True,
                "aof": True,
                "aof_written": False,
                "aof_rewritten": False,
            },
        ),
        (VALKEY_8, (8, 1), {"product": "Valkey", "version": "8.1.1", "aof": True, "aof_written": True}),
        (
            VALKEY_9,
            (9, 1),
            {"product": "Valkey", "version": "9.1.2", "loading": False, "aof_rewritten": True},
        ),
    ],
    ids=["redis-6", "redis-7", "redis-8", "valkey-7", "valkey-8", "valkey-9"],
)
def test_each_release_is_read(text: str, release: tuple[int, int], expected: dict[str, Any]) -> None:
    facts = node_facts("a", info(text), CONFIG, None)
    assert facts.release == release
    assert reported(facts) | expected == reported(facts)


def test_what_is_set_is_read() -> None:
    facts = node_facts("a", info(REDIS_7), CONFIG, StoreClock(0.5, 0.1))
    assert facts.save_points == (SavePoint(3600, 1), SavePoint(300, 100), SavePoint(60, 10000))
    assert (facts.fsync, facts.syncs_in_rewrites, facts.stops_without_snapshots) == ("everysec", True, True)
    assert (facts.clock, facts.refused) == (StoreClock(0.5, 0.1), ())
    assert node_facts("a", info(REDIS_7), CONFIG | {"save": ""}, None).save_points == ()


def test_without_config_get_only_what_info_says_is_known() -> None:
    facts = node_facts("a", info(REDIS_7), None, None)
    assert (facts.aof, facts.policy, facts.refused) == (True, "noeviction", ("CONFIG GET",))
    assert (facts.fsync, facts.save_points, facts.syncs_in_rewrites) == (None, None, None)


def test_without_info_only_what_is_set_is_known() -> None:
    facts = node_facts("a", None, CONFIG, None)
    assert (facts.aof, facts.maxmemory, facts.policy, facts.refused) == (True, 0, "noeviction", ("INFO",))
    assert (facts.product, facts.release, facts.aof_written, facts.loading) == (None, None, None, None)


def test_without_both_nothing_is_known() -> None:
    assert reported(node_facts("a", None, None, None)) == {"refused": ("INFO", "CONFIG GET")}


def test_an_answer_without_what_was_asked_is_no_guess() -> None:
    """Services that speak the protocol answer CONFIG GET with nothing, and INFO with other lines."""
    facts = node_facts(
        "a", info("# Server\r\nredis_version:df-v1\r\nmaxmemory_policy:eviction\r\n"), {}, None
    )
    assert reported(facts) == {"product": "Redis", "version": "df-v1", "policy": "eviction"}
    assert facts.release is None
