"""What a sink is asked before its subscription is active, and how often it is sent something afterwards."""

import contextlib
import dataclasses
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
import redis

from tests.conftest import everything
from tests.delivery.conftest import LIMITS, DispatcherDriver
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
from webrtc_events.delivery.dispatcher import DispatcherOptions
from webrtc_events.delivery.host_limits import HostLimits
from webrtc_events.store.claims import Claims
from webrtc_events.store.keys import partition_of
from webrtc_events.store.settlements import SettleOutcome
from webrtc_events.store.store import Store

P = partition_of("r1", 64)
Make = Callable[..., DispatcherDriver]
ORIGIN = "events.operator.example"


def asked(store: Store, sink: RecordingSink, path: str = "/", **values: Any) -> Subscription:
    return created(store, sink=sink.url_of(path), origin=ORIGIN, **values)


def allowing(*headers: tuple[str, str], status: int = 200) -> Callable[[Received], Answer]:
    """Answers so to OPTIONS, and takes what is posted."""
    return lambda request: Answer(status, headers) if request.method == "OPTIONS" else Answer()


def agreeing(rate: str | None = None, origin: str = ORIGIN) -> Callable[[Received], Answer]:
    headers = [("WebHook-Allowed-Origin", origin)]
    return allowing(*headers, *([("WebHook-Allowed-Rate", rate)] if rate else []))


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
    assert '"reason": "other_origin"' in attempt["attempt"]
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
    def settle(self, *_: Any) -> list[SettleOutcome]:
        raise Unavailable


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


# The rate that a sink allows


class Arrivals:
    """When notifications came, in s; the question is not among them."""

    def __init__(self, rate: str) -> None:
        self._clock = SystemClock()
        self._agree = agreeing(rate)
        self._lock = threading.Lock()
        self.moments: list[float] = []

    def __call__(self, request: Received) -> Answer:
        if request.method == "POST":
            with self._lock:
                self.moments.append(self._clock.monotonic())
        return self._agree(request)


def events_of(sink: RecordingSink, path: str) -> list[int]:
    posted = [request for request in sink.requests if request.method == "POST" and request.path == path]
    return [request.json["data"]["sequenceNumber"] for request in posted]


def run_both(dispatchers: list[DispatcherDriver], sink: RecordingSink, notifications: int) -> None:
    """Both work until that many notifications came."""
    done = threading.Event()

    def work(driver: DispatcherDriver) -> None:
        while not done.is_set():
            driver.dispatcher.step()

    threads = [threading.Thread(target=work, args=(dispatcher,)) for dispatcher in dispatchers]
    for thread in threads:
        thread.start()
    try:
        sink.wait_for(notifications, timeout_s=30)
    finally:
        done.set()
        for thread in threads:
            thread.join()


@pytest.mark.slow
def test_two_workers_keep_the_rate_that_a_sink_allows_all_its_subscriptions(
    store: Store, sink: RecordingSink, make_driver: Make
) -> None:
    """20 a second for five subscriptions to one sink: the 40th event is 39 * 50 ms late."""
    arrivals = Arrivals("1200")
    sink.answer = arrivals
    for _ in range(5):
        asked(store, sink, "/paced")
    make_driver().run()
    began = SystemClock().monotonic()
    append(store, *(invitation(number) for number in range(1, 9)))
    run_both([make_driver(), make_driver()], sink, 5 + 40)
    # Whatever delays an arrival, the nth cannot come before the nth slot.
    for index, moment in enumerate(sorted(arrivals.moments)):
        assert moment - began >= index * 0.05 - 0.005
    assert sorted(events_of(sink, "/paced")) == sorted([*range(1, 9)] * 5)


def test_a_slow_rate_holds_events_back_and_keeps_their_order(
    store: Store,
    store_at: Callable[..., Store],
    sink: RecordingSink,
    make_driver: Make,
    raw_store: "redis.Redis",
) -> None:
    """One a minute: the second waits in the store, not with the worker."""
    sink.answer = agreeing("1")
    made = asked(store, sink)
    make_driver().run()
    append(store, invitation(1), invitation(2))
    first = make_driver().dispatcher
    while not first.idle or len(sink.requests) < 2:
        first.step()
    assert events_of(sink, "/") == [1]
    due_ms = raw_store.zscore(P.due, made.id)
    now_ms = round(SystemClock().now() * 1000)
    assert due_ms is not None
    assert 50_000 < due_ms - now_ms <= 60_000
    early = make_driver(store_at(40)).dispatcher
    for _ in range(5):
        early.step()
    assert events_of(sink, "/") == [1]
    make_driver(store_at(61)).run()
    assert events_of(sink, "/") == [1, 2]
    # No attempt was made in between: the event's own attempts begin with the first.
    attempts = [entry["attempt"] for _, entry in raw_store.xrange(P.attempts)]
    assert sum('"attempt": 1' in attempt for attempt in attempts) == len(attempts) == 3


@pytest.mark.slow
def test_what_waits_for_its_slot_past_its_deadline_is_dropped(
    store: Store,
    store_at: Callable[..., Store],
    sink: RecordingSink,
    make_driver: Make,
    raw_store: "redis.Redis",
) -> None:
    """At one a minute an invitation, which is worth 120 s, goes out third at the latest."""
    sink.answer = agreeing("1")
    asked(store, sink)
    make_driver().run()
    append(store, *(invitation(number) for number in range(1, 6)))
    for seconds in range(0, 130, 5):
        dispatcher = make_driver(store_at(seconds)).dispatcher
        dispatcher.step()
        while not dispatcher.idle:
            dispatcher.step(claiming=True)
    make_driver(store_at(130)).run()
    assert events_of(sink, "/")[:2] == [1, 2]
    assert {dead_letter["reason"] for _, dead_letter in raw_store.xrange(P.dead)} == {"deadline_exceeded"}


def test_what_waits_for_its_host_uses_no_slot(
    store: Store, sink: RecordingSink, make_driver: Make, raw_store: "redis.Redis"
) -> None:
    """At one a minute, a slot that is not used costs a minute."""
    sink.answer = agreeing("1")
    asked(store, sink, "/paced")
    created(store, sink=sink.url_of("/slow"), registration="r2")
    make_driver().run()
    sink.answer = lambda request: Answer(delay_s=0.3 if request.path == "/slow" else 0)
    append(store, invitation(1, registration="r2"))
    options = DispatcherOptions(HostLimits(in_flight=1, connections=1), poll_s=0.02, limits=LIMITS)
    both = make_driver(options=options)
    while len(sink.requests) < 2:
        both.dispatcher.step()
    append(store, invitation(2))
    for _ in range(3):
        both.dispatcher.step()
    assert [request.path for request in sink.requests] == ["/paced", "/slow"]
    assert raw_store.keys("turns:*") == []
    both.run()
    assert [request.path for request in sink.requests] == ["/paced", "/slow", "/paced"]
    assert len(raw_store.keys("turns:*")) == 1


def test_sinks_that_named_no_rate_are_not_held_back(
    store: Store, sink: RecordingSink, make_driver: Make, raw_store: "redis.Redis"
) -> None:
    sink.answer = agreeing("*")
    asked(store, sink)
    make_driver().run()
    append(store, *(invitation(number) for number in range(1, 31)))
    make_driver().run()
    assert events_of(sink, "/") == list(range(1, 31))
    assert raw_store.keys("turns:*") == []


def test_a_dispatcher_that_stops_gives_back_what_waits_for_its_slot(
    store: Store, sink: RecordingSink, make_driver: Make
) -> None:
    sink.answer = agreeing("75")
    asked(store, sink)
    make_driver().run()
    append(store, invitation(1), invitation(2))
    stopping = make_driver().dispatcher
    while len(sink.requests) < 2:
        stopping.step()
    for _ in range(3):
        stopping.step()
    # Its rate-limit slot comes after 0.8 s, which are forty steps.
    for _ in range(10):
        stopping.step(claiming=False)
        if stopping.idle:
            break
    assert stopping.idle
    assert events_of(sink, "/") == [1]
    make_driver().run()
    assert events_of(sink, "/") == [1, 2]
