"""What a sink sees, and what becomes of each answer."""

import contextlib
import dataclasses
import json
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest
import redis
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.delivery.conftest import LIMITS
from tests.delivery.deliveries import BreaksAtSettle, Make, P, WaitedFor, dead_letters, sequence
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
from webrtc_events.core.model import Status
from webrtc_events.core.outcomes import Drop
from webrtc_events.core.settings import Settings
from webrtc_events.delivery.cloud_event import EventFormats
from webrtc_events.delivery.dispatcher import DispatcherOptions
from webrtc_events.delivery.notifications import NotificationSettings, NotificationWriter, Skipped
from webrtc_events.sinks.signatures import Signer
from webrtc_events.store.claims import ClaimRound, Claims
from webrtc_events.store.keys import partition_of
from webrtc_events.store.store import Store


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
        def claiming(self, *args: Any, **values: Any) -> Any:
            step = super().claiming(*args, **values)

            def run() -> ClaimRound:
                found = step.run()
                claims.extend([clock.monotonic()] * len(found.claims))
                return found

            return WaitedFor(run)

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
    unavailable_until = clock.monotonic() + LIMITS.total_ms / 1000 + 0.5
    while clock.monotonic() < unavailable_until:
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


def test_each_attempt_is_kept_for_a_while(
    store: Store, sink: RecordingSink, make_driver: Make, raw_store: "redis.Redis"
) -> None:
    created(store, sink=sink.url)
    append(store, invitation(1))
    sink.answer = [500, 204]
    make_driver().run()
    attempts = [json.loads(entry["attempt"]) for _, entry in raw_store.xrange(P.attempts)]
    assert len(attempts) == 2
    assert attempts[0]["reason"] == "http_500"
    assert attempts[1]["outcome"] == "delivered"


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
    claiming, sizes = store.claims.claiming, []

    def recorded(*args: Any, **options: Any) -> Any:
        step = claiming(*args, **options)

        def run() -> ClaimRound:
            found = step.run()
            sizes.append(len(found.claims))
            return found

        return WaitedFor(run)

    monkeypatch.setattr(store.claims, "claiming", recorded)
    # No look comes meanwhile, so the first round's claim must be followed by others by itself.
    make_driver(options=DispatcherOptions(poll_s=5, limits=LIMITS, claims_at_once=5)).run()
    assert len(sink.requests) == 12
    assert max(sizes) <= 5
    # A delivery that failed on a busy machine would come again behind them.
    assert sum([size for size in sizes if size][:3]) == 12


def test_an_event_does_not_wait_until_a_backlog_is_claimed(
    store: Store, sink: RecordingSink, make_driver: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when many subscriptions end at once."""
    other = created(store, sink=sink.url)
    names = {partition_of(name, 64).number: name for name in map("others-{}".format, range(400))}
    del names[P.number]
    for name in names.values():
        for _ in range(6):
            created(store, sink=sink.url, registration=name)
    driver = make_driver(options=DispatcherOptions(poll_s=60, limits=LIMITS))
    for number in range(1, 21):
        # Its host is known to be well before the rest comes.
        append(store, invitation(number))
        driver.dispatcher.notice(P.number)
        driver.run()
    claimed: list[str] = []
    claiming = store.claims.claiming

    def recorded(*args: Any, **options: Any) -> Any:
        step = claiming(*args, **options)

        def run() -> ClaimRound:
            found = step.run()
            claimed.extend(claim.subscription_id for claim in found.claims)
            return found

        return WaitedFor(run)

    monkeypatch.setattr(store.claims, "claiming", recorded)
    for number, name in names.items():
        append(store, invitation(1, registration=name))
        driver.dispatcher.notice(number)
    driver.dispatcher.step()
    before = len(claimed)
    append(store, invitation(21))
    driver.dispatcher.notice(P.number)
    for _ in range(3):
        driver.dispatcher.step()
    assert claimed[before:].index(other.id) <= 32


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
