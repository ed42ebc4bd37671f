"""After a bug, a crash or a lost settle, everything is sent, in order, and nothing twice without need."""

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from tests.delivery.conftest import LIMITS
from tests.delivery.deliveries import BreaksAtSettle, Make, WaitedFor, sequence
from tests.harness.builders import append, created, invitation, with_claims
from tests.harness.sinks import Answer, Received, RecordingSink
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.model import Claim, OutboxItem, Status, TerminationReason
from webrtc_events.core.outcomes import SinkRequest
from webrtc_events.delivery.attempts import Attempts
from webrtc_events.delivery.dispatcher import DispatcherOptions
from webrtc_events.delivery.host_limits import HostLimits
from webrtc_events.delivery.notifications import NotificationWriter
from webrtc_events.sinks.client import SinkClient
from webrtc_events.store.claims import ClaimRound
from webrtc_events.store.script_steps import ScriptStep
from webrtc_events.store.store import Store


def test_a_task_that_fails_by_a_bug_fails_alone(
    store: Store, sink: RecordingSink, make_driver: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    created(store, sink=sink.url_of("/bug"))
    created(store, sink=sink.url_of("/fine"))
    append(store, invitation(1))
    replied = Attempts.replied

    def buggy(self: Attempts, task: Any, *reply: Any) -> bool:
        if task.claim.sink.endswith("/bug"):
            raise RuntimeError("a bug")
        return replied(self, task, *reply)

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

    def buggy(
        self: NotificationWriter, claim: Claim, item: OutboxItem, now_ms: int, token: str | None = None
    ) -> Any:
        if claim.sink.endswith("/bug") and item.number == 2:
            raise RuntimeError("a bug")
        return write(self, claim, item, now_ms, token)

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


def test_a_delete_in_mid_delivery_is_followed_by_its_end_only(
    store: Store, sink: RecordingSink, make_driver: Make
) -> None:
    made = created(store, sink=sink.url)
    append(store, *(invitation(number) for number in range(1, 41)))

    def answer(_: Received) -> Answer:
        if len(sink.requests) == 3:
            store.subscriptions.end(
                made.id, TerminationReason.SUBSCRIPTION_DELETED, Status.DELETED, drop_pending=True
            )
        return Answer()

    sink.answer = answer
    make_driver().run()
    # What was leased, sixteen at a time, is delivered; the rest is dropped.
    assert sequence(sink.requests) == [*range(1, 17), "SUBSCRIPTION_DELETED"]


@pytest.mark.parametrize("calls", ["at once", "in a thread"])
def test_a_claim_that_was_not_answered_is_soon_made_again(
    store: Store, sink: RecordingSink, make_driver: Make, monkeypatch: pytest.MonkeyPatch, calls: str
) -> None:
    """Nobody notices a second time what was noticed, and it is long until all partitions are asked."""
    created(store, sink=sink.url)
    append(store, invitation(1))
    claiming, outages = store.claims.claiming, [Unavailable(), Unavailable()]

    def claim_or_fail(*args: Any, **options: Any) -> ScriptStep[ClaimRound]:
        def fail() -> ClaimRound:
            raise outages.pop()

        return WaitedFor(fail) if outages else claiming(*args, **options)

    monkeypatch.setattr(store.claims, "claiming", claim_or_fail)
    dispatcher = make_driver(options=DispatcherOptions(poll_s=60, limits=LIMITS), calls=calls).dispatcher
    until_s = SystemClock().monotonic() + 20
    while not sink.requests and SystemClock().monotonic() < until_s:
        with contextlib.suppress(Unavailable):
            dispatcher.step()
    assert len(sink.requests) == 1
    assert outages == []
