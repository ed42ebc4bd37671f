"""A master dies and a replica takes its place: what was accepted with ACK_REPLICAS is not lost."""

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.conftest import Build, Connect
from tests.cluster.test_outages import claimed, one_of_each, works
from tests.harness.builders import append, created, invitation
from tests.harness.clusters import Cluster
from tests.harness.sentinels import Sentinel, sentinel
from tests.harness.sinks import RecordingSink
from tests.harness.valkeys import CLOCK, ValkeyServer, eventually
from tests.harness.wakeups import Hearing
from webrtc_events.core.errors import Unavailable
from webrtc_events.store.keys import partition_of
from webrtc_events.store.store import Store

pytestmark = pytest.mark.slow


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[tuple[ValkeyServer, ValkeyServer, Sentinel]]:
    """A master, its replica, and a Sentinel that watches them."""
    with (
        ValkeyServer(tmp_path / "master") as master,
        ValkeyServer(tmp_path / "replica", replica_of=master) as replica,
        sentinel(tmp_path / "sentinel", master, replica) as watching,
    ):
        yield master, replica, watching


class Gateway:
    """Publishes one event after the other to a registration, each until it is accepted."""

    def __init__(self, store: Store, registration: str) -> None:
        self.accepted = 0
        self.refused = 0
        self._store = store
        self._registration = registration
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stop.is_set():
            if works(self._store, self._registration, self.accepted + 1):
                self.accepted += 1
            else:
                self.refused += 1
                CLOCK.sleep(0.02)

    def __enter__(self) -> "Gateway":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def wait_for_more(self, count: int = 50) -> None:
        wanted = self.accepted + count
        eventually(lambda: self.accepted >= wanted, f"{count} more are accepted", 60)


def numbers_at(sink: RecordingSink) -> list[int]:
    """The events that the sink got, in the order of their first coming."""
    return list(dict.fromkeys(request.json["data"]["sequenceNumber"] for request in sink.requests))


# Sentinel


def test_a_failover_by_sentinel_loses_nothing_accepted(
    watched: tuple[ValkeyServer, ValkeyServer, Sentinel],
    tmp_path: Path,
    connect: Connect,
    build: Build,
    sink: RecordingSink,
) -> None:
    master, replica, watching = watched
    # One more, so that what the new master accepts has a replica too.
    with ValkeyServer(tmp_path / "second", replica_of=master) as second:
        watching.wait_for_replicas(2)
        store = connect(watching.url, ACK_REPLICAS="1")
        created(store, sink=sink.url)
        build(watching.url, ACK_REPLICAS="1")
        with Gateway(store, "r1") as gateway:
            gateway.wait_for_more()
            master.kill()
            before = gateway.accepted
            gateway.wait_for_more()
        assert watching.master_port() in (replica.port, second.port)
        assert gateway.refused > 0
        wanted = list(range(1, gateway.accepted + 1))
        eventually(lambda: numbers_at(sink)[: len(wanted)] == wanted, "all are delivered, in order", 60)
        assert before < gateway.accepted


def test_a_master_that_was_replaced_and_does_not_know_accepts_nothing(
    watched: tuple[ValkeyServer, ValkeyServer, Sentinel], tmp_path: Path, connect: Connect
) -> None:
    master, _, watching = watched
    with ValkeyServer(tmp_path / "second", replica_of=master):
        watching.wait_for_replicas(2)
        # All replicas: to fewer it may still write what they forget when they follow the new master.
        store = connect(watching.url, ACK_REPLICAS="2")
        made = created(store)
        append(store, invitation(1))
        master.pause()
        eventually(lambda: watching.master_port() != master.port, "another is elected")
        with Gateway(store, "r1") as gateway:
            master.resume()
            gateway.wait_for_more()
        assert gateway.refused > 0
        eventually(lambda: claimed(store) == {made.id: gateway.accepted}, "all accepted are there")


def test_a_replaced_master_is_left_though_it_answers(
    watched: tuple[ValkeyServer, ValkeyServer, Sentinel], connect: Connect
) -> None:
    master, replica, watching = watched
    store = connect(watching.url)
    created(store)
    with watching.client() as client:
        # It does not come to telling the old master.
        client.execute_command("SENTINEL DEBUG", "publish-period", 600_000)
    master.pause()
    eventually(lambda: watching.master_port() != master.port, "another is elected")
    master.resume()
    numbers = itertools.count()
    with replica.client() as new, master.client() as old:

        def is_there() -> bool:
            append(store, invitation(next(numbers)))
            return bool(new.keys("{*}:seen:*"))

        eventually(is_there, "an event comes to the new master")
        assert old.role()[0] == "master"


def test_hints_come_from_the_new_master_though_no_connection_to_the_old_one_broke(
    watched: tuple[ValkeyServer, ValkeyServer, Sentinel], connect: Connect
) -> None:
    master, _, watching = watched
    store = connect(watching.url)
    numbers = itertools.count()

    def heard() -> bool:
        created(store)
        append(store, invitation(next(numbers)))
        return hearing.numbers(0.2) != set()

    with Hearing(store) as hearing:
        assert hearing.numbers(0) == set()
        master.pause()
        eventually(lambda: watching.master_port() != master.port, "another is elected")
        eventually(heard, "hints come again")


def test_without_sentinels_a_connection_that_is_there_works_on(
    watched: tuple[ValkeyServer, ValkeyServer, Sentinel], connect: Connect
) -> None:
    _, _, watching = watched
    store = connect(watching.url)
    created(store)
    watching.stop()
    assert append(store, invitation(1)) == [(True, 1)]
    with pytest.raises(Unavailable):
        connect(watching.url)


def test_a_name_that_no_sentinel_watches_is_unavailable(
    watched: tuple[ValkeyServer, ValkeyServer, Sentinel], connect: Connect
) -> None:
    _, _, watching = watched
    with pytest.raises(Unavailable) as caught:
        connect(f"redis+sentinel://{watching.address}/another")
    assert "'another'" in str(caught.value.__cause__)


# Cluster


def test_a_failover_in_a_cluster_loses_nothing_accepted(
    replicated: Cluster, connect: Connect, build: Build, sink: RecordingSink
) -> None:
    store = connect(replicated.url, ACK_REPLICAS="1")
    _, second, third = one_of_each(replicated)
    created(store, registration=second, sink=sink.url)
    other = created(store, registration=third, sink=sink.url_of("/other"))
    build(replicated.url, ACK_REPLICAS="1")
    with Gateway(store, second) as gateway:
        gateway.wait_for_more()
        replicated.masters[1].kill()
        # The new master accepts nothing until it has a replica, which is the old one when it is back.
        eventually(lambda: gateway.refused > 0, "it is missed")
        assert works(store, third, 1)
        new = replicated.replicas[1]
        eventually(lambda: new.client().role()[0] == "master", "its replica takes its place", 60)
        replicated.masters[1].start()
        gateway.wait_for_more()
    assert other.id
    wanted = list(range(1, gateway.accepted + 1))

    def delivered() -> bool:
        requests = [
            request.json["data"]["sequenceNumber"] for request in sink.requests if request.path != "/other"
        ]
        return list(dict.fromkeys(requests))[: len(wanted)] == wanted

    eventually(delivered, "all are delivered, in order", 60)


def test_each_node_waits_for_its_own_replicas(replicated: Cluster, connect: Connect) -> None:
    store = connect(replicated.url, ACK_REPLICAS="1")
    registrations = one_of_each(replicated)
    for name in registrations:
        created(store, registration=name)
    assert all(works(store, registration, 1) for registration in registrations)
    replicated.replicas[1].pause()
    assert [works(store, registration, 2) for registration in registrations] == [True, False, True]
    replicated.replicas[1].resume()
    eventually(lambda: works(store, registrations[1], 2), "its replica takes part again")


def test_a_batch_over_nodes_needs_the_replicas_of_all(replicated: Cluster, connect: Connect) -> None:
    store = connect(replicated.url, ACK_REPLICAS="1")
    registrations = one_of_each(replicated)
    made = [created(store, registration=registration) for registration in registrations]
    batches = {
        partition_of(registration, 64).number: [invitation(1, registration=registration)]
        for registration in registrations
    }
    replicated.replicas[1].pause()
    with pytest.raises(Unavailable, match="replicas"):
        store.events.append(batches)
    replicated.replicas[1].resume()

    def accepted() -> bool:
        return len(store.events.append(batches)) == 3

    eventually(accepted, "all hold it")
    assert claimed(store) == {subscription.id: 1 for subscription in made}
