"""Whoever names many token servers, or one that hangs, takes nothing of others."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
import redis

from tests.delivery.deliveries import Make, dead_letters, sequence
from tests.delivery.test_fetched_tokens import (
    PATIENT,
    Fetching,
    bearers,
    fetching,
    run_until,
    token_server,
)
from tests.harness.builders import append, created, invitation
from tests.harness.sinks import Answer, Received, RecordingSink
from tests.harness.token_server import TokenServer
from webrtc_events.core.activity import Activity
from webrtc_events.delivery.dispatcher import DispatcherOptions
from webrtc_events.store.store import Store

__all__ = ["fetching", "token_server"]

GREEDY = 400


def hanging(released: threading.Event) -> Callable[[Received], Answer]:
    def answer(_: Received) -> Answer:
        released.wait(30)
        return Answer(503)

    return answer


def test_a_greedy_client_with_a_server_that_hangs_holds_up_no_other(
    fetching: Fetching, sink: RecordingSink, token_server: TokenServer
) -> None:
    """Hundreds of URIs at a server that does not answer; notifications of others go out meanwhile."""
    released = threading.Event()
    proper = token_server.answer
    with TokenServer(token_server.key_set, authority=sink.authority) as other:
        other.answer = hanging(released)
        for number in range(GREEDY):
            fetching.subscribe(sink.url, client="greedy", token_uri=other.url_of(f"/token/{number}"))
        append(fetching.store, invitation(1))
        driver = fetching.driver(
            options=DispatcherOptions(poll_s=0.02, limits=PATIENT), limits=PATIENT, calls="in the loop"
        )
        run_until(driver, lambda: len(other.requests) > 0)
        fetching.subscribe(sink.url, client="modest", registration="r2")
        created(fetching.store, client="plain", registration="r2", sink=sink.url)
        append(fetching.store, invitation(1, registration="r2"), invitation(2, registration="r2"))
        run_until(driver, lambda: len(sink.requests) == 4)
        assert sorted(map(str, bearers(sink))) == ["Bearer token-1"] * 2 + ["None"] * 2
        # A host that has not answered yet gets a few requests at a time, whatever their paths.
        assert len(other.requests) <= 64
        released.set()
        other.answer = proper


def test_what_waits_for_one_token_is_bounded_and_all_of_it_goes_out(
    fetching: Fetching, sink: RecordingSink, token_server: TokenServer, raw_store: "redis.Redis"
) -> None:
    for _ in range(GREEDY):
        fetching.subscribe(sink.url)
    append(fetching.store, invitation(1))
    activity = Activity()
    driver = fetching.driver(activity=activity, limits=PATIENT)
    run_until(driver, lambda: len(sink.requests) == GREEDY, 60)
    assert len(token_server.requests) == 1
    assert set(bearers(sink)) == {"Bearer token-1"}
    assert dict(activity.retries) == {}
    assert dead_letters(raw_store) == []


def test_a_server_that_is_gone_for_a_while_delays_and_loses_nothing(
    fetching: Fetching, sink: RecordingSink, token_server: TokenServer, raw_store: "redis.Redis"
) -> None:
    token_server.faults = [Answer(503)] * 2
    for _ in range(20):
        fetching.subscribe(sink.url)
    append(fetching.store, *(invitation(number) for number in range(1, 6)))
    activity = Activity()
    driver = fetching.driver(activity=activity)
    run_until(driver, lambda: len(sink.requests) == 100, 60)
    assert len(token_server.requests) == 3, "the pause is shared"
    by_subscription: dict[str, list[Any]] = {}
    for request in sink.requests:
        by_subscription.setdefault(request.json["id"].partition(".")[0], []).append(request)
    assert all(sequence(requests) == [1, 2, 3, 4, 5] for requests in by_subscription.values())
    assert dead_letters(raw_store) == []


def test_a_worker_that_stops_while_tokens_are_fetched_leaves_all_to_the_next(
    fetching: Fetching, sink: RecordingSink, token_server: TokenServer, store: Store
) -> None:
    released = threading.Event()
    proper = token_server.answer
    token_server.answer = hanging(released)
    for _ in range(5):
        fetching.subscribe(sink.url)
    append(store, invitation(1))
    driver = fetching.driver(options=DispatcherOptions(poll_s=0.02, limits=PATIENT), limits=PATIENT)
    run_until(driver, lambda: len(token_server.requests) == 1)
    for _ in range(50):
        driver.dispatcher.step(claiming=False)
        if driver.dispatcher.idle:
            break
    assert driver.dispatcher.idle
    token_server.answer = proper
    released.set()
    fetching.driver().run()
    assert bearers(sink) == ["Bearer token-1"] * 5


@pytest.mark.parametrize("waits", [1, 30])
def test_a_token_that_comes_late_finds_what_waited_or_what_has_gone_back(
    fetching: Fetching, sink: RecordingSink, token_server: TokenServer, make_driver: Make, waits: int
) -> None:
    """A lease lasts 13.2 s: after a token of 4 s no exchange of 10 s fits, and the next claim sends."""
    proper = token_server.answer

    def late(received: Received) -> Answer:
        threading.Event().wait(4)
        return proper(received)

    token_server.answer = late
    for _ in range(waits):
        fetching.subscribe(sink.url)
    append(fetching.store, invitation(1))
    activity = Activity()
    driver = fetching.driver(
        options=DispatcherOptions(poll_s=0.02, limits=PATIENT), limits=PATIENT, activity=activity
    )
    run_until(driver, lambda: len(sink.requests) == waits, 30)
    assert activity.retried == 0
    assert len(token_server.requests) == 1


def test_a_reply_that_is_not_taken_in_by_a_bug_costs_its_own_tasks_alone(
    fetching: Fetching, sink: RecordingSink, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def bug(*_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr("webrtc_events.delivery.sink_tokens.read_token", bug)
    for _ in range(3):
        fetching.subscribe(sink.url)
    created(fetching.store, client="plain", registration="r2", sink=sink.url)
    append(fetching.store, invitation(1))
    append(fetching.store, invitation(1, registration="r2"))
    driver = fetching.driver()
    run_until(driver, lambda: len(sink.requests) == 1 and "was not taken in" in caplog.text)
    run_until(driver, lambda: driver.dispatcher.idle)
    assert bearers(sink) == [None]
    assert caplog.text.count("failed and is left to its lease") == 3
