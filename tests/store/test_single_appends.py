"""Events that come one by one are accepted as those of a batch, together with what comes meanwhile."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import hypothesis
import pytest
import redis
from hypothesis import strategies as st

from tests.harness.builders import append, created, invitation, session_status
from tests.harness.valkeys import ValkeyServer
from tests.store.devices import created_for, registered
from webrtc_events.core.errors import NewerRelease, Unavailable, Unreachable
from webrtc_events.core.model import EventType, NetworkEvent
from webrtc_events.core.request_context import current_request, entered_request
from webrtc_events.core.settings import Settings
from webrtc_events.store.appends import AppendResult
from webrtc_events.store.keys import partition_of, partition_of_subscription, session_state_key
from webrtc_events.store.outbox_entries import parse_entry
from webrtc_events.store.redis.begun import Begun
from webrtc_events.store.redis.client import Client
from webrtc_events.store.script_options import StoreOptions
from webrtc_events.store.single_appends import SingleAppends
from webrtc_events.store.store import Store

T = TypeVar("T")
STATUS = EventType.SESSION_STATUS
P = partition_of("r1", 64)
RUNS = count()
Found = list[AppendResult | BaseException]


class Threads:
    """Counts what is done in threads."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        self.count += 1
        return asyncio.to_thread(work)


def run(work: Awaitable[T]) -> T:
    async def bounded() -> T:
        return await asyncio.wait_for(work, 60)

    return asyncio.run(bounded())


async def together(singles: SingleAppends, *events: NetworkEvent) -> Found:
    return list(await asyncio.gather(*map(singles.append, events), return_exceptions=True))


def said(found: Found) -> list[tuple[bool, int] | type[BaseException]]:
    return [
        type(result) if isinstance(result, BaseException) else (result.new, result.subscriptions)
        for result in found
    ]


def outbox(raw_store: "redis.Redis", subscription_id: str) -> list[str]:
    """The names of the events that it holds, by their sequence numbers."""
    partition = partition_of_subscription(subscription_id, 64)
    assert partition is not None
    held = raw_store.lrange(partition.outbox(subscription_id), 0, -1)
    entries = [parse_entry(entry).payload for entry in held]
    return ["e" + payload.partition('"sequenceNumber": ')[2].partition("}")[0] for payload in entries]


@pytest.fixture
def one_node(store: Store) -> Store:
    if store.client.nodes.has_slots:
        pytest.skip("where the store has slots each event goes alone")
    return store


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many scripts were sent in each step that was begun."""
    counts: list[int] = []
    begin = Client.begin

    def counted(client: Client, commands: Any) -> Begun | None:
        found = begin(client, commands)
        if found is not None:
            counts.append(len(commands))
        return found

    monkeypatch.setattr(Client, "begin", counted)
    return counts


def ready(store: Store, in_thread: Any = asyncio.to_thread) -> SingleAppends:
    """Once its connections are there."""
    singles = SingleAppends(store.events, in_thread)
    run(together(singles, invitation(0, registration="nobody")))
    return singles


def test_each_gets_its_own_result(store: Store, raw_store: "redis.Redis") -> None:
    made = [created(store) for _ in range(2)] + [created(store, registration="r2")]
    singles = SingleAppends(store.events, asyncio.to_thread)
    events = [invitation(1), invitation(1, registration="r2", source="/2"), invitation(2)]
    assert said(run(together(singles, *events))) == [(True, 2), (True, 1), (True, 2)]
    assert said(run(together(singles, *events, invitation(3)))) == [(False, 0)] * 3 + [(True, 2)]
    assert sorted(outbox(raw_store, made[0].id)) == ["e1", "e2", "e3"]


def test_what_comes_at_once_is_one_step_and_in_order(
    one_node: Store, raw_store: "redis.Redis", begun: list[int]
) -> None:
    made = created(one_node)
    threads = Threads()
    singles = ready(one_node, threads)
    threads.count, begun[:] = 0, []
    found = run(together(singles, *(invitation(number) for number in range(1, 120))))
    assert said(found) == [(True, 1)] * 119
    assert outbox(raw_store, made.id) == [f"e{number}" for number in range(1, 120)]
    # 50 at most in a script.
    assert begun == [1, 1, 1]
    assert threads.count == 0


def test_one_that_comes_alone_waits_for_nobody(one_node: Store, begun: list[int]) -> None:
    created(one_node)
    singles = ready(one_node)
    begun.clear()

    async def one_after_the_other() -> Found:
        return [await singles.append(invitation(number)) for number in range(1, 4)]

    assert said(run(one_after_the_other())) == [(True, 1)] * 3
    assert begun == [1, 1, 1]


@hypothesis.settings(
    max_examples=40, deadline=None, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
@hypothesis.given(
    rounds=st.lists(
        st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4)), min_size=1, max_size=9), max_size=4
    )
)
def test_whatever_comes_at_once_is_as_if_it_came_in_a_batch(
    one_node: Store, raw_store: "redis.Redis", rounds: list[list[tuple[int, int]]]
) -> None:
    run_number = next(RUNS)

    def events(way: str, of_round: list[tuple[int, int]]) -> list[NetworkEvent]:
        return [
            invitation(number, registration=f"{way}-{run_number}-{which}", source=f"/{way}/{run_number}")
            for which, number in of_round
        ]

    made = {
        way: [created(one_node, registration=f"{way}-{run_number}-{which}") for which in range(3)]
        for way in ("batch", "single")
    }
    singles = ready(one_node)
    for of_round in rounds:
        batch = one_node.events.accept(events("batch", of_round))
        assert said(list(batch)) == said(run(together(singles, *events("single", of_round))))
    batches, alone = ([outbox(raw_store, one.id) for one in of_way] for of_way in made.values())
    assert batches == alone


def test_sessions_are_recorded_as_by_a_batch(store: Store, raw_store: "redis.Redis") -> None:
    singles = ready(store)
    run(together(singles, *(session_status(n, session=f"s{n}", registration="r1") for n in range(2, 5))))
    store.events.accept([session_status(5, session="s5", registration="r1")])
    states = [raw_store.hgetall(session_state_key(f"s{n}")) for n in range(2, 6)]
    assert all(states)
    assert len({frozenset(state) for state in states}) == 1


def test_an_event_that_names_no_registration_finds_its_session(store: Store) -> None:
    created(store, event_type=session_status(1).type, session="s1")
    singles = ready(store)
    first = session_status(1, registration="r1")
    found = run(together(singles, first, invitation(9, registration="r9")))
    found += run(together(singles, session_status(2), invitation(10, registration="r9")))
    assert said(found) == [(True, 1), (True, 0), (True, 1), (True, 0)]


def test_one_session_of_two_partitions_is_no_step_together(
    one_node: Store, raw_store: "redis.Redis", begun: list[int]
) -> None:
    """Its states are recorded in the order in which they came. What else came does not wait for it."""
    other = next(f"r{n}" for n in range(2, 99) if partition_of(f"r{n}", 64) != P)
    for registration in ("r1", other):
        created(one_node, registration=registration)
    singles = ready(one_node)
    begun.clear()
    of_two = [
        dataclasses.replace(session_status(n, session="s9", registration=other if n % 2 else "r1"), time_ms=n)
        for n in range(1, 7)
    ]
    others = [invitation(number, registration="r1", source="/others") for number in range(1, 41)]
    assert said(run(together(singles, *of_two, *others)))[6:] == [(True, 1)] * 40
    # One for each time that it changes sides, and the first has all others.
    assert begun == [1] * 6
    assert raw_store.hget(session_state_key("s9"), "name") == of_two[-1].name


def test_what_names_no_registration_holds_nobody_up(one_node: Store, begun: list[int]) -> None:
    created(one_node)
    singles = ready(one_node)
    begun.clear()
    events = [
        session_status(number, session=f"s{number}") if number % 20 == 0 else invitation(number)
        for number in range(1, 201)
    ]
    found = said(run(together(singles, *events)))
    assert [result for result in found if result == (True, 1)] == [(True, 1)] * 190
    assert len(begun) == 4


def test_events_that_are_too_much_for_one_step_are_several(one_node: Store, begun: list[int]) -> None:
    created(one_node)
    threads = Threads()
    singles = ready(one_node, threads)
    threads.count, begun[:] = 0, []
    events = [dataclasses.replace(invitation(number), payload="x" * 300_000) for number in range(1, 9)]
    assert said(run(together(singles, *events))) == [(True, 1)] * 8
    assert len(begun) == 3


def test_who_is_gone_changes_nothing_for_others(store: Store, raw_store: "redis.Redis") -> None:
    made = created(store)
    singles = ready(store)

    async def one_is_cancelled() -> Found:
        tasks = [asyncio.ensure_future(singles.append(invitation(number))) for number in range(1, 4)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        return list(await asyncio.gather(*tasks, return_exceptions=True))

    assert said(run(one_is_cancelled())) == [(True, 1), asyncio.CancelledError, (True, 1)]
    assert said(run(together(singles, invitation(4)))) == [(True, 1)]
    assert {"e1", "e3", "e4"} <= set(outbox(raw_store, made.id))


def test_each_loop_begins_anew(store: Store) -> None:
    """As those of tests, and of a server that is started again in a process."""
    singles = ready(store)

    async def left_behind() -> None:
        task = asyncio.ensure_future(singles.append(invitation(1)))
        await asyncio.sleep(0)
        assert not task.done()

    # What is under way ends with the loop, unanswered.
    run(left_behind())
    assert said(run(together(singles, invitation(2)))) == [(True, 0)]


def test_subscriptions_to_the_device_of_a_registration_have_it_too(store: Store) -> None:
    registered(store)
    created_for(store)
    created(store)
    singles = ready(store)
    assert said(run(together(singles, invitation(1), invitation(2)))) == [(True, 2)] * 2
    assert said(run(together(singles, invitation(1)))) == [(False, 0)]


def test_an_error_of_one_harms_no_neighbour(one_node: Store, raw_store: "redis.Redis") -> None:
    """A newer release wrote what one of them would touch: it is refused, and those beside it are not."""
    created(one_node)
    theirs = created(one_node, registration="r2")
    raw_store.hset(partition_of("r2", 64).subscription(theirs.id), "format", 99)
    singles = ready(one_node)
    events = [invitation(number, registration=f"r{2 if number == 3 else 1}") for number in range(1, 6)]
    found = said(run(together(singles, *events)))
    assert found == [(True, 1), (True, 1), NewerRelease, (True, 1), (True, 1)]
    same = [invitation(number, registration="r2", source="/same") for number in range(1, 3)]
    assert said(run(together(singles, *same))) == [NewerRelease] * 2


def test_what_was_done_before_an_error_is_known(one_node: Store, raw_store: "redis.Redis") -> None:
    """In one partition: the one behind is refused, and who came before it is told that it was new."""
    created(one_node)
    of_session = created(one_node, event_type=STATUS, session="s7")
    raw_store.hset(P.subscription(of_session.id), "format", 99)
    singles = ready(one_node)
    refused = session_status(3, session="s7", registration="r1")
    found = said(run(together(singles, invitation(1), invitation(2), refused, invitation(4))))
    assert found == [(True, 1), (True, 1), NewerRelease, (True, 1)]


def test_an_error_of_a_whole_step_is_that_of_nobody(one_node: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    created(one_node)
    singles = ready(one_node)

    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("webrtc_events.store.appends._read_answer", broken)
    assert said(run(together(singles, invitation(1)))) == [RuntimeError]
    monkeypatch.undo()
    assert said(run(together(singles, invitation(1), invitation(2)))) == [(False, 0), (True, 1)]


def test_what_is_logged_of_a_step_names_no_request(one_node: Store) -> None:
    singles = ready(one_node)
    seen: list[object] = []
    step = one_node.events.step

    def noted(events: Any) -> Any:
        seen.append(current_request())
        return step(events)

    one_node.events.step = noted  # type: ignore[method-assign]
    with entered_request("c-1"):
        assert said(run(together(singles, invitation(1)))) == [(True, 0)]
    assert seen == [None]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ValkeyServer]:
    with ValkeyServer(tmp_path, aof="no") as running:
        yield running


@pytest.fixture
def own_store(server: ValkeyServer, environ: dict[str, str]) -> Iterator[Store]:
    store = Store.connect(Settings.from_environ(environ | {"WEBRTC_EVENTS_REDIS_URL": server.url}))
    yield store
    store.close()


def test_a_store_that_is_gone_is_said_to_all_who_wait(own_store: Store, server: ValkeyServer) -> None:
    singles = ready(own_store)
    server.kill()
    found = run(together(singles, *(invitation(number) for number in range(200))))
    assert said(found) == [Unreachable] * 200
    # Each has an error of its own: its traceback grows on its way.
    assert len({id(error) for error in found}) == 200
    server.start()
    server.wait_ready()
    assert said(run(together(singles, invitation(1)))) == [(True, 0)]


def test_a_store_that_hangs_takes_all_no_longer_than_two(own_store: Store, server: ValkeyServer) -> None:
    singles = ready(own_store)
    server.pause()
    try:

        async def timed() -> tuple[Found, float]:
            began_s = asyncio.get_running_loop().time()
            found = await together(singles, *(invitation(number) for number in range(500)))
            return found, asyncio.get_running_loop().time() - began_s

        found, took_s = run(timed())
    finally:
        server.resume()
    assert said(found) == [Unreachable] * 500
    # Ten steps one after the other would take 20 s.
    assert took_s < 12
    assert said(run(together(singles, invitation(501)))) == [(True, 0)]


def test_a_connection_that_broke_is_no_outage(own_store: Store) -> None:
    """Those of its step are told, and who came meanwhile is served."""
    singles = ready(own_store)
    step = own_store.events.step
    steps = count(1)

    def first_is_lost(events: Any) -> Any:
        found = step(events)
        if next(steps) == 1:

            def lost(*_: object) -> None:
                raise Unreachable("lost")

            found.finish = lost
        return found

    own_store.events.step = first_is_lost  # type: ignore[method-assign]
    found = said(run(together(singles, *(invitation(number) for number in range(1, 101)))))
    assert found == [Unreachable] * 50 + [(True, 0)] * 50


def test_a_node_of_a_cluster_that_was_taken_for_a_server(store: Store, raw_store: "redis.Redis") -> None:
    if not store.client.nodes.has_slots:
        pytest.skip("a server has no slots")
    created(store)
    store.client.nodes.has_slots = False
    found = run(together(SingleAppends(store.events, asyncio.to_thread), invitation(1)))
    assert said(found) == [(True, 1)]
    assert store.client.nodes.has_slots


def test_a_full_store_is_said_to_each_alone(own_store: Store, server: ValkeyServer) -> None:
    created(own_store)
    singles = ready(own_store)
    with server.client() as client:
        client.config_set("maxmemory", client.info("memory")["used_memory"] + 1)
        assert said(run(together(singles, *map(invitation, range(1, 4))))) == [Unavailable] * 3
        client.config_set("maxmemory", 0)
    assert said(run(together(singles, *map(invitation, range(1, 4))))) == [(True, 1)] * 3


def test_forgotten_scripts_are_sent_again(store: Store, raw_store: "redis.Redis") -> None:
    created(store)
    singles = ready(store)
    raw_store.script_flush()
    assert said(run(together(singles, invitation(1), invitation(2)))) == [(True, 1)] * 2


def test_nothing_is_taken_while_the_store_keeps_nothing(store: Store) -> None:
    singles = ready(store)
    store.guard.close()
    assert said(run(together(singles, invitation(1), invitation(2)))) == [Unavailable] * 2
    store.guard.open()
    assert said(run(together(singles, invitation(1), invitation(2)))) == [(True, 0)] * 2


def test_an_event_for_very_many_is_done_with(settings: Settings, raw_store: "redis.Redis") -> None:
    """A script goes through some of its subscriptions, and others after it get nothing done."""
    store = Store.connect(settings, StoreOptions(work=4))
    try:
        made = [created(store) for _ in range(13)]
        found = run(together(ready(store), *(invitation(number) for number in range(1, 6))))
        assert said(found) == [(True, 13)] * 5
        assert {len(outbox(raw_store, one.id)) for one in made} == {5}
        assert append(store, invitation(1)) == [(False, 0)]
    finally:
        store.close()


def test_with_replicas_to_wait_for_each_goes_alone(settings: Settings, begun: list[int]) -> None:
    """None is there, so nobody is told that it is kept."""
    store = Store.connect(dataclasses.replace(settings, ack_replicas=1))
    try:
        singles = SingleAppends(store.events, asyncio.to_thread)
        assert said(run(together(singles, invitation(1)))) == [Unavailable]
        assert begun == []
    finally:
        store.close()
