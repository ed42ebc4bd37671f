"""A subscription whose sink has to agree first, as the store keeps it."""

import dataclasses
from typing import Any

import pytest
import redis

from tests.conftest import everything, kept_keys
from tests.harness.builders import (
    SINK,
    all_of,
    append,
    created_with_token,
    invitation,
    new_subscription,
    session_status,
)
from tests.store.activations import ORIGIN, P, StoreAt, asked, claim_one
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.model import (
    Claim,
    Credential,
    EventType,
    OutboxKind,
    Status,
    Subscription,
    TerminationReason,
)
from webrtc_events.core.outcomes import Agreed, Refused, ScheduledRetry
from webrtc_events.core.settings import Settings
from webrtc_events.store.initial_events import InitialEvents
from webrtc_events.store.settlements import Settlement
from webrtc_events.store.store import Store

REFUSED = Refused("http_405")


def claims(store: Store) -> list[Claim]:
    return store.claims.claim([P], subscriptions=9, events=8)


def settle(store: Store, claim: Claim, answer: Agreed | Refused | None) -> str:
    return store.claims.settle([Settlement(claim, claim.items[-1].number, follow_up=answer)])[0]


def agree(store: Store, rate: int | None = None) -> str:
    return settle(store, claim_one(store), Agreed(rate))


def status_of(store: Store, made: Subscription) -> Status | None:
    found = store.subscriptions.get(made.id)
    return None if found is None else found.status


def nothing_is_left_to_send(raw_store: "redis.Redis", made: Subscription) -> bool:
    return not raw_store.exists(P.outbox(made.id)) and raw_store.zscore(P.due, made.id) is None


def test_it_is_asked_first_and_alone(store: Store) -> None:
    made = asked(store)
    assert status_of(store, made) is Status.ACTIVATION_REQUESTED
    assert append(store, invitation(1)) == [(True, 0)]
    claim = claim_one(store)
    assert [item.kind for item in claim.items] == [OutboxKind.HANDSHAKE]
    assert (claim.origin, claim.rate, claim.attempts) == (ORIGIN, None, 0)


def test_who_is_not_asked_is_active_at_once(store: Store) -> None:
    made = new_subscription()
    store.subscriptions.create(made, sink=SINK, headers={}, sealed=None)
    assert status_of(store, made) is Status.ACTIVE
    append(store, invitation(1))
    claim = claim_one(store)
    assert ([item.kind for item in claim.items], claim.origin) == ([OutboxKind.EVENT], "")


def test_events_come_in_from_the_agreement_on(store: Store, store_at: StoreAt) -> None:
    made = asked(store, max_events=2)
    append(store, invitation(1))
    before = store.subscriptions.get(made.id)
    later = store_at(5)
    assert settle(later, claim_one(later), Agreed(120)) == "active"
    found = store.subscriptions.get(made.id)
    assert found is not None
    assert before is not None
    assert found.status is Status.ACTIVE
    assert 5_000 <= found.starts_at_ms - before.starts_at_ms < 15_000
    assert append(store, invitation(1), invitation(2), invitation(3), invitation(4)) == [
        (False, 0),
        (True, 1),
        (True, 1),
        (True, 0),
    ]
    claim = claim_one(store)
    assert (claim.origin, claim.rate) == (ORIGIN, 120)
    # The question is no event: two come, and they are two.
    assert [item.kind for item in claim.items] == [OutboxKind.EVENT] * 2
    store.claims.settle([Settlement(claim, claim.items[-1].number)])
    assert claim_one(store).items[0].payload == "MAX_EVENTS_REACHED"


def test_a_refusal_ends_it_without_a_word(store: Store, raw_store: "redis.Redis", settings: Settings) -> None:
    made = created_with_token(store, settings, origin=ORIGIN)
    sealed = raw_store.hget(P.subscription(made.id), "credential")
    assert sealed in everything(raw_store)
    assert settle(store, claim_one(store), REFUSED) == "ended"
    assert status_of(store, made) is Status.EXPIRED
    assert nothing_is_left_to_send(raw_store, made)
    assert sealed not in everything(raw_store)
    assert append(store, invitation(1)) == [(True, 0)]


def test_a_refused_one_is_shown_until_its_retention_is_over(
    store: Store, store_at: StoreAt, raw_store: "redis.Redis"
) -> None:
    made = asked(store)
    settle(store, claim_one(store), REFUSED)
    early, late = store_at(3_590), store_at(3_610)
    early.expiry.sweep()
    assert [subscription.status for subscription in all_of(early)] == [Status.EXPIRED]
    late.expiry.sweep()
    assert status_of(late, made) is None
    assert kept_keys(raw_store) in ([], ["partitions"])


def test_a_later_claim_takes_the_answer_from_an_earlier_one(store: Store, store_at: StoreAt) -> None:
    """As when a worker dies between the question and its settlement."""
    made = asked(store)
    lost = claim_one(store)
    assert claims(store) == []
    other = store_at(31)
    again = claim_one(other)
    assert [item.number for item in again.items] == [item.number for item in lost.items]
    assert settle(other, lost, REFUSED) == "lost"
    assert status_of(store, made) is Status.ACTIVATION_REQUESTED
    assert settle(other, again, Agreed(None)) == "active"
    assert settle(other, lost, REFUSED) == "lost"
    assert status_of(store, made) is Status.ACTIVE


@pytest.mark.parametrize(
    ("answer", "first", "again"), [(Agreed(5), "active", "active"), (REFUSED, "ended", "lost")]
)
def test_a_settlement_may_be_repeated(store: Store, answer: Agreed | Refused, first: str, again: str) -> None:
    made = asked(store)
    claim = claim_one(store)
    assert settle(store, claim, answer) == first
    was = store.subscriptions.get(made.id)
    assert settle(store, claim, answer) == again
    assert store.subscriptions.get(made.id) == was


def test_a_question_is_put_off_and_counts_its_attempts(store: Store, store_at: StoreAt) -> None:
    made = asked(store)
    claim = claim_one(store)
    number = claim.items[0].number
    assert store.claims.settle(
        [Settlement(claim, number - 1, follow_up=ScheduledRetry(5_000, 1, number))]
    ) == ["due"]
    assert claims(store) == []
    again = claim_one(store_at(6))
    assert (again.items[0].kind, again.attempts) == (OutboxKind.HANDSHAKE, 1)
    assert status_of(store, made) is Status.ACTIVATION_REQUESTED


# What ends it meanwhile


def delete(store: Store, made: Subscription) -> str:
    return store.subscriptions.end(
        made.id, TerminationReason.SUBSCRIPTION_DELETED, Status.DELETED, drop_pending=True
    )


@pytest.mark.parametrize("leased", [False, True])
def test_a_delete_ends_it_without_a_word(store: Store, raw_store: "redis.Redis", *, leased: bool) -> None:
    made = asked(store)
    claim = claim_one(store) if leased else None
    assert delete(store, made) == "ended"
    assert status_of(store, made) is None
    assert nothing_is_left_to_send(raw_store, made)
    assert delete(store, made) == "gone"
    if claim is not None:
        assert settle(store, claim, Agreed(None)) == "lost"
    store.expiry.sweep()
    if claim is not None:
        assert settle(store, claim, Agreed(None)) == "lost"
    assert kept_keys(raw_store) in ([], ["partitions"])


def test_the_operator_ends_it_without_a_word(store: Store, raw_store: "redis.Redis") -> None:
    made = asked(store)
    assert (
        store.subscriptions.end(
            made.id, TerminationReason.NETWORK_TERMINATED, Status.EXPIRED, drop_pending=False
        )
        == "ended"
    )
    assert status_of(store, made) is Status.EXPIRED
    assert nothing_is_left_to_send(raw_store, made)


def now_ms() -> int:
    return round(SystemClock().now() * 1000)


@pytest.mark.parametrize("swept", [False, True])
@pytest.mark.parametrize("by", ["expiry", "token"])
def test_time_ends_it_without_a_word(
    store: Store, store_at: StoreAt, raw_store: "redis.Redis", by: str, *, swept: bool
) -> None:
    """Also when the sink's agreement comes before the sweeper does."""
    until = now_ms() + 60_000
    if by == "expiry":
        made = asked(store, expires_at_ms=until)
    else:
        made = asked(store, credential=Credential("t0ken", until), sealed="sealed")
    claim = claim_one(store)
    late = store_at(61)
    if swept:
        assert late.expiry.sweep() == 1
    assert settle(late, claim, Agreed(None)) == ("lost" if swept else "ended")
    assert status_of(late, made) is Status.EXPIRED
    assert nothing_is_left_to_send(raw_store, made)
    assert late.expiry.sweep() == 0


def test_one_that_nobody_asks_ends_too(store: Store, store_at: StoreAt, raw_store: "redis.Redis") -> None:
    """As after a worker of a release that took the question for an event it cannot read."""
    made = asked(store)
    raw_store.delete(P.outbox(made.id))
    # The time to agree is 600 s; an answer that is under way then may take a lease of 13.2 s longer.
    # The second before that is for a slow machine.
    assert store_at(612).expiry.sweep() == 0
    assert status_of(store, made) is Status.ACTIVATION_REQUESTED
    assert store_at(614).expiry.sweep() == 1
    assert status_of(store, made) is Status.EXPIRED


def test_once_it_is_active_that_time_means_nothing(store: Store, store_at: StoreAt) -> None:
    made = asked(store)
    agree(store)
    assert store_at(100_000).expiry.sweep() == 0
    assert status_of(store, made) is Status.ACTIVE


def test_the_end_of_its_registration_does_not_end_it(store: Store) -> None:
    """What happened before the agreement is not for it, unless it wishes an initial event."""
    made = asked(store, event_type=EventType.REGISTRATION_ENDS)
    ended = dataclasses.replace(invitation(1), type=EventType.REGISTRATION_ENDS)
    assert append(store, ended) == [(True, 0)]
    assert status_of(store, made) is Status.ACTIVATION_REQUESTED


# What it missed


def published(store: Store, event: Any) -> None:
    store.session_states.record([event])
    append(store, event, to=P.number)


def payloads(store: Store) -> list[str]:
    return [item.payload for claim in claims(store) for item in claim.items]


def test_an_initial_event_waits_for_the_agreement(store: Store, store_at: StoreAt) -> None:
    status = EventType.SESSION_STATUS
    old, latest = (
        session_status(1, registration="r1"),
        session_status(2, registration="r1", status="Connected"),
    )
    published(store, old)
    asked(store, event_type=status, session="s1", initial_event=True)
    # The sweeper leaves it alone, however long that takes.
    store_at(60).expiry.sweep()
    published(store, latest)
    assert agree(store) == "active"
    assert payloads(store) == [latest.payload]


def test_an_initial_event_that_a_crash_left_out_is_made_up_for(
    store: Store, store_at: StoreAt, monkeypatch: pytest.MonkeyPatch
) -> None:
    published(store, session_status(1, registration="r1"))
    asked(store, event_type=EventType.SESSION_STATUS, session="s1", initial_event=True)
    with monkeypatch.context() as patch:
        patch.setattr(InitialEvents, "catch_up", lambda *_: None)
        assert agree(store) == "active"
    assert payloads(store) == []
    late = store_at(10)
    late.expiry.sweep()
    assert payloads(late) == [session_status(1).payload]
    late.expiry.sweep()
    assert payloads(late) == []


def test_who_wishes_no_initial_event_gets_none(store: Store, raw_store: "redis.Redis") -> None:
    published(store, session_status(1, registration="r1"))
    made = asked(store, event_type=EventType.SESSION_STATUS, session="s1")
    assert agree(store) == "active"
    assert payloads(store) == []
    assert raw_store.zcard(P.initial) == 0
    assert raw_store.hget(P.subscription(made.id), "initial_pending") is None


def test_a_session_that_ended_meanwhile_ends_it_after_its_linger(store: Store, store_at: StoreAt) -> None:
    made = asked(store, event_type=EventType.SESSION_STATUS, session="s1")
    published(store, session_status(1, registration="r1", status="Terminated"))
    agree(store)
    assert store_at(3_500).expiry.sweep() == 0
    late = store_at(3_700)
    assert late.expiry.sweep() == 1
    assert status_of(late, made) is Status.EXPIRED
    assert payloads(late) == ["NETWORK_TERMINATED"]


# Renewing it


def test_its_expiry_can_be_renewed(store: Store, store_at: StoreAt) -> None:
    made = asked(store, expires_at_ms=now_ms() + 60_000)
    assert (
        store.subscriptions.update(made, expires_at_ms=now_ms() + 500_000, sealed=None).outcome == "updated"
    )
    assert store_at(61).expiry.sweep() == 0
    assert status_of(store, made) is Status.ACTIVATION_REQUESTED


def test_a_refusal_of_a_replaced_token_is_no_refusal(store: Store) -> None:
    made = asked(store, credential=Credential("old", now_ms() + 60_000), sealed="old")
    claim = claim_one(store)
    renewed = dataclasses.replace(made, credential=Credential("new", now_ms() + 600_000))
    assert store.subscriptions.update(renewed, expires_at_ms=None, sealed="new").outcome == "updated"
    assert settle(store, claim, Refused("http_401")) == "due"
    again = claim_one(store)
    assert (again.items[0].kind, again.credential) == (OutboxKind.HANDSHAKE, "new")
    assert settle(store, again, Refused("http_401")) == "ended"


def test_one_that_was_refused_is_not_renewed(store: Store) -> None:
    made = asked(store)
    settle(store, claim_one(store), REFUSED)
    assert store.subscriptions.update(made, expires_at_ms=now_ms() + 60_000, sealed=None).outcome == "ended"


def test_it_counts_towards_the_quota_until_it_is_refused(
    settings: Settings, raw_store: "redis.Redis"
) -> None:
    few = Store.connect(dataclasses.replace(settings, max_subscriptions=1))
    asked(few)
    over = new_subscription(origin=ORIGIN)
    assert few.subscriptions.create(over, sink=SINK, headers={}, sealed=None).outcome == "quota"
    settle(few, claim_one(few), REFUSED)
    assert few.subscriptions.create(over, sink=SINK, headers={}, sealed=None).outcome == "created"
    few.close()
