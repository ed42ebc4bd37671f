"""Subscriptions under several versions of the contract, and renewals under way, at a real sink."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import redis

from tests.delivery.conftest import DispatcherDriver
from tests.harness.builders import (
    append,
    created,
    created_with_token,
    invitation,
    session_status,
)
from tests.harness.sinks import Answer, Received, RecordingSink
from webrtc_events.contract.documents import load_public, load_subscriptions
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.credentials import CredentialBox
from webrtc_events.core.model import ContractVersion, Credential, EventType, Status, Subscription
from webrtc_events.core.settings import Settings
from webrtc_events.delivery.cloud_event import EventFormats
from webrtc_events.local.sink.notification_validator import NotificationValidator
from webrtc_events.local.sink.second_validator import SecondValidator
from webrtc_events.store.keys import partition_of
from webrtc_events.store.store import Store

Make = Callable[..., DispatcherDriver]
P = partition_of("r1", 64)
MOVED = {"mediaSessionId", "status"}


def test_one_event_goes_out_in_the_form_of_each_version(
    store: Store, sink: RecordingSink, make_driver: Make
) -> None:
    for contract in ContractVersion:
        created(
            store,
            sink=sink.url_of(f"/{contract}"),
            event_type=EventType.SESSION_STATUS,
            session="s1",
            contract=contract,
            max_events=1,
        )
    append(store, session_status(1, status="Connected"), to=P.number)
    make_driver().run()
    received = {
        contract: [request for request in sink.requests if request.path == f"/{contract}"]
        for contract in ContractVersion
    }
    assert [len(events) for events in received.values()] == [2, 2, 2]
    old, new, former = (received[contract][0].json for contract in ContractVersion)
    # The same event, but for what a version decides and for the subscription.
    assert old.keys() >= MOVED
    assert new.keys() == former.keys() == old.keys() - MOVED
    assert [event["data"].pop("subscriptionId") for event in (old, new, former)] == [
        event["id"].partition(".")[0] for event in (old, new, former)
    ]
    assert old["data"] == {"mediaSessionId": "s1", "status": "Connected", "sequenceNumber": 1}
    assert old["data"] == new["data"] == former["data"]
    assert (old["type"], former["type"]) == (EventType.SESSION_STATUS, EventType.SESSION_STATUS)
    assert new["type"] == "org.camaraproject.webrtc-events-subscriptions.v0.session-status"

    for document, valid in ((load_public(), old), (load_subscriptions(), new)):
        assert document.validator("CloudEvent").first_fault(valid) is None
    # A version refuses the form of another.
    assert load_public().validator("CloudEvent").first_fault(new) is not None
    assert load_subscriptions().validator("CloudEvent").first_fault(old) is not None
    loose, strict = SecondValidator(strict=False), SecondValidator(strict=True)
    for request in received[ContractVersion.V0_2]:
        assert loose.fault(request.headers, request.body) is None
    for request in received[ContractVersion.NEXT]:
        assert strict.fault(request.headers, request.body) is None
    either = NotificationValidator(False, True)
    for contract in (ContractVersion.V0_2, ContractVersion.NEXT):
        for request in received[contract]:
            assert either.fault(request.headers, request.body) is None
    assert NotificationValidator(False).fault(
        received[ContractVersion.NEXT][0].headers, json.dumps(former).encode()
    )


def test_a_version_that_this_process_does_not_know_waits_for_one_that_does(
    store: Store, settings: Settings, sink: RecordingSink, make_driver: Make, raw_store: "redis.Redis"
) -> None:
    """As while processes are replaced one by one: newer ones make subscriptions that older ones claim."""
    created(store, sink=sink.url, contract="v9")
    created(store, sink=sink.url_of("/known"))
    append(store, invitation(1))
    older = make_driver()
    for _ in range(20):
        older.dispatcher.step()
    assert [request.path for request in sink.requests] == ["/known"]
    (delayed,) = raw_store.zrange(P.due, 0, -1, withscores=True)
    assert delayed[1] - SystemClock().now() * 1000 == pytest.approx(30_000, abs=5_000)
    raw_store.zadd(P.due, {delayed[0]: 0})
    known = EventFormats.of(settings)
    form = known.by_contract[ContractVersion.V0_3]
    newer = make_driver(formats=replace(known, by_contract={"v9": form}))
    newer.run()
    assert [request.json["data"]["sequenceNumber"] for request in sink.requests] == [1, 1]


def with_token(store: Store, settings: Settings, sink: RecordingSink, life_ms: int = 600_000) -> Subscription:
    return created_with_token(
        store, settings, sink=sink.url, token="former", expires_at_ms=now_ms() + life_ms
    )


def now_ms() -> int:
    return round(SystemClock().now() * 1000)


def renewed(store: Store, settings: Settings, made: Subscription) -> None:
    credential = Credential("renewed", now_ms() + 600_000)
    sealed = CredentialBox(settings.secret_key).seal(credential, made.id)
    result = store.subscriptions.update(
        replace(made, credential=credential), expires_at_ms=None, sealed=sealed
    )
    assert result.outcome == "updated"


def test_a_token_renewed_and_revoked_in_mid_delivery_costs_no_event(
    store: Store, settings: Settings, sink: RecordingSink, make_driver: Make, raw_store: "redis.Redis"
) -> None:
    made = with_token(store, settings, sink)
    append(store, *(invitation(number) for number in range(1, 6)))

    def answer(request: Received) -> Answer:
        if len(sink.requests) == 2:
            renewed(store, settings, made)
        former = request.header("authorization") == "Bearer former"
        return Answer(401 if former and len(sink.requests) > 1 else 204)

    sink.answer = answer
    make_driver().run()
    sent = [
        (request.json["data"]["sequenceNumber"], request.header("authorization")) for request in sink.requests
    ]
    new = [(number, "Bearer renewed") for number in range(2, 6)]
    assert sent == [(1, "Bearer former"), (2, "Bearer former"), *new]
    assert raw_store.xlen(P.dead) == 0
    found = store.subscriptions.get(made.id)
    assert found is not None
    assert found.status is Status.ACTIVE


class Ahead(SystemClock):
    """A dispatcher's clock that can be put forward."""

    ahead_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s


@pytest.mark.parametrize("renew", [True, False])
def test_a_token_that_expires_in_mid_delivery_is_looked_up_again(
    store: Store,
    store_at: Callable[..., Store],
    settings: Settings,
    sink: RecordingSink,
    make_driver: Make,
    raw_store: "redis.Redis",
    *,
    renew: bool,
) -> None:
    made = with_token(store, settings, sink, life_ms=20_000)
    append(store, invitation(1), invitation(2))
    clock = Ahead()

    def answer(_: Received) -> Answer:
        if renew and len(sink.requests) == 1:
            renewed(store, settings, made)
        clock.ahead_s = 21.0
        return Answer()

    sink.answer = answer
    dispatcher = make_driver(clock=clock).dispatcher
    for _ in range(200):
        dispatcher.step(claiming=not sink.requests)
        if sink.requests and dispatcher.idle:
            break
    # Given back while it is not known whether the token was renewed; neither dropped nor sent.
    assert raw_store.xlen(P.dead) == 0
    make_driver(store_at(21)).run()
    sent: list[Any] = [request.header("authorization") for request in sink.requests]
    assert sent == ["Bearer former", "Bearer renewed"][: 1 + renew]
    assert raw_store.xlen(P.dead) == 1 - renew
