"""What goes wrong with one event that came alone, or with the store, is said to whom it concerns."""

import asyncio
import dataclasses
from itertools import count
from typing import Any

import pytest
import redis

from tests.harness.builders import append, created, invitation, session_status
from tests.harness.valkeys import ValkeyServer
from tests.store.singles import Found, P, outbox, ready, run, said, together
from webrtc_events.core.errors import NewerRelease, Unavailable, Unreachable
from webrtc_events.core.model import EventType
from webrtc_events.core.settings import Settings
from webrtc_events.store.keys import partition_of
from webrtc_events.store.script_options import StoreOptions
from webrtc_events.store.single_appends import SingleAppends
from webrtc_events.store.store import Store

STATUS = EventType.SESSION_STATUS


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


def test_a_store_that_is_gone_is_said_to_all_who_wait(own_store: Store, own_server: ValkeyServer) -> None:
    singles = ready(own_store)
    own_server.kill()
    found = run(together(singles, *(invitation(number) for number in range(200))))
    assert said(found) == [Unreachable] * 200
    # Each has an error of its own: its traceback grows on its way.
    assert len({id(error) for error in found}) == 200
    own_server.start()
    own_server.wait_ready()
    assert said(run(together(singles, invitation(1)))) == [(True, 0)]


def test_a_store_that_hangs_takes_all_no_longer_than_two(own_store: Store, own_server: ValkeyServer) -> None:
    singles = ready(own_store)
    own_server.pause()
    try:

        async def timed() -> tuple[Found, float]:
            began_s = asyncio.get_running_loop().time()
            found = await together(singles, *(invitation(number) for number in range(500)))
            return found, asyncio.get_running_loop().time() - began_s

        found, took_s = run(timed())
    finally:
        own_server.resume()
    assert said(found) == [Unreachable] * 500
    # Ten steps one after the other would take 20 s.
    assert took_s < 12
    assert said(run(together(singles, invitation(501)))) == [(True, 0)]


def test_a_connection_that_broke_is_no_outage(own_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
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

    monkeypatch.setattr(own_store.events, "step", first_is_lost)
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


def test_a_full_store_is_said_to_each_alone(own_store: Store, own_server: ValkeyServer) -> None:
    created(own_store)
    singles = ready(own_store)
    with own_server.client() as client:
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
