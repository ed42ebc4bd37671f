"""A cluster of which a part is out: that part is unavailable, and nothing else is."""

from typing import Any

import pytest

from tests.cluster.conftest import Build, Connect
from tests.harness.builders import (
    SINK,
    all_of,
    append,
    created,
    invitation,
    new_subscription,
    session_status,
)
from tests.harness.clocks import SteppedClock
from tests.harness.clusters import Cluster
from tests.harness.sinks import Answer, RecordingSink
from tests.harness.valkeys import CLOCK, ValkeyServer, eventually
from tests.harness.wakeups import Hearing
from tests.store.devices import created_for
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.model import EventType
from webrtc_events.store.device_marks import DeviceMarks
from webrtc_events.store.keys import Partition, partition_of, session_key
from webrtc_events.store.session_joins import SessionJoins
from webrtc_events.store.settlements import Settlement
from webrtc_events.store.store import Store

pytestmark = pytest.mark.slow


def registrations_on(cluster: Cluster, master: ValkeyServer, count: int) -> list[str]:
    """Registrations whose partitions are the master's, each in another partition."""
    found: dict[int, str] = {}
    number = 0
    while len(found) < count:
        number += 1
        partition = partition_of(f"r{number}", 64)
        if cluster.master_of(partition.due) is master:
            found.setdefault(partition.number, f"r{number}")
    return list(found.values())


def one_of_each(cluster: Cluster) -> list[str]:
    """A registration on each master, in their order."""
    return [registrations_on(cluster, master, 1)[0] for master in cluster.masters]


def client_on(cluster: Cluster, master: ValkeyServer) -> str:
    """A client whose index is the master's."""
    return next(f"c{n}" for n in range(99) if cluster.master_of(f"client:{{c{n}}}") is master)


def session_on(cluster: Cluster, master: ValkeyServer) -> str:
    """A session whose index is the master's."""
    return next(f"m{n}" for n in range(99) if cluster.master_of(session_key(f"m{n}")) is master)


def works(store: Store, registration: str, number: int) -> bool:
    try:
        append(store, invitation(number, registration=registration))
    except Unavailable:
        return False
    return True


def claimed(store: Store) -> dict[str, int]:
    """How many events are claimed, by subscription."""
    claims = store.claims.claim([Partition(number) for number in range(64)], subscriptions=50, events=900)
    return {claim.subscription_id: len(claim.items) for claim in claims}


@pytest.mark.parametrize("how", ["kill", "pause"])
def test_what_a_node_has_is_unavailable_and_the_rest_works_on(
    cluster: Cluster, connect: Connect, how: str
) -> None:
    store = connect(cluster.url)
    registrations = one_of_each(cluster)
    made = [created(store, registration=registration) for registration in registrations]
    for name in registrations:
        append(store, invitation(1, registration=name))
    getattr(cluster.masters[1], how)()
    started = CLOCK.monotonic()
    for number in range(2, 12):
        assert [works(store, registration, number) for registration in registrations] == [True, False, True]
    # Only the first has waited for an answer, of 2 s at most: ten of them would take 20 s.
    assert CLOCK.monotonic() - started < 10
    with pytest.raises(Unavailable):
        store.subscriptions.get(made[1].id)
    assert store.subscriptions.get(made[0].id) is not None
    assert claimed(store) == {made[0].id: 11, made[2].id: 11}
    store.ping()


@pytest.mark.parametrize("how", ["kill", "pause"])
def test_a_node_that_is_back_is_used_again_and_has_lost_nothing(
    cluster: Cluster, connect: Connect, how: str
) -> None:
    store = connect(cluster.url)
    _, second, _ = one_of_each(cluster)
    made = created(store, registration=second)
    append(store, invitation(1, registration=second))
    node = cluster.masters[1]
    getattr(node, how)()
    assert not works(store, second, 2)
    if how == "kill":
        node.start()
    else:
        node.resume()
    eventually(lambda: works(store, second, 2), "the node is used again")
    # What was not answered in time may have been done: its repeat changes nothing.
    assert claimed(store) == {made.id: 2}


def test_an_event_without_subject_needs_no_node_but_those_of_its_session(
    cluster: Cluster, connect: Connect
) -> None:
    store = connect(cluster.url)
    # Where it is asked whether there is any subscription to a device.
    asked = cluster.master_of(Partition(0).devices)
    there = next(master for master in cluster.masters if master is not asked)
    session = session_on(cluster, there)
    (registration,) = registrations_on(cluster, there, 1)
    created(store, registration=registration, event_type=EventType.SESSION_STATUS, session=session)
    named, unnamed = (
        session_status(number, registration=of, session=session)
        for number, of in ((1, registration), (2, None))
    )
    store.events.accept([named])
    asked.kill()
    (result,) = store.events.accept([unnamed])
    assert (result.new, result.subscriptions) == (True, 1)


def test_marks_of_devices_are_restored_where_there_is_an_answer_and_asked_for_now_and_then(
    cluster: Cluster, connect: Connect
) -> None:
    store = connect(cluster.url)
    created_for(store)
    first, out, third = cluster.masters
    lost = next(
        partition
        for partition in store.connection.partitions
        if cluster.master_of(partition.devices) is first
    )
    out.pause()
    clock = SteppedClock()
    marks = DeviceMarks(store.connection, clock)
    with first.client() as client, third.client() as another:
        client.delete(lost.devices)
        marks.restore()
        assert client.bitcount(lost.devices) == 1

        def looks() -> int:
            return int(another.info("commandstats")["cmdstat_bitcount"]["calls"])

        looked = looks()
        for _ in range(29):
            clock.sleep(1)
            marks.restore()
        assert looks() == looked
        clock.sleep(1)
        marks.restore()
        assert looks() > looked


def test_settling_does_what_it_can(cluster: Cluster, connect: Connect) -> None:
    store = connect(cluster.url)
    registrations = one_of_each(cluster)
    for name in registrations:
        created(store, registration=name)
        append(store, invitation(1, registration=name))
    claims = store.claims.claim(
        [partition_of(registration, 64) for registration in registrations], subscriptions=1, events=1
    )
    settlements = [Settlement(claim, 1) for claim in claims]
    cluster.masters[1].pause()
    assert store.claims.settle(settlements) == ["idle", "unanswered", "idle"]
    cluster.masters[1].resume()
    eventually(lambda: store.claims.settle(settlements[1:2]) == ["idle"], "the node is used again")


def test_the_sweeper_does_what_it_can(
    cluster: Cluster, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    store = connect(cluster.url)
    soon = round(CLOCK.now() * 1000) + 1_500
    ids = [created(store, registration=key, expires_at_ms=soon).id for key in one_of_each(cluster)]
    cluster.masters[1].kill()

    def ended(wanted: list[str]) -> bool:
        store.expiry.sweep()
        return [
            subscription.status for subscription in map(store.subscriptions.get, wanted) if subscription
        ] == ["EXPIRED"] * len(wanted)

    eventually(lambda: ended([ids[0], ids[2]]), "the others have ended")
    assert caplog.text.count("the store does not serve partitions") == 1
    cluster.masters[1].start()
    eventually(lambda: ended(ids), "all have ended")

    def is_said(text: str) -> bool:
        # Of a node that comes back, some partitions may be served before others.
        store.expiry.sweep()
        return text in caplog.text

    eventually(lambda: is_said("the store serves every partition again"), "the log says so")
    assert caplog.text.count("the store serves every partition again") == 1


def test_a_subscription_whose_client_is_out_of_reach_is_removed_later(
    cluster: Cluster, connect: Connect
) -> None:
    store = connect(cluster.url, RETENTION_S="1")
    _, second, _ = one_of_each(cluster)
    # Its client's index is on the first master, it is on the second.
    client = client_on(cluster, cluster.masters[0])
    made = created(store, registration=second, client=client, expires_at_ms=round(CLOCK.now() * 1000) + 500)
    other = created(store, registration=second, client="x")
    eventually(lambda: store.expiry.sweep() == 1, "it has expired")
    (claim,) = store.claims.claim([partition_of(second, 64)], subscriptions=1, events=1)
    assert store.claims.settle([Settlement(claim, 1)]) == ["ended"]
    cluster.masters[0].kill()
    deadline = CLOCK.monotonic() + 3
    while CLOCK.monotonic() < deadline:
        assert store.expiry.sweep() == 0
        CLOCK.sleep(0.1)
    cluster.masters[0].start()
    eventually(lambda: store.expiry.sweep() == 1, "it is removed")
    assert store.subscriptions.get(made.id) is None
    assert store.subscriptions.get(other.id) is not None


def test_a_create_at_a_session_that_is_out_of_reach_takes_no_quota(
    cluster: Cluster, connect: Connect
) -> None:
    store = connect(cluster.url, MAX_SUBSCRIPTIONS="2")
    registration, _, _ = one_of_each(cluster)
    client = client_on(cluster, cluster.masters[0])
    session = session_on(cluster, cluster.masters[1])
    cluster.masters[1].kill()
    for _ in range(3):
        with pytest.raises(Unavailable):
            created(
                store,
                registration=registration,
                client=client,
                session=session,
                event_type=EventType.SESSION_STATUS,
            )
    for _ in range(2):
        created(store, registration=registration, client=client)
    assert len(all_of(store, client)) == 2


def test_there_is_no_subscription_that_its_session_cannot_lead_to(
    cluster: Cluster, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session's node goes out after the first round trip of the create."""
    store = connect(cluster.url)
    registration, _, _ = one_of_each(cluster)
    client = client_on(cluster, cluster.masters[0])
    session = session_on(cluster, cluster.masters[1])
    run_create = SessionJoins.run_create

    def when_out(joins: SessionJoins, *args: Any) -> Any:
        cluster.masters[1].kill()
        return run_create(joins, *args)

    monkeypatch.setattr(SessionJoins, "run_create", when_out)
    made = new_subscription(
        registration=registration, client=client, session=session, event_type=EventType.SESSION_STATUS
    )
    with pytest.raises(Unavailable):
        store.subscriptions.create(made, sink=SINK, headers={}, sealed=None)
    assert store.subscriptions.get(made.id) is None
    partition = partition_of(registration, 64)
    assert not store.client.exists(partition.session(session))
    assert not store.client.exists(partition.registration(made.type, registration))


def test_a_store_that_is_out_as_a_whole_is_unavailable(cluster: Cluster, connect: Connect) -> None:
    store = connect(cluster.url)
    created(store)
    append(store, invitation(1))
    (claim,) = store.claims.claim([partition_of("r1", 64)], subscriptions=1, events=1)
    for master in cluster.masters:
        master.kill()
    for use in (
        store.ping,
        store.expiry.sweep,
        lambda: claimed(store),
        lambda: store.claims.settle([Settlement(claim, 1)]),
        lambda: all_of(store),
        lambda: connect(cluster.url),
    ):
        with pytest.raises(Unavailable):
            use()


def test_deliveries_of_other_nodes_go_on(
    cluster: Cluster, connect: Connect, build: Build, sink: RecordingSink
) -> None:
    store = connect(cluster.url)
    registrations = one_of_each(cluster)
    for name in registrations:
        created(store, registration=name, sink=sink.url_of(f"/{name}"))
    worker = build(cluster.url)
    cluster.masters[1].pause()
    for number in range(1, 21):
        for name in (registrations[0], registrations[2]):
            append(store, invitation(number, registration=name))
        sink.wait_for(2 * number)
    assert not works(store, registrations[1], 1)
    assert worker.alive() == {"dispatcher": True, "sweeper": True, "store watch": True}
    cluster.masters[1].resume()
    eventually(lambda: works(store, registrations[1], 1), "the node is used again")
    sink.wait_for(41)
    for registration in registrations:
        numbers = [
            request.json["data"]["sequenceNumber"]
            for request in sink.requests
            if request.path == f"/{registration}"
        ]
        assert numbers == ([1] if registration == registrations[1] else list(range(1, 21)))


def test_what_was_delivered_while_its_node_was_out_is_settled_later(
    cluster: Cluster, connect: Connect, build: Build, sink: RecordingSink
) -> None:
    store = connect(cluster.url)
    _, second, _ = one_of_each(cluster)
    made = created(store, registration=second, sink=sink.url, max_events=3)
    sink.answer = lambda _: Answer(delay_s=0.5)
    build(cluster.url)
    append(store, invitation(1, registration=second))
    sink.wait_for(1)
    # The answer comes to a dispatcher that cannot settle.
    cluster.masters[1].pause()
    CLOCK.sleep(3.0)
    cluster.masters[1].resume()
    eventually(lambda: works(store, second, 2) and works(store, second, 3), "the node is used again")
    sink.wait_for(4)
    assert [request.json["id"] for request in sink.requests] == [f"{made.id}.{n}" for n in range(1, 5)]


def test_hints_come_from_every_node_and_again_from_one_that_is_back(
    cluster: Cluster, connect: Connect
) -> None:
    store = connect(cluster.url)
    registrations = one_of_each(cluster)
    client = client_on(cluster, cluster.masters[0])
    count = 0

    def hint_of(registration: str) -> bool:
        nonlocal count
        count += 1
        created(store, registration=registration, client=client)
        append(store, invitation(count, registration=registration))
        return hearing.numbers(1) == {partition_of(registration, 64).number}

    with Hearing(store) as hearing:
        assert hearing.numbers(0) == set()
        assert [hint_of(registration) for registration in registrations] == [True, True, True]
        assert sorted(hearing.missed()) == list(range(64))
        cluster.masters[1].kill()
        assert not works(store, registrations[1], 0)
        assert [hint_of(registrations[0]), hint_of(registrations[2])] == [True, True]
        cluster.masters[1].start()
        eventually(lambda: hint_of(registrations[1]), "it is heard again")
        assert partition_of(registrations[1], 64).number in hearing.missed()
