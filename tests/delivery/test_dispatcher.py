"""What a sink sees, and what becomes of each answer."""

import contextlib
import dataclasses
import json
import logging
import socket
from collections.abc import Callable, Sequence
from email.utils import formatdate
from typing import Any

import pytest
import redis
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.conftest import everything
from tests.delivery.conftest import LIMITS, DispatcherDriver
from tests.harness.builders import (
    append,
    created,
    created_with_token,
    invitation,
    with_claims,
)
from tests.harness.sinks import Answer, Received, RecordingSink
from webrtc_events.contract.documents import load_public
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.model import Claim, OutboxItem, Status, TerminationReason
from webrtc_events.core.outcomes import Drop, SinkRequest
from webrtc_events.core.settings import Settings
from webrtc_events.delivery.attempts import Attempts
from webrtc_events.delivery.cloud_event import EventFormats
from webrtc_events.delivery.dispatcher import DispatcherOptions
from webrtc_events.delivery.host_limits import HostLimits
from webrtc_events.delivery.notifications import NotificationSettings, NotificationWriter, Skipped
from webrtc_events.sinks.client import SinkClient
from webrtc_events.sinks.limits import SinkLimits
from webrtc_events.sinks.signatures import Signer
from webrtc_events.store.claims import Claims
from webrtc_events.store.keys import partition_of
from webrtc_events.store.settlements import Settlement, SettleOutcome
from webrtc_events.store.store import Store

P = partition_of("r1", 64)
Make = Callable[..., DispatcherDriver]


def sequence(requests: Sequence[Received]) -> list[Any]:
    """The sequence numbers received, an end by its reason."""
    data = [request.json["data"] for request in requests]
    return [fields.get("sequenceNumber", fields.get("terminationReason")) for fields in data]


def dead_letters(raw_store: "redis.Redis") -> list[tuple[str, str]]:
    return [(dead_letter["reason"], dead_letter["detail"]) for _, dead_letter in raw_store.xrange(P.dead)]


def test_a_notification_is_a_cloudevent_of_the_contract(
    store: Store, settings: Settings, sink: RecordingSink, make_driver: Make
) -> None:
    made = created(store, sink=sink.url_of("/a?b=c"), headers={"x-app": "7"})
    append(store, invitation(1))
    make_driver().run()
    (request,) = sink.requests
    assert (request.method, request.path) == ("POST", "/a?b=c")
    assert request.header("content-type") == "application/cloudevents+json"
    assert request.header("x-app") == "7"
    assert len(request.header("x-correlator") or "") == 36
    assert request.header("authorization") is None
    assert load_public().validator("CloudEvent").first_fault(request.json) is None
    assert request.json["id"] == f"{made.id}.1"
    assert request.json["source"] == settings.source
    assert request.json["time"] == "2026-03-10T09:00:00.000Z"
    assert request.json["data"]["subscriptionId"] == made.id
    assert "subject" not in request.json


def test_the_sink_credential_is_sent_as_a_bearer_token(
    store: Store, settings: Settings, sink: RecordingSink, make_driver: Make
) -> None:
    created_with_token(store, settings, sink=sink.url)
    append(store, invitation(1))
    make_driver().run()
    assert sink.requests[0].header("authorization") == "Bearer t0ken"


def test_events_arrive_in_order_and_the_end_is_last(
    store: Store, sink: RecordingSink, make_driver: Make
) -> None:
    created(store, sink=sink.url, max_events=20)
    append(store, *(invitation(number) for number in range(1, 31)))
    make_driver().run()
    assert sequence(sink.requests) == [*range(1, 21), "MAX_EVENTS_REACHED"]
    assert len({request.json["id"] for request in sink.requests}) == 21


def test_a_failing_sink_gets_the_same_event_again_before_any_other(
    store: Store, sink: RecordingSink, make_driver: Make
) -> None:
    created(store, sink=sink.url)
    append(store, invitation(1), invitation(2))
    sink.answer = [204, 503, 404, 429, 204]
    make_driver().run()
    assert sequence(sink.requests) == [1, 2, 2, 2, 2]
    assert len({request.json["id"] for request in sink.requests}) == 2


def test_a_refused_event_becomes_a_dead_letter_and_the_next_goes_on(
    store: Store, sink: RecordingSink, make_driver: Make, raw_store: "redis.Redis"
) -> None:
    created(store, sink=sink.url)
    append(store, invitation(1), invitation(2), invitation(3))
    sink.answer = [400, 302, 204]
    make_driver().run()
    assert sequence(sink.requests) == [1, 2, 3]
    assert dead_letters(raw_store) == [("refused", "HTTP 400"), ("refused", "HTTP 302")]


def test_410_ends_the_subscription_and_nothing_more_is_sent(
    store: Store, sink: RecordingSink, make_driver: Make
) -> None:
    made = created(store, sink=sink.url)
    append(store, invitation(1), invitation(2))
    sink.answer = [410]
    make_driver().run()
    assert sequence(sink.requests) == [1]
    found = store.subscriptions.get(made.id)
    assert found is not None
    assert found.status is Status.EXPIRED
    assert append(store, invitation(3)) == [(True, 0)]


def test_401_to_a_credentialed_delivery_ends_it_and_the_end_is_tried_once(
    store: Store, settings: Settings, sink: RecordingSink, make_driver: Make, raw_store: "redis.Redis"
) -> None:
    created_with_token(store, settings, sink=sink.url)
    append(store, invitation(1), invitation(2))
    sink.answer = [401]
    make_driver().run()
    assert sequence(sink.requests) == [1, "ACCESS_TOKEN_EXPIRED"]
    assert [reason for reason, _ in dead_letters(raw_store)] == [
        "refused",
        "subscription_ended",
        "end_refused",
    ]
    assert make_driver().dispatcher.idle


def test_the_end_after_a_401_is_tried_once_whatever_is_answered(
    store: Store, settings: Settings, sink: RecordingSink, make_driver: Make
) -> None:
    created_with_token(store, settings, sink=sink.url)
    append(store, invitation(1))
    sink.answer = [401, 500, 204]
    make_driver().run()
    assert sequence(sink.requests) == [1, "ACCESS_TOKEN_EXPIRED"]


def test_a_token_is_seen_by_the_sink_alone(
    store: Store,
    settings: Settings,
    sink: RecordingSink,
    make_driver: Make,
    raw_store: "redis.Redis",
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    created_with_token(store, settings, sink=sink.url)
    append(store, invitation(1), invitation(2), invitation(3))
    sink.answer = [204, 500, 400, 401]
    make_driver().run()
    assert [request.header("authorization") for request in sink.requests] == ["Bearer t0ken"] * 5
    assert "http_500" in caplog.text
    assert "t0ken" not in caplog.text + everything(raw_store)


def test_an_expired_token_is_not_sent(
    store: Store,
    store_at: Callable[..., Store],
    settings: Settings,
    sink: RecordingSink,
    make_driver: Make,
    raw_store: "redis.Redis",
) -> None:
    created_with_token(
        store, settings, sink=sink.url, expires_at_ms=round(SystemClock().now() * 1000) + 20_000
    )
    append(store, invitation(1))
    make_driver(store_at(21)).run()
    assert sink.requests == []
    assert dead_letters(raw_store) == [("access_token_expired", "")]


def test_no_exchange_outlives_its_lease(
    store_at: Callable[..., Store], sink: RecordingSink, make_driver: Make
) -> None:
    """Exchanges may take 1 s here; a lease of 1.4 s has room for the first 0.4 s of POSTs."""
    store = store_at(lease_ms=1_400)
    created(store, sink=sink.url)
    append(store, *(invitation(number) for number in range(1, 9)))
    clock = SystemClock()
    claims: list[float] = []
    started: list[float] = []

    class Watched(Claims):
        def claim(self, *args: Any, **values: Any) -> Any:
            found = super().claim(*args, **values)
            claims.extend([clock.monotonic()] * len(found))
            return found

    def answer(_: Received) -> Answer:
        started.append(clock.monotonic() - claims[-1])
        return Answer(delay_s=0.15)

    sink.answer = answer
    watched = make_driver(store)
    with_claims(store, Watched)
    watched.run(rounds=500)
    assert sequence(sink.requests) == list(range(1, 9))
    # What is posted later would outlive the lease. Of 0.15 s each, three begin within 0.4 s of a claim.
    assert max(started) < 1.4
    assert len(claims) >= 3


@pytest.mark.parametrize("off_s", [-3600.0, 3600.0])
def test_a_retry_after_date_is_compared_with_the_stores_time(
    store: Store, sink: RecordingSink, make_driver: Make, raw_store: "redis.Redis", off_s: float
) -> None:
    """A dispatcher whose wall clock is wrong comes neither an hour late nor at once."""

    class Wrong(SystemClock):
        def now(self) -> float:
            return super().now() + off_s

    created(store, sink=sink.url)
    append(store, invitation(1))
    now_s = SystemClock().now()
    sink.answer = lambda _: Answer(503, (("Retry-After", formatdate(now_s + 60, usegmt=True)),))
    dispatcher = make_driver(clock=Wrong()).dispatcher
    for _ in range(200):
        dispatcher.step()
        if sink.requests and dispatcher.idle:
            break
    ((_, due_ms),) = raw_store.zrange(P.due, 0, -1, withscores=True)
    assert due_ms / 1000 - now_s == pytest.approx(60, abs=5)


def test_401_without_a_credential_is_a_refusal(store: Store, sink: RecordingSink, make_driver: Make) -> None:
    created(store, sink=sink.url)
    append(store, invitation(1), invitation(2))
    sink.answer = [401, 204]
    make_driver().run()
    assert sequence(sink.requests) == [1, 2]


def test_an_event_past_its_deadline_is_dropped_and_the_next_goes_on(
    store: Store,
    store_at: Callable[..., Store],
    sink: RecordingSink,
    make_driver: Make,
    raw_store: "redis.Redis",
) -> None:
    created(store, sink=sink.url)
    append(store, invitation(1))
    append(store_at(60), invitation(2))
    make_driver(store_at(121)).run()
    assert sequence(sink.requests) == [2]
    assert dead_letters(raw_store) == [("deadline_exceeded", "")]


def test_nothing_invalid_leaves(
    store: Store, sink: RecordingSink, make_driver: Make, raw_store: "redis.Redis"
) -> None:
    created(store, sink=sink.url)
    bad = invitation(1)
    wrong_status = dataclasses.replace(bad, payload=bad.payload.replace("Initial", "Exploded"))
    no_json = dataclasses.replace(bad, id="e2", payload="{")
    append(store, wrong_status, no_json, invitation(3))
    make_driver().run()
    assert sequence(sink.requests) == [3]
    (invalid, unreadable) = dead_letters(raw_store)
    assert invalid[0] == "invalid_event"
    assert "$.data.status" in invalid[1]
    assert unreadable[0] == "unreadable_entry"


def test_what_cannot_be_signed_is_given_up_and_not_repeated(store: Store, settings: Settings) -> None:
    """No such sink is created; a damaged one must not come back with every claim."""
    created(store, sink="https://a b/")
    append(store, invitation(1))
    [claim] = store.claims.claim([P], subscriptions=1, events=1)
    signer = Signer(Ed25519PrivateKey.generate(), SystemClock())
    writer = NotificationWriter(EventFormats.of(settings), NotificationSettings.of(settings), signer)
    written = writer.write(claim, claim.items[0], claim.now_ms)
    assert isinstance(written, Skipped)
    assert written.outcome == Drop("unsendable", "HTTPMessageSignaturesException")


def test_a_sink_that_hangs_delays_no_other(store: Store, sink: RecordingSink, make_driver: Make) -> None:
    created(store, sink=sink.url_of("/hangs"))
    created(store, sink=sink.url_of("/healthy"), registration="r2")
    sink.answer = lambda request: Answer(never=request.path == "/hangs")
    append(store, invitation(1))
    append(store, *(invitation(number, registration="r2") for number in range(2, 12)))
    dispatcher = make_driver().dispatcher
    for _ in range(100):
        dispatcher.step()
        healthy = [request for request in sink.requests if request.path == "/healthy"]
        if len(healthy) == 10:
            break
    assert sequence(healthy) == list(range(2, 12))
    assert not dispatcher.idle


@pytest.mark.slow
def test_many_that_hang_delay_no_other(store: Store, sink: RecordingSink, make_driver: Make) -> None:
    """More than a dispatcher keeps on its way to one host, and more than may wait for it."""
    hanging = socket.create_server(("127.0.0.1", 0), backlog=512)
    with hanging:
        for _ in range(300):
            created(store, sink=f"https://127.0.0.1:{hanging.getsockname()[1]}/")
        created(store, sink=sink.url, registration="r2")
        append(store, invitation(1))
        limits = SinkLimits(connect_ms=8_000, total_ms=8_000)
        options = DispatcherOptions(poll_s=0.02, limits=limits)
        dispatcher = make_driver(options=options, limits=limits).dispatcher
        dispatcher.step()
        append(store, *(invitation(number, registration="r2") for number in range(2, 12)))
        clock = SystemClock()
        started = clock.monotonic()
        while len(sink.requests) < 10 and clock.monotonic() < started + 7:
            dispatcher.step()
        assert sequence(sink.requests) == list(range(2, 12))
        # Before the first of those that hang has run into its timeout of 8 s.
        assert clock.monotonic() - started < 7


def test_a_crowded_host_does_not_make_a_dispatcher_spin(
    store: Store, settings: Settings, sink: RecordingSink, make_driver: Make
) -> None:
    for number in range(8):
        created(store, sink=sink.url, registration=f"r{number}")
    sink.answer = lambda _: Answer(never=True)
    for number in range(8):
        append(store, invitation(number, registration=f"r{number}"))
    options = DispatcherOptions(HostLimits(permits=4), poll_s=0.02, limits=LIMITS)
    full = make_driver(options=options).dispatcher
    clock = SystemClock()
    started, rounds = clock.monotonic(), 0
    while clock.monotonic() - started < 0.4:
        full.step()
        rounds += 1
    # A host that has not answered yet is asked once.
    assert len(sink.wait_for(1)) == 1
    assert rounds < 60


def test_replies_are_processed_while_the_store_is_unavailable(
    settings: Settings, store: Store, sink: RecordingSink, make_driver: Make
) -> None:
    created(store, sink=sink.url)
    append(store, invitation(1))
    broken = Store.connect(settings)
    claims = with_claims(broken, BreaksAtSettle)
    claims.cut = []
    dispatcher = make_driver(broken).dispatcher
    sink.answer = lambda _: Answer(delay_s=0.2)
    while not sink.requests:
        dispatcher.step()
    claims.cut = ["request"] * 50
    clock = SystemClock()
    away_until = clock.monotonic() + LIMITS.total_ms / 1000 + 0.5
    while clock.monotonic() < away_until:
        with contextlib.suppress(Unavailable):
            dispatcher.step()
        claims.cut = ["request"] * 50
    claims.cut = []
    for _ in range(20):
        dispatcher.step()
    broken.close()
    # Heard as 204 when it came, not as a timeout later: nothing is sent again.
    assert sequence(sink.requests) == [1]
    assert dispatcher.idle


def test_a_dispatcher_that_stops_sends_nothing_new_and_settles_what_it_sent(
    store: Store, sink: RecordingSink, make_driver: Make
) -> None:
    created(store, sink=sink.url)
    append(store, *(invitation(number) for number in range(1, 9)))
    sink.answer = lambda _: Answer(delay_s=0.1)
    stopping = make_driver().dispatcher
    while len(sink.requests) < 2:
        stopping.step()
    while not stopping.idle:
        stopping.step(claiming=False)
    assert sequence(sink.requests) == [1, 2]
    make_driver().run()
    assert sequence(sink.requests) == list(range(1, 9))


def test_a_task_that_fails_by_a_bug_fails_alone(
    store: Store, sink: RecordingSink, make_driver: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    created(store, sink=sink.url_of("/bug"))
    created(store, sink=sink.url_of("/fine"))
    append(store, invitation(1))
    replied = Attempts.replied

    def buggy(self: Attempts, task: Any, reply: Any) -> bool:
        if task.claim.sink.endswith("/bug"):
            raise RuntimeError("a bug")
        return replied(self, task, reply)

    monkeypatch.setattr(Attempts, "replied", buggy)
    dispatcher = make_driver().dispatcher
    for _ in range(50):
        dispatcher.step()
        if dispatcher.idle and len(sink.requests) == 2:
            break
    assert dispatcher.idle
    append(store, invitation(2))
    for _ in range(20):
        dispatcher.step()
    assert [request.path for request in sink.requests].count("/fine") == 2


def test_a_task_that_fails_by_a_bug_gives_its_permit_back(
    store: Store, sink: RecordingSink, make_driver: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = SinkClient.submit
    failed = []

    def buggy(self: SinkClient[Any], token: Any, request: SinkRequest) -> None:
        if request.url.endswith("/bug"):
            failed.append(request)
            raise RuntimeError("a bug")
        submit(self, token, request)

    monkeypatch.setattr(SinkClient, "submit", buggy)
    created(store, sink=sink.url_of("/bug"))
    created(store, sink=sink.url_of("/fine"), registration="r2")
    append(store, invitation(1))
    running = make_driver(options=DispatcherOptions(HostLimits(in_flight=1), poll_s=0.02, limits=LIMITS))
    while not failed:
        running.dispatcher.step()
    append(store, invitation(2, registration="r2"))
    for _ in range(50):
        running.dispatcher.step()
        if sink.requests:
            break
    assert [request.path for request in sink.requests] == ["/fine"]


def test_a_task_that_fails_by_a_bug_leaves_its_host_to_those_that_wait(
    store: Store, sink: RecordingSink, make_driver: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails with the host's only permit, while another task waits for that."""
    write = NotificationWriter.write

    def buggy(self: NotificationWriter, claim: Claim, item: OutboxItem, now_ms: int) -> Any:
        if claim.sink.endswith("/bug") and item.number == 2:
            raise RuntimeError("a bug")
        return write(self, claim, item, now_ms)

    monkeypatch.setattr(NotificationWriter, "write", buggy)
    sink.answer = lambda _: Answer(delay_s=0.3)
    options = DispatcherOptions(HostLimits(in_flight=1, connections=1), poll_s=0.02, limits=LIMITS)
    dispatcher = make_driver(options=options).dispatcher
    # It is known to be quick, so that others wait for it.
    created(store, sink=sink.url_of("/first"), max_events=1)
    append(store, invitation(1))
    while not dispatcher.idle or len(sink.requests) < 2:
        dispatcher.step()
    created(store, sink=sink.url_of("/bug"))
    append(store, invitation(2), invitation(3))
    while dispatcher.idle:
        dispatcher.step()
    created(store, sink=sink.url_of("/fine"))
    append(store, invitation(4))
    for _ in range(200):
        dispatcher.step()
        if dispatcher.idle and "/fine" in [request.path for request in sink.requests]:
            break
    assert [request.path for request in sink.requests][2:4] == ["/bug", "/fine"]
    assert dispatcher.idle


def test_nothing_is_sent_behind_an_end_after_a_crash(
    store: Store, store_at: Callable[..., Store], sink: RecordingSink, make_driver: Make
) -> None:
    created(store, sink=sink.url, max_events=2)
    append(store, invitation(1), invitation(2))
    lost = store_at()
    with_claims(lost, BreaksAtSettle).cut = ["request"] * 1000
    dispatcher = make_driver(lost).dispatcher
    while len(sink.requests) < 2:
        with contextlib.suppress(Unavailable):
            dispatcher.step()
    # It dies here, with both delivered and nothing settled.
    make_driver(store_at(31)).run()
    assert sequence(sink.requests) == [1, 2, 1, 2, "MAX_EVENTS_REACHED"]


def test_what_a_lost_dispatcher_had_claimed_is_sent_by_another_with_the_same_id(
    store: Store, store_at: Callable[..., Store], sink: RecordingSink, make_driver: Make
) -> None:
    created(store, sink=sink.url)
    append(store, invitation(1), invitation(2))
    sink.answer = lambda _: Answer(never=len(sink.requests) == 1)
    lost = make_driver()
    for _ in range(20):
        lost.dispatcher.step()
        if sink.requests:
            break
    make_driver(store_at(31)).run()
    assert sequence(sink.requests) == [1, 1, 2]
    assert sink.requests[0].json["id"] == sink.requests[1].json["id"]


class BreaksAtSettle(Claims):
    """The real claims, cut off around some settles: before they reach it, or before the answer.

    "node": only from the node that they are for.
    """

    cut: list[str]

    def settle(self, settlements: Sequence[Settlement]) -> list[SettleOutcome]:
        kind = self.cut.pop() if self.cut else ""
        if kind == "request":
            raise Unavailable
        if kind == "node":
            return [SettleOutcome.UNANSWERED] * len(settlements)
        results = super().settle(settlements)
        if kind == "answer":
            raise Unavailable
        return results


@pytest.mark.parametrize("cut", ["request", "answer", "node"])
def test_a_settle_that_failed_is_done_again_and_repeats_nothing(
    settings: Settings, store: Store, sink: RecordingSink, make_driver: Make, cut: str
) -> None:
    created(store, sink=sink.url, max_events=2)
    append(store, invitation(1))
    broken = Store.connect(settings)
    claims = with_claims(broken, BreaksAtSettle)
    claims.cut = [cut]
    dispatcher = make_driver(broken).dispatcher
    for round_ in range(60):
        dispatcher.step()
        if round_ == 30:
            append(store, invitation(2))
    broken.close()
    assert not claims.cut
    assert sequence(sink.requests) == [1, 2, "MAX_EVENTS_REACHED"]


def test_a_delete_in_mid_delivery_is_followed_by_its_end_only(
    store: Store, sink: RecordingSink, make_driver: Make
) -> None:
    made = created(store, sink=sink.url)
    append(store, *(invitation(number) for number in range(1, 21)))

    def answer(_: Received) -> Answer:
        if len(sink.requests) == 3:
            store.subscriptions.end(
                made.id, TerminationReason.SUBSCRIPTION_DELETED, Status.DELETED, drop_pending=True
            )
        return Answer()

    sink.answer = answer
    make_driver().run()
    # What was leased, eight at a time, is delivered; the rest is dropped.
    assert sequence(sink.requests) == [*range(1, 9), "SUBSCRIPTION_DELETED"]


def test_each_attempt_is_kept_for_a_while(
    store: Store, sink: RecordingSink, make_driver: Make, raw_store: "redis.Redis"
) -> None:
    created(store, sink=sink.url)
    append(store, invitation(1))
    sink.answer = [500, 204]
    make_driver().run()
    attempts = [entry["attempt"] for _, entry in raw_store.xrange(P.attempts)]
    assert len(attempts) == 2
    assert '"reason": "http_500"' in attempts[0]
    assert '"outcome": "delivered"' in attempts[1]


def test_a_sink_that_only_fails_gets_one_end_notification(
    store: Store, store_at: Callable[..., Store], sink: RecordingSink, make_driver: Make
) -> None:
    made = created(store, sink=sink.url)
    append(store, invitation(1))
    sink.answer = lambda _: Answer(500)
    first = make_driver()
    first.dispatcher.step()
    while not first.dispatcher.idle:
        first.dispatcher.step(claiming=False)
    before = len(sink.requests)
    a_day_later = store_at(24 * 3600)
    append(a_day_later, invitation(2))
    make_driver(a_day_later).run()
    assert sequence(sink.requests[before:]) == [2, "NETWORK_TERMINATED"]
    assert store.subscriptions.get(made.id).status is Status.EXPIRED  # type: ignore[union-attr]


def test_a_claim_takes_no_more_than_its_maximum_and_the_next_comes_at_once(
    store: Store, sink: RecordingSink, make_driver: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim is a script that holds up the store for all."""
    for _ in range(12):
        created(store, sink=sink.url)
    append(store, invitation(1))
    claim, sizes = store.claims.claim, []

    def recorded(*args: Any, **options: Any) -> Any:
        found = claim(*args, **options)
        sizes.append(len(found))
        return found

    monkeypatch.setattr(store.claims, "claim", recorded)
    # No poll comes within the test, so the first round's claim must be followed by others by itself.
    make_driver(options=DispatcherOptions(poll_s=60, limits=LIMITS, claims_at_once=5)).run()
    assert len(sink.requests) == 12
    assert max(sizes) <= 5
    # A delivery that failed on a busy machine would come again behind them.
    assert sum([size for size in sizes if size][:3]) == 12


def test_the_bytes_that_a_dispatcher_holds_are_bounded(
    store: Store, settings: Settings, sink: RecordingSink, make_driver: Make
) -> None:
    """What it has room for later, it leaves to others meanwhile; all is delivered in the end."""
    made = [created(store, sink=sink.url_of(f"/{number}")) for number in range(12)]
    event = invitation(1)
    padded = {**json.loads(event.payload)}
    padded["data"]["originatorName"] = "x" * 200_000
    append(store, dataclasses.replace(event, payload=json.dumps(padded)))
    held: list[int] = []
    sink.answer = lambda _: Answer(delay_s=0.1)
    small = dataclasses.replace(settings, worker_bytes=1_048_576)
    made_by = make_driver(settings=small)
    clock = SystemClock()
    give_up = clock.monotonic() + 30
    while len(sink.requests) < len(made) and clock.monotonic() < give_up:
        made_by.dispatcher.step()
        tasks = made_by.dispatcher._runner._tasks
        held.append(sum(len(item.payload) for task in tasks for item in task.claim.items))
    assert {request.path for request in sink.requests} == {f"/{number}" for number in range(12)}
    assert len(sink.requests) == len(made)
    assert 400_000 < max(held) <= 1_048_576
    made_by.run()
