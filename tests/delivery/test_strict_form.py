"""WEBRTC_EVENTS_STRICT_CLOUDEVENTS with client ids: each subscriber gets the form that is its client's."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import redis

from tests.delivery.conftest import DispatcherDriver
from tests.harness.builders import append, created, invitation, session_status
from tests.harness.sinks import Received, RecordingSink
from webrtc_events.contract.documents import load_public
from webrtc_events.core.client_choice import parse_client_choice
from webrtc_events.core.model import ContractVersion, EventType, Status, TerminationReason
from webrtc_events.core.settings import Settings
from webrtc_events.store.dead_letters import DeadLetterFilter, DeadLetters
from webrtc_events.store.keys import partition_of
from webrtc_events.store.store import Store

P = partition_of("r1", 64)
Make = Callable[..., DispatcherDriver]
MOVED = {"mediaSessionId", "status"}


def chosen(settings: Settings, raw: str) -> Settings:
    return dataclasses.replace(settings, strict_cloudevents=parse_client_choice(raw))


def subscribed(store: Store, sink: RecordingSink, client: str, path: str = "/", **values: Any) -> str:
    made = created(
        store,
        sink=sink.url_of(path),
        client=client,
        event_type=EventType.SESSION_STATUS,
        session="s1",
        **values,
    )
    return made.id


def is_strict(received: Received) -> bool:
    """Whether it is in the strict form; in either it is valid by its own document."""
    event = received.json
    strict = not MOVED & event.keys()
    assert load_public(strict_cloudevents=strict).validator("CloudEvent").first_fault(event) is None
    assert strict or event.keys() >= MOVED
    assert event["data"].keys() >= MOVED
    return strict


def test_each_client_gets_its_form(
    store: Store, settings: Settings, sink: RecordingSink, make_driver: Make
) -> None:
    clients = ["app-1", "app-2", "App-1", "app-1x", "a,b", "true", "my app"]
    for number, client in enumerate(clients):
        subscribed(store, sink, client, f"/{number}")
    append(store, session_status(1), to=P.number)
    make_driver(settings=chosen(settings, "app-1,a%2Cb,%74rue,my%20app,nobody")).run()
    got = {clients[int(request.path[1:])]: is_strict(request) for request in sink.requests}
    assert got == {
        "app-1": True,
        "app-2": False,
        "App-1": False,
        "app-1x": False,
        "a,b": True,
        "true": True,
        "my app": True,
    }


@pytest.mark.parametrize(("raw", "strict"), [("true", True), ("false", False)])
def test_a_switch_is_for_every_client(
    store: Store, settings: Settings, sink: RecordingSink, make_driver: Make, raw: str, *, strict: bool
) -> None:
    for client in ("app-1", "app-2"):
        subscribed(store, sink, client)
    append(store, session_status(1), to=P.number)
    make_driver(settings=chosen(settings, raw)).run()
    assert [is_strict(request) for request in sink.requests] == [strict] * 2


def test_it_is_about_session_status_alone(
    store: Store, settings: Settings, sink: RecordingSink, make_driver: Make
) -> None:
    """Other events are CloudEvents in either form, and are the same."""
    made = [created(store, sink=sink.url_of(f"/{client}"), client=client).id for client in ("app-1", "app-2")]
    append(store, invitation(1))
    for subscription_id in made:
        store.subscriptions.end(
            subscription_id, TerminationReason.NETWORK_TERMINATED, Status.EXPIRED, drop_pending=False
        )
    make_driver(settings=chosen(settings, "app-1")).run()
    received_by: dict[str, list[Any]] = {"/app-1": [], "/app-2": []}
    for received in sink.requests:
        event = received.json
        received_by[received.path].append((event["type"], event.keys(), event["data"].keys()))
    assert received_by["/app-1"] == received_by["/app-2"]
    assert len(received_by["/app-1"]) == 2


def test_subscriptions_under_the_former_next_contract_keep_its_one_form(
    store: Store, settings: Settings, sink: RecordingSink, make_driver: Make
) -> None:
    for client in ("app-1", "app-2"):
        subscribed(store, sink, client, contract=ContractVersion.NEXT)
    append(store, session_status(1), to=P.number)
    make_driver(settings=chosen(settings, "app-1")).run()
    assert [is_strict(request) for request in sink.requests] == [True, True]


def test_the_form_is_decided_when_an_event_is_sent(
    store: Store, settings: Settings, sink: RecordingSink, make_driver: Make
) -> None:
    """A change holds for what waits already, and for what is tried again; ids stay."""
    subscribed(store, sink, "app-1")
    append(store, session_status(1), session_status(2), to=P.number)
    sink.answer = [500, 204]
    before = make_driver(settings=chosen(settings, "app-2")).dispatcher
    while not (sink.requests and before.idle):
        before.step(claiming=not sink.requests)
    make_driver(settings=chosen(settings, "app-1")).run()
    assert [is_strict(request) for request in sink.requests] == [False, True, True]
    first, again, _ = [request.json for request in sink.requests]
    assert {name: value for name, value in first.items() if name not in MOVED} == again


def test_a_redelivered_event_gets_the_form_of_its_client(
    store: Store, settings: Settings, sink: RecordingSink, make_driver: Make, raw_store: "redis.Redis"
) -> None:
    for client in ("app-1", "app-2"):
        subscribed(store, sink, client, f"/{client}")
    append(store, session_status(1), to=P.number)
    sink.answer = [400]
    make_driver(settings=chosen(settings, "false")).run()
    assert raw_store.xlen(P.dead) == 2
    sink.clear()
    sink.answer = [204]
    dead_letters = DeadLetters(store)
    for dead_letter in dead_letters.oldest_first(DeadLetterFilter()):
        assert dead_letters.redeliver(dead_letter).outcome == "redelivered"
    make_driver(settings=chosen(settings, "app-1")).run()
    assert {request.path: is_strict(request) for request in sink.requests} == {
        "/app-1": True,
        "/app-2": False,
    }
