"""What comes of a claim's events, one after the other, and what is written back."""

import pytest

from tests.delivery.claims import claim_of, item_of
from webrtc_events.core.model import OutboxKind, TerminationReason
from webrtc_events.core.outcomes import (
    Agreed,
    Delivered,
    Drop,
    End,
    Outcome,
    Refused,
    Retry,
    ScheduledRetry,
    SinkResult,
)
from webrtc_events.delivery.tasks import DeliveryTask
from webrtc_events.store.keys import Partition
from webrtc_events.store.settlements import DroppedEvent, Settlement

PARTITION = Partition(1)
REFUSED_END = End(TerminationReason.NETWORK_TERMINATED, notify=False)


def task_of(*kinds: OutboxKind, end_once: bool = False, attempts: int = 0) -> DeliveryTask:
    """A task that began 100 s into the dispatcher's time; its items are numbered from 4."""
    items = [item_of(number, kind=kind) for number, kind in enumerate(kinds or (OutboxKind.EVENT,), start=4)]
    return DeliveryTask(claim_of(*items, end_once=end_once, attempts=attempts), PARTITION, 100.0)


def mask(detail: str) -> str:
    return detail.replace("secret", "***")


def test_it_begins_with_the_first_event_and_the_attempts_made_before() -> None:
    task = task_of(OutboxKind.EVENT, OutboxKind.END, attempts=2)
    assert (task.item.number, task.attempt, task.host) == (4, 3, "https://sink.example:443")
    assert (task.is_handshake, task.exhausted, task_of(OutboxKind.HANDSHAKE).is_handshake) == (
        *(False, False),
        True,
    )


def test_the_stores_time_goes_on_by_the_monotonic_clock() -> None:
    task = task_of()
    assert task.now_ms(100.0) == 10_000
    assert task.now_ms(101.5) == 11_500
    assert type(task.now_ms(101.5)) is int
    assert task.remaining_ms(69_990) == 10
    assert task.remaining_ms(70_010) == -10


@pytest.mark.parametrize(
    ("outcome", "comes_to"),
    [
        (Delivered(), Delivered()),
        (Drop("refused", "a secret"), Drop("refused", "a ***")),
        (Retry(5, "dns", "a secret"), Retry(5, "dns", "a ***")),
        (REFUSED_END, REFUSED_END),
    ],
)
def test_an_outcome_of_an_event_is_what_it_is_but_for_what_is_masked(
    outcome: Outcome, comes_to: Outcome
) -> None:
    assert task_of().fitting(outcome, mask) == comes_to
    assert task_of(end_once=True).fitting(outcome, mask) == comes_to


def test_an_end_that_the_sink_refuses_is_given_up() -> None:
    end = task_of(OutboxKind.END)
    assert end.fitting(REFUSED_END, mask) == Drop("end_refused", "NETWORK_TERMINATED")
    retry = Retry(5, "dns", "no secret")
    assert end.fitting(retry, mask) == Retry(5, "dns", "no ***")
    once = task_of(OutboxKind.END, end_once=True)
    assert once.fitting(retry, mask) == Drop("end_refused", "dns: no ***")
    assert once.fitting(Retry(5, "http_500"), mask) == Drop("end_refused", "http_500")
    assert once.fitting(Delivered(), mask) == Delivered()


@pytest.mark.parametrize("reason", ["proxy", "tunnel"])
def test_an_end_that_is_sent_once_is_sent_again_if_the_egress_proxy_failed(reason: str) -> None:
    once = task_of(OutboxKind.END, end_once=True)
    assert once.fitting(Retry(5, reason), mask) == Retry(5, reason)
    # Its time bounds that.
    assert once.fitting(Drop("deadline_exceeded"), mask) == Drop("deadline_exceeded")


def test_a_sink_that_could_not_be_asked_did_not_agree() -> None:
    task = task_of(OutboxKind.HANDSHAKE)
    assert task.fitting(Drop("deadline_exceeded", "secret"), mask) == Refused("deadline_exceeded", "***")
    assert task.fitting(Refused("no_origin", "secret"), mask) == Refused("no_origin", "***")
    assert task.fitting(Agreed(60), mask) == Agreed(60)


def test_an_attempt_is_kept_as_it_is_logged() -> None:
    task = task_of(attempts=1)
    task.event_type, task.correlator = "org.camaraproject.webrtc-events.v0.session-status", "c-1"
    kept = task.note(Retry(5, "dns", "no such name"), None, 12, 11_000)
    assert kept == {
        "event": "s-1.4",
        "type": "session-status",
        "attempt": 2,
        "outcome": "retry",
        "reason": "dns",
        "detail": "no such name",
        "status": None,
        "ms": 12,
        "at": 11_000,
        "host": "https://sink.example:443",
        "correlator": "c-1",
    }
    # In that order: so it is logged.
    assert list(kept)[:6] == ["event", "type", "attempt", "outcome", "reason", "detail"]
    task.note(Delivered(), 204, 3, 11_000)
    assert task.attempts[0] is kept
    assert "detail" not in task.attempts[1]
    assert [task.attempts[1][name] for name in ("outcome", "reason", "status")] == ["delivered", "", 204]


@pytest.mark.parametrize(
    ("outcome", "reason", "detail"),
    [
        (Agreed(None), "", None),
        (REFUSED_END, "NETWORK_TERMINATED", None),
        (Drop("refused", "HTTP 400"), "refused", "HTTP 400"),
        (Refused("no_origin", "x"), "no_origin", "x"),
        (Refused("no_origin"), "no_origin", None),
    ],
)
def test_an_attempt_says_why(outcome: Outcome, reason: str, detail: str | None) -> None:
    kept = task_of().note(outcome, 200, 1, 10_000)
    assert (kept["reason"], kept.get("detail")) == (reason, detail)


def test_what_is_delivered_or_given_up_is_followed_by_the_next() -> None:
    task = task_of(*[OutboxKind.EVENT] * 3, attempts=4)
    assert task.apply(Delivered()) is True
    assert (task.item.number, task.attempt) == (5, 1)
    assert task.apply(Drop("refused", "HTTP 400")) is True
    assert task.apply(Delivered()) is True
    assert task.exhausted
    assert task.settlement() == Settlement(task.claim, 6, dead=(DroppedEvent(5, "refused", "HTTP 400"),))


def test_a_retry_holds_back_what_follows() -> None:
    task = task_of(OutboxKind.EVENT, OutboxKind.EVENT)
    task.apply(Delivered())
    kept = task.note(Retry(500, "dns"), None, 1, 10_000)
    assert task.apply(Retry(500, "dns")) is False
    task.result = SinkResult.DELIVERED
    assert task.settlement() == Settlement(
        task.claim,
        4,
        attempts=(kept,),
        follow_up=ScheduledRetry(500, 1, 5),
        sink=SinkResult.DELIVERED,
    )


def test_an_end_gives_up_the_event_that_brought_it() -> None:
    task = task_of(OutboxKind.EVENT, OutboxKind.EVENT)
    assert task.apply(REFUSED_END) is False
    dead = DroppedEvent(4, "refused", "NETWORK_TERMINATED")
    assert task.settlement() == Settlement(task.claim, 4, dead=(dead,), follow_up=REFUSED_END)


@pytest.mark.parametrize("answer", [Agreed(60), Refused("no_origin")])
def test_an_answer_is_settled_for_what_it_is(answer: Agreed | Refused) -> None:
    task = task_of(OutboxKind.HANDSHAKE)
    assert task.apply(answer) is False
    assert task.settlement() == Settlement(task.claim, 4, follow_up=answer)


def test_what_is_put_off_was_no_attempt_and_is_due_at_its_deadline_at_the_latest() -> None:
    task = task_of(attempts=2)
    task.postpone(500, 10_000)
    assert task.settlement() == Settlement(task.claim, 3, follow_up=ScheduledRetry(500, 2, 4))
    task.postpone(500, 69_900)
    assert task.retry == ScheduledRetry(100, 2, 4)
