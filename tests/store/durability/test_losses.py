"""A store that came back without its data, or without its latest writes, is said to be so, by everybody."""

import logging
from pathlib import Path

import pytest

from tests.harness.builders import append, created, invitation
from tests.harness.sentinels import sentinel
from tests.harness.valkeys import ValkeyServer, eventually
from tests.store.durability.conftest import Later, Start, TurnableClock, Watch, logged
from webrtc_events.core.conditions import Condition, Health
from webrtc_events.store.durability.watch import StoreWatch
from webrtc_events.store.first_start import PartitionMismatch


def wait_marked(server: ValkeyServer, *watches: StoreWatch) -> None:
    """Returns when what was kept until now is behind a mark that all have seen."""
    with server.client() as client:
        (key,) = client.keys("*marks")
        before = client.xlen(key)

        def marked() -> bool:
            for watch in watches:
                watch.step()
            return bool(client.xlen(key) > before)

        eventually(marked, "it is marked", 10, every_s=0.1)
    for watch in watches:
        watch.step()


def restarted(server: ValkeyServer) -> None:
    server.kill()
    server.start()
    server.wait_ready()


def test_a_store_that_came_back_empty(
    start: Start, watch: Watch, later: Later, clock: TurnableClock, caplog: pytest.LogCaptureFixture
) -> None:
    server = start({"save": "", "appendonly": "no"})
    watches = [watch(server.url), watch(server.url)]
    for _ in range(4):
        created(watches[0].store)
    restarted(server)
    for store_watch in watches:
        logged(caplog)
        store_watch.step()
        emptied, anew = logged(caplog, logging.WARNING)
        assert emptied.startswith(f"the store was emptied at {server.address}: the subscriptions and events")
        assert anew == f"the store at {server.address} was started anew; if it crashed, it lost everything"
        assert "The store lost all that it held, found out at 20" in store_watch.durability().detail
        store_watch.step()
        assert logged(caplog) == []
    # It is the service's again: with another number of partitions nobody joins.
    with pytest.raises(PartitionMismatch):
        watch(server.url, PARTITIONS="32")
    made = created(watches[1].store)
    assert watches[0].store.subscriptions.get(made.id) is not None
    # Nothing mends it, so that it is logged for an hour.
    later(watches[0], 3500)
    assert "lost" in watches[0].durability().detail
    later(watches[0], 200)
    assert "lost" not in watches[0].durability().detail


def test_a_store_that_came_back_with_an_old_snapshot(
    start: Start, watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    server = start({"save": "3600 1", "appendonly": "no"})
    watches = [watch(server.url), watch(server.url)]
    store = watches[0].store
    kept = created(store)
    wait_marked(server, *watches)
    with server.client() as client:
        client.save()
    lost = created(store)
    wait_marked(server, *watches)
    restarted(server)
    for store_watch in watches:
        logged(caplog)
        store_watch.step()
        line, anew = logged(caplog, logging.WARNING)
        assert line.startswith(f"the store at {server.address} came back without its latest writes")
        assert "started anew" in anew
        condition = store_watch.durability()
        assert condition.health is Health.DEGRADED
        assert "The store lost its latest writes, found out at 20" in condition.detail
        store_watch.step()
        assert logged(caplog) == []
    assert store.subscriptions.get(kept.id) is not None
    assert store.subscriptions.get(lost.id) is None


@pytest.mark.slow
def test_a_store_that_came_back_with_all_it_had_raises_no_alarm(
    start: Start, watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    server = start(aof="always")
    watches = [watch(server.url), watch(server.url)]
    store = watches[0].store
    for _ in range(3):
        made = created(store)
        wait_marked(server, *watches)
        restarted(server)
        logged(caplog)
        for store_watch in watches:
            store_watch.step()
        assert logged(caplog, logging.WARNING) == []
        assert store.subscriptions.get(made.id) is not None
    assert [watch.durability() for watch in watches] == [Condition.ok()] * 2


def test_a_restart_that_broke_nothing_is_logged(
    start: Start, watch: Watch, later: Later, caplog: pytest.LogCaptureFixture
) -> None:
    server = start(aof="always")
    begun = watch(server.url)
    # Nothing is written from here on, so that nothing is really lost.
    with server.client() as client:
        client.config_set("appendfsync", "everysec")
    later(begun)
    restarted(server)
    logged(caplog)
    begun.step()
    assert logged(caplog) == [
        f"the store at {server.address} was started anew; if it crashed, it lost the last two seconds"
    ]
    begun.step()
    later(begun)
    assert logged(caplog) == []


def test_an_unavailable_store_has_lost_nothing(
    start: Start, watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    """And what it is set to is looked at once it is back, not a minute later."""
    server = start(aof="always")
    begun = watch(server.url)
    created(begun.store)
    wait_marked(server, begun)
    server.kill()
    begun.loop.start()
    try:
        eventually(lambda: "store watch waits for the store" in caplog.text, "it is missed", 10)
        server.options["appendfsync"] = "no"
        server.start()
        eventually(lambda: "does not sync its append-only file" in caplog.text, "it is looked at", 10)
    finally:
        begun.loop.ask_to_stop()
        assert begun.loop.join(5)
    lines = logged(caplog)
    assert not [line for line in lines if "emptied" in line or "without its latest writes" in line]


def test_a_process_that_comes_to_an_empty_store_says_that_it_is(
    start: Start, watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    server = start({"save": "", "appendonly": "no"})
    watch(server.url)
    assert caplog.text.count("the store is empty: this is its first start, or it lost what it held") == 1
    watch(server.url)
    assert caplog.text.count("the store is empty") == 1
    restarted(server)
    watch(server.url)
    assert caplog.text.count("the store is empty") == 2


@pytest.mark.slow
def test_a_replica_that_had_fallen_behind_takes_over(
    tmp_path: Path, watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        ValkeyServer(tmp_path / "master") as master,
        ValkeyServer(tmp_path / "replica", replica_of=master) as replica,
        sentinel(tmp_path / "sentinel", master, replica) as watching,
    ):
        watches = [watch(watching.url), watch(watching.url, ACK_REPLICAS="1")]
        store = watches[0].store
        kept = created(store)
        wait_marked(master, *watches)
        with replica.client() as behind, master.client() as ahead:
            eventually(lambda: behind.xlen("{0}:marks") == ahead.xlen("{0}:marks"), "the replica has it all")
            # It is cut off, and does not come back before the master is gone.
            behind.config_set("masterauth", "that the master does not know")
            ahead.client_kill_filter(_type="replica")
            lost = created(store)
            append(store, invitation(1))
            wait_marked(master, *watches)
            master.kill()
            behind.config_set("masterauth", "")
        eventually(lambda: watching.master_port() == replica.port, "the replica is the master")
        for watch in watches:
            logged(caplog)
            # Connections to the former master are found out to be dead first.
            eventually(lambda watch=watch: watch.step() or True, "it is there", 20, every_s=0.2)
            eventually(lambda: "without its latest writes" in caplog.text, "it is logged", 10)
            assert caplog.text.count("without its latest writes") == 1
            assert "the store at events of" in caplog.text
        assert "are on replicas" in caplog.text
        assert store.subscriptions.get(kept.id) is not None
        assert store.subscriptions.get(lost.id) is None
