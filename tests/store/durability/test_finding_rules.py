"""What is wrong with a store, by what its nodes tell."""

from dataclasses import replace
from typing import Any

import pytest

from webrtc_events.core.conditions import Health
from webrtc_events.store.durability.conditions import clock_condition, durability_condition, is_shown_durable
from webrtc_events.store.durability.crash_loss import described, loss_by_crash
from webrtc_events.store.durability.findings import Bearing, Finding, Kind, find
from webrtc_events.store.durability.node_facts import NodeFacts, SavePoint, StoreClock

GOOD = NodeFacts(
    address="10.0.0.1:6379",
    product="Valkey",
    version="9.1.2",
    run_id="1",
    loading=False,
    aof=True,
    aof_written=True,
    aof_rewritten=True,
    fsync="everysec",
    syncs_in_rewrites=True,
    save_points=(),
    snapshot_written=True,
    stops_without_snapshots=True,
    maxmemory=0,
    policy="noeviction",
    clock=StoreClock(0.0, 0.001),
)
HOURLY = (SavePoint(3600, 1), SavePoint(300, 100))


def node(**changes: Any) -> NodeFacts:
    return replace(GOOD, **changes)


@pytest.mark.parametrize("fsync", ["everysec", "always"])
def test_nothing_is_wrong_with_a_durable_store(fsync: str) -> None:
    found = find([node(fsync=fsync), node(address="b", fsync=fsync, save_points=HOURLY)])
    assert found == []
    assert is_shown_durable(found)


@pytest.mark.parametrize(
    ("changes", "kind", "says"),
    [
        ({"aof": False}, Kind.NOTHING_ON_DISK, "a restart loses everything. Set `appendonly yes` and"),
        (
            {"aof": False, "save_points": HOURLY},
            Kind.SNAPSHOTS_ONLY,
            "up to 60 minutes. Set `appendonly yes`",
        ),
        ({"aof": False, "save_points": None}, Kind.NO_FILE, "since the last snapshot. Set `appendonly yes`"),
        ({"fsync": "no"}, Kind.NEVER_SYNCED, "Set `appendfsync everysec`"),
        ({"syncs_in_rewrites": False}, Kind.NOT_SYNCED_IN_REWRITES, "`no-appendfsync-on-rewrite no`"),
        ({"aof_written": False}, Kind.FILE_FAILED, "aof_last_write_status:err"),
        ({"maxmemory": 1, "policy": "allkeys-lru"}, Kind.EVICTS, "Set `maxmemory-policy noeviction`"),
        ({"maxmemory": None, "policy": "volatile-ttl"}, Kind.EVICTS, "maxmemory-policy volatile-ttl"),
    ],
)
def test_what_makes_it_not_durable(changes: dict[str, Any], kind: Kind, says: str) -> None:
    (found,) = find([node(**changes)])
    assert (found.kind, found.bearing) == (kind, Bearing.NOT_DURABLE)
    assert str(found).startswith("the store at 10.0.0.1:6379 ")
    assert says in found.text
    assert not is_shown_durable([found])


@pytest.mark.parametrize(
    ("changes", "kind", "says"),
    [
        ({"takes_marks": False}, Kind.NO_MARKS, "Allow its user these"),
        ({"aof_rewritten": False}, Kind.REWRITE_FAILED, "aof_last_bgrewrite_status:err"),
        (
            {"save_points": HOURLY, "snapshot_written": False},
            Kind.SNAPSHOT_FAILED,
            "takes no writes until it can",
        ),
    ],
)
def test_what_somebody_should_look_at(changes: dict[str, Any], kind: Kind, says: str) -> None:
    (found,) = find([node(**changes)])
    assert (found.kind, found.bearing) == (kind, Bearing.WRONG)
    assert says in found.text
    assert is_shown_durable([found])


@pytest.mark.parametrize(
    "changes",
    [
        {"maxmemory": 0, "policy": "allkeys-lru"},
        {"maxmemory": 1 << 30},
        {"snapshot_written": False},
        {"aof": False, "save_points": HOURLY, "aof_written": False, "aof_rewritten": False},
    ],
    ids=["a policy without a limit", "a limit", "a snapshot nobody is to make", "a file that is not kept"],
)
def test_what_is_nothing(changes: dict[str, Any]) -> None:
    assert {finding.kind for finding in find([node(**changes)])} <= {Kind.SNAPSHOTS_ONLY}


def test_a_snapshot_that_failed_stops_writes_only_if_it_is_set_to() -> None:
    (found,) = find([node(save_points=HOURLY, snapshot_written=False, stops_without_snapshots=False)])
    assert "takes no writes" not in found.text + found.detail


@pytest.mark.parametrize(
    ("version", "old"),
    [("6.2.14", True), ("2.8.24", True), ("7.0.0", False), ("8.10.1", False), ("10.0.0", False)],
)
def test_a_release_before_7_is_too_old(version: str, old: bool) -> None:
    found = find([node(product="Redis", version=version)])
    assert [(finding.kind, finding.bearing) for finding in found] == [
        (Kind.OLD_RELEASE, Bearing.TOO_OLD)
    ] * old


def test_what_is_not_known_is_said_and_not_guessed() -> None:
    """As with a managed store: INFO answers, CONFIG is not permitted."""
    (found,) = find(
        [
            node(
                fsync=None,
                syncs_in_rewrites=None,
                save_points=None,
                stops_without_snapshots=None,
                refused=("CONFIG GET",),
            )
        ]
    )
    assert (found.kind, found.bearing) == (Kind.NOT_LEARNT, Bearing.UNKNOWN)
    assert "appendfsync" in found.text
    assert "+config|get" in found.text
    assert "appendonly" not in found.text
    assert not is_shown_durable([found])


def test_a_store_that_says_nothing_of_itself() -> None:
    refusing = NodeFacts(address="a", refused=("INFO", "CONFIG GET"))
    info, unknown = find([refusing])
    assert (info.kind, info.bearing) == (Kind.INFO_REFUSED, Bearing.WRONG)
    assert "+info" in info.text
    assert (unknown.kind, unknown.bearing) == (Kind.NOT_LEARNT, Bearing.UNKNOWN)
    assert described(refusing) == "a server of an unknown version, how durable is not known"


def test_a_store_that_loads_its_data_has_that_finding_and_no_other() -> None:
    (found,) = find([node(loading=True)])
    assert (found.kind, found.bearing) == (Kind.LOADING, Bearing.NOTE)
    assert durability_condition([found], nodes=1, required=True).health is Health.OK


@pytest.mark.parametrize(
    ("changes", "description", "lost"),
    [
        ({}, "Valkey 9.1.2, AOF everysec", "the last two seconds"),
        ({"fsync": "always"}, "Valkey 9.1.2, AOF always", "nothing"),
        ({"fsync": "no"}, "Valkey 9.1.2, AOF no", "the last half minute, or more"),
        ({"fsync": None}, "Valkey 9.1.2, AOF (how often it is synced is not known)", "nobody knows how much"),
        ({"aof": False}, "Valkey 9.1.2, nothing on disk", "everything"),
        (
            {"aof": False, "save_points": HOURLY},
            "Valkey 9.1.2, snapshots only",
            "what came since the last snapshot, up to 60 minutes",
        ),
        (
            {"aof": False, "save_points": (SavePoint(60, 1),)},
            "Valkey 9.1.2, snapshots only",
            "what came since the last snapshot, up to 60 seconds",
        ),
        (
            {"aof": False, "save_points": (SavePoint(60, 1000), SavePoint(300, 10))},
            "Valkey 9.1.2, snapshots only",
            "what came since the last snapshot, however old, up to 9 changes",
        ),
        ({"aof": False, "save_points": None}, "Valkey 9.1.2, no AOF", "what came since the last snapshot"),
        ({"product": "Redis", "version": "7.0.15"}, "Redis 7.0.15, AOF everysec", "the last two seconds"),
    ],
)
def test_which_store_it_is_and_what_a_crash_costs(
    changes: dict[str, Any], description: str, lost: str
) -> None:
    assert described(node(**changes)) == description
    assert loss_by_crash(node(**changes)) == lost


# Clocks


@pytest.mark.parametrize(
    ("ahead_s", "error_s", "known", "says"),
    [
        (1.9, 0.0, False, None),
        (2.1, 0.0, False, "2.1 s ahead of this host's"),
        (-40.0, 0.3, False, "40.0 s behind this host's"),
        # How long the answer took is no fault of the clock.
        (2.3, 0.4, False, None),
        # It does not come and go.
        (1.2, 0.0, True, "1.2 s ahead of this host's"),
        (0.9, 0.0, True, None),
    ],
)
def test_a_clock_that_is_off_by_how_much_and_which_way(
    ahead_s: float, error_s: float, known: bool, says: str | None
) -> None:
    keys = {(Kind.CLOCK_OFF, GOOD.address)} if known else set()
    found = find([node(clock=StoreClock(ahead_s, error_s))], keys)
    assert [says in finding.text for finding in found if says] == ([True] if says else [])
    assert len(found) == (says is not None)
    assert all(finding.bearing is Bearing.WRONG for finding in found)


def test_clocks_that_are_apart_from_each_other_and_not_from_this_host() -> None:
    nodes = [node(address=str(n), clock=StoreClock(ahead, 0.01)) for n, ahead in enumerate((0.0, -1.4, 1.5))]
    (found,) = find(nodes)
    assert (found.kind, found.address) == (Kind.CLOCKS_APART, "2")
    assert "2.9 s ahead of that of 1" in found.text
    assert find([*nodes[:2], node(address="2", clock=None)]) == []
    assert find([node(clock=None)]) == []


# Readiness


def durability(*nodes: NodeFacts, required: bool = False, lost: str | None = None) -> tuple[Health, str]:
    condition = durability_condition(find(nodes), nodes=len(nodes), required=required, lost=lost)
    return condition.health, condition.detail


def test_readiness_says_what_is_wrong_and_names_no_node() -> None:
    assert durability(GOOD) == (Health.OK, "")
    detail = "The store writes nothing to disk: a restart loses everything."
    assert durability(node(aof=False)) == (Health.DEGRADED, detail)
    assert durability(node(aof=False), required=True) == (Health.UNAVAILABLE, detail)
    some = "The store writes nothing to disk: a restart loses everything (1 of 3 nodes)."
    nodes = [node(address=address) for address in "abc"]
    assert durability(*nodes[:2], node(aof=False), required=True) == (Health.UNAVAILABLE, some)
    # What is wrong and harms nothing that was accepted.
    assert durability(node(aof_rewritten=False), required=True)[0] is Health.DEGRADED


def test_readiness_says_what_cannot_be_shown_only_where_it_must_be() -> None:
    unknown_fsync = node(fsync=None)
    assert durability(unknown_fsync) == (Health.OK, "")
    assert durability(unknown_fsync, required=True) == (
        Health.UNAVAILABLE,
        "It cannot be shown that the store is durable.",
    )


def test_readiness_says_what_was_lost_lately() -> None:
    assert durability(GOOD, lost="It is gone.") == (Health.DEGRADED, "It is gone.")
    assert durability(GOOD, required=True, lost="It is gone.") == (Health.DEGRADED, "It is gone.")


def test_a_clock_that_is_off_is_a_separate_condition() -> None:
    off = [node(address=address, clock=StoreClock(-40.0, 0.0)) for address in "ab"]
    assert durability(*off, required=True) == (Health.OK, "")
    condition = clock_condition(find(off))
    assert (condition.health, condition.detail) == (
        Health.DEGRADED,
        "A clock of the store is 40.0 s behind this host's.",
    )
    assert clock_condition(find([node(aof=False)])).health is Health.OK


def test_no_text_names_an_address_that_everybody_sees() -> None:
    every: list[Finding] = find(
        [
            node(
                aof=False,
                version="6.2.0",
                policy="allkeys-lru",
                maxmemory=1,
                clock=StoreClock(9, 0),
                refused=("INFO",),
            ),
            node(address="10.0.0.2:6379", fsync="no", aof_written=False, aof_rewritten=False, loading=True),
            node(address="10.0.0.3:6379", fsync=None, save_points=HOURLY, snapshot_written=False),
        ]
    )
    assert len({finding.kind for finding in every}) >= 11
    assert not [finding.detail for finding in every if "10.0.0" in finding.detail]
    assert all(finding.text[-1] == finding.detail[-1] == "." for finding in every)
