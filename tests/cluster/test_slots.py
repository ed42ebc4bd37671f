"""Slots move to another node while the service runs."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import redis

from tests.cluster.conftest import Build, Connect
from tests.cluster.test_failover import Gateway, numbers_at
from tests.cluster.test_outages import claimed, works
from tests.harness.builders import append, created, invitation
from tests.harness.clusters import Cluster
from tests.harness.sinks import RecordingSink
from tests.harness.valkeys import ValkeyServer, eventually
from tests.harness.wakeups import Hearing
from webrtc_events.core.errors import Unavailable
from webrtc_events.store.keys import partition_of

pytestmark = pytest.mark.slow

DUE = partition_of("r1", 64).due
SLOT = redis.crc.key_slot(DUE.encode())


def source_and_target(cluster: Cluster) -> tuple[ValkeyServer, ValkeyServer]:
    source = cluster.master_of(DUE)
    return source, next(master for master in cluster.masters if master is not source)


def node_id(client: "redis.Redis") -> str:
    return str(client.execute_command("CLUSTER MYID"))


def move_whole(source: "redis.Redis", target: "redis.Redis") -> None:
    source.execute_command("CLUSTER MIGRATESLOTS", "SLOTSRANGE", SLOT, SLOT, "NODE", node_id(target))


def test_a_slot_that_moves_as_a_whole_disturbs_nobody(
    cluster: Cluster, connect: Connect, build: Build, sink: RecordingSink
) -> None:
    source, target = source_and_target(cluster)
    store = connect(cluster.url)
    created(store, sink=sink.url)
    build(cluster.url)
    with Gateway(store, "r1") as gateway, source.client() as here, target.client() as there:
        gateway.wait_for_more()
        move_whole(here, there)
        eventually(lambda: there.exists(DUE) or there.keys("{*}:seen:*"), "it has moved")
        gateway.wait_for_more()
    assert gateway.refused == 0
    wanted = list(range(1, gateway.accepted + 1))
    eventually(lambda: numbers_at(sink) == wanted, "all are delivered, in order")


def test_hints_follow_a_slot(cluster: Cluster, connect: Connect) -> None:
    source, target = source_and_target(cluster)
    store = connect(cluster.url)
    numbers = itertools.count(2)

    def heard() -> bool:
        # A client that asks the old node is redirected to the new one, and so are the subscriber connections.
        created(store)
        append(store, invitation(next(numbers)))
        return hearing.numbers(0.2) == {partition_of("r1", 64).number}

    with Hearing(store) as hearing:
        assert hearing.numbers(0) == set()
        with source.client() as here, target.client() as there:
            append(store, invitation(1))
            move_whole(here, there)
            eventually(lambda: there.keys("{*}:seen:*"), "it has moved")
        eventually(heard, "hints come again")


@contextmanager
def moving_key_by_key(cluster: Cluster) -> Iterator[Callable[[str], None]]:
    """While the slot is on its way; gives what moves one of its keys."""
    source, target = source_and_target(cluster)
    here, there = source.client(), target.client()
    there.execute_command("CLUSTER SETSLOT", SLOT, "IMPORTING", node_id(here))
    here.execute_command("CLUSTER SETSLOT", SLOT, "MIGRATING", node_id(there))

    def move(key: str) -> None:
        here.execute_command("MIGRATE", "127.0.0.1", target.port, key, 0, 5000)

    yield move
    for key in here.execute_command("CLUSTER GETKEYSINSLOT", SLOT, 1000):
        move(key)
    for node in (there, here):
        node.execute_command("CLUSTER SETSLOT", SLOT, "NODE", node_id(there))
        node.close()


def test_while_keys_move_one_by_one_their_partition_is_unavailable(
    cluster: Cluster, connect: Connect
) -> None:
    store = connect(cluster.url)
    made = created(store)
    append(store, invitation(1))
    with moving_key_by_key(cluster) as move:
        # A script needs keys that may be here or there, and must not take the one for the other.
        assert not works(store, "r1", 2)
        move(partition_of("r1", 64).subscription(made.id))
        assert not works(store, "r1", 2)
        with pytest.raises(Unavailable):
            store.subscriptions.get(made.id)
        move(DUE)
        assert not works(store, "r1", 2)
        assert claimed(store) == {}
        assert store.expiry.sweep() == 0
    assert works(store, "r1", 2)
    assert claimed(store) == {made.id: 2}
