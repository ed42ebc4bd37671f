"""Stores of several nodes, and of one behind a proxy."""

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from tests.cluster.relays import EditingRelay
from tests.harness.builders import created
from tests.harness.clusters import Cluster, form, three_node_cluster
from tests.harness.valkeys import ValkeyServer, eventually
from tests.store.durability.conftest import Later, Start, Watch, logged
from webrtc_events.core.conditions import Condition, Health
from webrtc_events.store.durability.watch import UnfitStore


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with three_node_cluster(tmp_path) as cluster:
        yield cluster


def test_a_cluster_is_named_in_one_line(
    cluster: Cluster, watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    begun = watch(cluster.url, REQUIRE_DURABLE_STORE="true")
    lines = [line for line in logged(caplog, logging.INFO) if line.startswith("the store is Valkey")]
    assert len(lines) == 1
    assert ", AOF always, at 127.0.0.1:" in lines[0]
    assert all(master.address in lines[0] for master in cluster.masters)
    assert begun.durability() == begun.clocks() == Condition.ok()


def test_the_one_node_that_is_not_durable_is_named(
    cluster: Cluster, watch: Watch, later: Later, caplog: pytest.LogCaptureFixture
) -> None:
    bad = cluster.masters[1]
    with bad.client() as client:
        client.config_set("appendonly", "no")
    with pytest.raises(UnfitStore) as refused:
        watch(cluster.url, REQUIRE_DURABLE_STORE="true")
    assert [master.address in str(refused.value) for master in cluster.masters] == [False, True, False]
    begun = watch(cluster.url)
    (line,) = logged(caplog)
    assert line.startswith(f"the store at {bad.address} writes nothing to disk")
    assert begun.durability() == Condition(
        Health.DEGRADED, "The store writes nothing to disk: a restart loses everything (1 of 3 nodes)."
    )
    # While it does not answer nobody says that it is mended.
    bad.pause()
    later(begun)
    later(begun)
    assert not [line for line in logged(caplog, logging.INFO) if "no longer so" in line]
    assert begun.durability().health is Health.DEGRADED
    bad.resume()
    with bad.client() as client:
        client.config_set("appendonly", "yes")
    eventually(lambda: later(begun) or begun.durability() == Condition.ok(), "it is mended", 20, every_s=0.2)


def test_what_is_wrong_with_all_is_one_line(
    cluster: Cluster, watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    for node in cluster.masters:
        with node.client() as client:
            client.config_set("appendfsync", "no")
    begun = watch(cluster.url)
    (line,) = logged(caplog)
    assert all(master.address in line for master in cluster.masters)
    assert "nodes" not in begun.durability().detail


def test_the_node_that_lost_its_data_is_named(
    cluster: Cluster, watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    watches = [watch(cluster.url), watch(cluster.url)]
    with cluster.masters[2].client() as client:
        client.flushall()
    for begun in watches:
        logged(caplog)
        begun.step()
        (line,) = logged(caplog)
        assert line.startswith(f"the store was emptied at {cluster.masters[2].address}:")
        assert "A node of the store lost all that it held" in begun.durability().detail


def test_a_node_that_is_unavailable_and_comes_back_empty(
    cluster: Cluster, watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    """While it is unavailable it is not of the store any more, and its marks are kept all the same."""
    begun = watch(cluster.url)
    begun.step()
    node = cluster.masters[0]
    node.options |= {"appendonly": "no", "save": ""}
    node.kill()
    for _ in range(3):
        begun.step()
    assert "emptied" not in caplog.text
    node.start()
    node.wait_ready()

    def said() -> bool:
        begun.step()
        return f"the store was emptied at {node.address}" in caplog.text

    eventually(said, "it is logged", 30, every_s=0.2)


def move_whole(source: "redis.Redis", target: "redis.Redis", key: str) -> None:
    slot = source.execute_command("CLUSTER KEYSLOT", key)
    to = target.execute_command("CLUSTER MYID")
    source.execute_command("CLUSTER MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", to)
    eventually(lambda: target.exists(key), "it has moved")


def move_key_by_key(
    source: "redis.Redis", target: "redis.Redis", key: str, meanwhile: Callable[[], None]
) -> None:
    slot = source.execute_command("CLUSTER KEYSLOT", key)
    here, there = (client.execute_command("CLUSTER MYID") for client in (source, target))
    target.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", here)
    source.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", there)
    meanwhile()
    port = target.connection_pool.connection_kwargs["port"]
    for moved in source.execute_command("CLUSTER GETKEYSINSLOT", slot, 100):
        source.execute_command("MIGRATE", "127.0.0.1", port, moved, 0, 5000)
        meanwhile()
    for client in (target, source):
        client.execute_command("CLUSTER SETSLOT", slot, "NODE", there)


def test_a_slot_that_moves_raises_no_alarm(
    cluster: Cluster, watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither as a whole nor key by key, there and back; whichever marks go with it."""
    begun = watch(cluster.url)
    created(begun.store)
    begun.step()
    logged(caplog)

    def look() -> None:
        for _ in range(3):
            begun.step()

    for number in range(3):
        source, target = cluster.masters[number], cluster.masters[(number + 1) % 3]
        with source.client() as here, target.client() as there:
            for key in here.keys("*marks"):
                move_whole(here, there, key)
                look()
                move_key_by_key(there, here, key, look)
                look()
    assert logged(caplog) == []
    assert begun.durability() == Condition.ok()


# What a server says of itself, changed on its way


TIME = re.compile(rb"\*2\r\n\$10\r\n(\d{10})\r\n")


def ahead(seconds: int) -> Callable[[bytes], bytes]:
    """Edits the answer to TIME: `seconds` ahead."""
    return lambda data: TIME.sub(lambda match: b"*2\r\n$10\r\n%d\r\n" % (int(match[1]) + seconds), data)


@pytest.fixture
def relay() -> Iterator[Callable[..., EditingRelay]]:
    made: list[EditingRelay] = []

    def make(target: int = 0, edit: Callable[[bytes], bytes] = bytes) -> EditingRelay:
        made.append(EditingRelay(target, edit))
        return made[-1]

    yield make
    for relay in made:
        relay.close()


def test_a_server_with_another_clock(
    start: Start,
    relay: Callable[..., EditingRelay],
    watch: Watch,
    later: Later,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = start(aof="always")
    proxy = relay(server.port, ahead(40))
    begun = watch(f"redis://127.0.0.1:{proxy.port}", REQUIRE_DURABLE_STORE="true")
    (line,) = logged(caplog)
    assert re.search(r"has a clock that is (39\.9|40\.[01]) s ahead of this host's", line)
    assert begun.clocks().health is Health.DEGRADED
    proxy.edit = bytes
    later(begun)
    assert begun.clocks() == Condition.ok()


def test_the_node_of_a_cluster_whose_clock_is_off_is_named(
    tmp_path: Path, relay: Callable[..., EditingRelay], watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    """Against this host's and against the others'."""
    proxy = relay()
    with ExitStack() as stack:
        masters = [
            stack.enter_context(
                ValkeyServer(
                    tmp_path / str(number), cluster=True, announce_port=proxy.port if number == 1 else None
                )
            )
            for number in range(3)
        ]
        proxy.target, proxy.edit = masters[1].port, ahead(-10)
        cluster = Cluster(masters, [])
        form(cluster, [stack.enter_context(master.patient_client()) for master in masters])
        begun = watch(f"redis+cluster://{masters[0].address}")
        lines = logged(caplog)
        off = f"127.0.0.1:{proxy.port}"
        assert [
            line for line in lines if line.startswith(f"the store at {off} has a clock that is 10.0 s behind")
        ]
        assert [line for line in lines if f"s ahead of that of {off}." in line]
        assert "10.0 s apart" in begun.clocks().detail


def test_a_server_that_is_too_old_is_refused(
    start: Start, relay: Callable[..., EditingRelay], watch: Watch
) -> None:
    server = start(aof="always")

    def aged(data: bytes) -> bytes:
        return re.sub(rb"(valkey|redis)_version:[79]", rb"\1_version:6", data)

    proxy = relay(server.port, aged)
    with pytest.raises(
        UnfitStore, match=rf"the store at 127.0.0.1:{proxy.port} is (Valkey|Redis) 6[0-9.]+, and the"
    ):
        watch(f"redis://127.0.0.1:{proxy.port}")
