"""Events that come one by one are accepted as those of a batch, together with what comes meanwhile."""

import asyncio
import dataclasses
from itertools import count
from typing import Any

import hypothesis
import pytest
import redis
from hypothesis import strategies as st

from tests.harness.builders import created, invitation, session_status
from tests.store.devices import created_for, registered
from tests.store.singles import Found, P, Threads, outbox, ready, run, said, together
from webrtc_events.core.model import NetworkEvent
from webrtc_events.core.request_context import current_request, entered_request
from webrtc_events.store.keys import partition_of, session_state_key
from webrtc_events.store.single_appends import SingleAppends
from webrtc_events.store.store import Store

RUNS = count()


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


def test_what_is_logged_of_a_step_names_no_request(one_node: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    singles = ready(one_node)
    seen: list[object] = []
    step = one_node.events.step

    def noted(events: Any) -> Any:
        seen.append(current_request())
        return step(events)

    monkeypatch.setattr(one_node.events, "step", noted)
    with entered_request("c-1"):
        assert said(run(together(singles, invitation(1)))) == [(True, 0)]
    assert seen == [None]
