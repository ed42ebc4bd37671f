"""What a sink is asked before its subscription is active."""

import contextlib
import dataclasses
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
import redis

from tests.conftest import everything
from tests.delivery.asking import ORIGIN, Make, P, agreeing, allowing, asked
from tests.delivery.deliveries import WaitedFor
from tests.harness.builders import (
    append,
    created,
    created_with_token,
    invitation,
    new_subscription,
    session_status,
    with_claims,
)
from tests.harness.sinks import Answer, Received, RecordingSink
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.model import (
    ContractVersion,
    EventType,
    Status,
    Subscription,
    TerminationReason,
)
from webrtc_events.core.settings import Settings
from webrtc_events.store.claims import Claims
from webrtc_events.store.script_steps import ScriptStep
from webrtc_events.store.settlements import SettleOutcome
from webrtc_events.store.store import Store


def methods(sink: RecordingSink) -> list[str]:
    return [request.method for request in sink.requests]


def status_of(store: Store, made: Subscription) -> Status | None:
    found = store.subscriptions.get(made.id)
    return None if found is None else found.status


def refused(store: Store, sink: RecordingSink, make_driver: Make, raw_store: "redis.Redis") -> None:
    """Asked, not agreed, and sent nothing, not even an end; nothing of it is a dead letter."""
    made = asked(store, sink)
    make_driver().run()
    assert methods(sink) == ["OPTIONS"]
    assert status_of(store, made) is Status.EXPIRED
    assert append(store, invitation(1)) == [(True, 0)]
    make_driver().run()
    assert methods(sink) == ["OPTIONS"]
    assert raw_store.xlen(P.dead) == 0


def test_a_sink_that_agrees_is_sent_events(store: Store, sink: RecordingSink, make_driver: Make) -> None:
    sink.answer = agreeing()
    made = asked(store, sink, "/a?b=c", headers={"x-app": "7"})
    append(store, invitation(1))
    make_driver().run()
    (question,) = sink.requests
    assert (question.method, question.path, question.body) == ("OPTIONS", "/a?b=c", b"")
    assert question.header("webhook-request-origin") == ORIGIN
    assert question.header("x-app") == "7"
    assert len(question.header("x-correlator") or "") == 36
    assert {"webhook-request-rate", "webhook-request-callback", "content-type"}.isdisjoint(
        name.lower() for name, _ in question.headers
    )
    assert status_of(store, made) is Status.ACTIVE
    # What came before is not for it; what comes now carries the name that was agreed on.
    append(store, invitation(2))
    make_driver().run()
    event = sink.requests[1]
    assert (event.method, event.path) == ("POST", "/a?b=c")
    assert event.json["data"]["sequenceNumber"] == 2
    assert event.header("webhook-request-origin") == ORIGIN
    assert len(sink.requests) == 2


def test_a_sink_that_was_not_asked_gets_no_origin(
    store: Store, sink: RecordingSink, make_driver: Make
) -> None:
    created(store, sink=sink.url)
    append(store, invitation(1))
    make_driver().run()
    assert methods(sink) == ["POST"]
    assert sink.requests[0].header("webhook-request-origin") is None


def test_the_end_carries_the_origin_too(store: Store, sink: RecordingSink, make_driver: Make) -> None:
    sink.answer = agreeing()
    made = asked(store, sink)
    make_driver().run()
    store.subscriptions.end(
        made.id, TerminationReason.SUBSCRIPTION_DELETED, Status.DELETED, drop_pending=True
    )
    make_driver().run()
    assert sink.requests[1].json["data"]["terminationReason"] == "SUBSCRIPTION_DELETED"
    assert sink.requests[1].header("webhook-request-origin") == ORIGIN


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("WebHook-Allowed-Rate", "100")],
        [("Allow", "OPTIONS, POST"), ("Access-Control-Allow-Origin", "*")],
        [("WebHook-Allowed-Origin", "other.example")],
        [("WebHook-Allowed-Origin", f"x{ORIGIN}")],
        [("WebHook-Allowed-Origin", f"{ORIGIN}.evil.example")],
        [("WebHook-Allowed-Origin", ORIGIN.upper())],
        [("WebHook-Allowed-Origin", "*.operator.example")],
        [("WebHook-Allowed-Origin", ORIGIN), ("WebHook-Allowed-Origin", ORIGIN)],
        [("WebHook-Allowed-Origin", "other.example"), ("WebHook-Allowed-Origin", "*")],
        [("WebHook-Allowed-Origin", ORIGIN), ("WebHook-Allowed-Rate", "0")],
    ],
    ids=str,
)
def test_a_sink_that_does_not_agree_is_sent_nothing(
    store: Store,
    sink: RecordingSink,
    make_driver: Make,
    raw_store: "redis.Redis",
    headers: list[tuple[str, str]],
) -> None:
    sink.answer = allowing(*headers)
    refused(store, sink, make_driver, raw_store)


@pytest.mark.parametrize("status", [301, 307, 400, 401, 403, 404, 405, 410, 501])
def test_a_refusing_status_is_a_refusal_whatever_comes_with_it(
    store: Store, sink: RecordingSink, make_driver: Make, raw_store: "redis.Redis", status: int
) -> None:
    sink.answer = allowing(
        ("WebHook-Allowed-Origin", "*"), ("Location", sink.url_of("/elsewhere")), status=status
    )
    refused(store, sink, make_driver, raw_store)


def test_a_sink_that_is_not_well_is_asked_again(store: Store, sink: RecordingSink, make_driver: Make) -> None:
    statuses = iter([503, 429, 500])
    sink.answer = lambda request: (
        Answer(code, (("WebHook-Allowed-Origin", "*"),))
        if (code := next(statuses, None))
        else agreeing()(request)
    )
    made = asked(store, sink)
    make_driver().run()
    assert methods(sink) == ["OPTIONS"] * 4
    assert status_of(store, made) is Status.ACTIVE


def test_a_sink_that_never_answers_refuses_when_its_time_is_over(
    store: Store, store_at: Callable[..., Store], sink: RecordingSink, make_driver: Make
) -> None:
    sink.answer = lambda _: Answer(never=True)
    made = asked(store, sink)
    first = make_driver().dispatcher
    while status_of(store, made) is Status.ACTIVATION_REQUESTED and len(sink.requests) < 1:
        first.step()
    while not first.idle:
        first.step(claiming=False)
    assert status_of(store, made) is Status.ACTIVATION_REQUESTED
    make_driver(store_at(601)).run()
    assert methods(sink) == ["OPTIONS"]
    assert status_of(store, made) is Status.EXPIRED


def test_an_address_that_sinks_may_not_have_is_not_connected_to(
    store: Store, store_at: Callable[..., Store], sink: RecordingSink, settings: Settings, make_driver: Make
) -> None:
    """As when the name came to point elsewhere after the subscription was made."""
    made = asked(store, sink)
    public = dataclasses.replace(settings, sink_allowed_networks=())
    dispatcher = make_driver(settings=public).dispatcher
    for _ in range(20):
        dispatcher.step()
    assert status_of(store, made) is Status.ACTIVATION_REQUESTED
    make_driver(store_at(601), settings=public).run()
    assert status_of(store, made) is Status.EXPIRED
    assert sink.connections == 0


def test_the_question_carries_the_credential_and_nobody_else_sees_it(
    store: Store,
    settings: Settings,
    sink: RecordingSink,
    make_driver: Make,
    raw_store: "redis.Redis",
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    made = created_with_token(store, settings, sink=sink.url, origin=ORIGIN)
    sealed = raw_store.hget(P.subscription(made.id), "credential")
    assert sealed in everything(raw_store)
    sink.answer = [401]
    make_driver().run()
    assert [request.header("authorization") for request in sink.requests] == ["Bearer t0ken"]
    assert status_of(store, made) is Status.EXPIRED
    assert "t0ken" not in caplog.text + everything(raw_store)
    assert sealed not in everything(raw_store)


def test_why_a_sink_refused_is_logged_and_kept(
    store: Store,
    sink: RecordingSink,
    make_driver: Make,
    raw_store: "redis.Redis",
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    sink.answer = allowing(("WebHook-Allowed-Origin", "s3cret.example"))
    made = asked(store, sink)
    make_driver().run()
    assert "type=handshake attempt=1 outcome=refused reason=other_origin status=200" in caplog.text
    assert f"ended subscription={made.id}" in caplog.text
    ((_, attempt),) = raw_store.xrange(P.attempts)
    assert json.loads(attempt["attempt"])["reason"] == "other_origin"
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize("contract", [ContractVersion.V0_2, ContractVersion.NEXT])
def test_the_initial_event_follows_the_agreement(
    store: Store, sink: RecordingSink, make_driver: Make, contract: str
) -> None:
    latest = session_status(1, registration="r1", status="Connected")
    store.session_states.record([latest])
    append(store, latest)
    wishing = dataclasses.replace(
        new_subscription(event_type=EventType.SESSION_STATUS, session="s1", origin=ORIGIN, contract=contract),
        initial_event=True,
    )
    sink.answer = agreeing()
    store.subscriptions.create(wishing, sink=sink.url, headers={}, sealed=None)
    make_driver().run()
    assert methods(sink) == ["OPTIONS", "POST"]
    assert sink.requests[1].json["data"]["status"] == "Connected"
    assert ("status" in sink.requests[1].json) == (contract == ContractVersion.V0_2)


def test_a_delete_while_the_sink_is_asked_ends_it(
    store: Store, sink: RecordingSink, make_driver: Make
) -> None:
    deleted: list[str] = []

    def answer(request: Received) -> Answer:
        outcome = store.subscriptions.end(
            made.id, TerminationReason.SUBSCRIPTION_DELETED, Status.DELETED, drop_pending=True
        )
        deleted.append(outcome)
        return agreeing()(request)

    sink.answer = answer
    made = asked(store, sink)
    make_driver().run()
    assert deleted == ["ended"]
    assert methods(sink) == ["OPTIONS"]
    assert status_of(store, made) is None


class LosesSettles(Claims):
    def settling(self, *_: Any) -> ScriptStep[list[SettleOutcome]]:
        def run() -> list[SettleOutcome]:
            raise Unavailable

        return WaitedFor(run)


def test_after_a_crash_before_the_answer_is_settled_the_sink_is_asked_again(
    settings: Settings, store: Store, store_at: Callable[..., Store], sink: RecordingSink, make_driver: Make
) -> None:
    sink.answer = agreeing()
    made = asked(store, sink)
    lost = Store.connect(settings)
    with_claims(lost, LosesSettles)
    dispatcher = make_driver(lost).dispatcher
    while not sink.requests:
        with contextlib.suppress(Unavailable):
            dispatcher.step()
    lost.close()
    assert status_of(store, made) is Status.ACTIVATION_REQUESTED
    make_driver(store_at(31)).run()
    assert methods(sink) == ["OPTIONS"] * 2
    assert status_of(store, made) is Status.ACTIVE


def test_an_expired_token_is_not_sent_to_ask(
    store: Store,
    store_at: Callable[..., Store],
    settings: Settings,
    sink: RecordingSink,
    make_driver: Make,
) -> None:
    soon = round(SystemClock().now() * 1000) + 20_000
    made = created_with_token(store, settings, sink=sink.url, origin=ORIGIN, expires_at_ms=soon)
    make_driver(store_at(21)).run()
    assert sink.requests == []
    assert status_of(store, made) is Status.EXPIRED
