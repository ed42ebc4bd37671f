"""What the store gives up by itself is counted by its reason, and is in the trace of its call."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count, islice
from typing import Any

import pytest
import redis

from tests.harness.builders import append, created, invitation, session_status
from tests.store.call_notes import recorder_of
from tests.store.claiming import P, claim, claim_one, settle
from tests.store.shared_payloads import StoreWith
from webrtc_events.core.activity import Activity
from webrtc_events.core.call_trace import AttemptEntry
from webrtc_events.core.model import Credential, EventType, Status, Subscription, TerminationReason
from webrtc_events.core.outcomes import End
from webrtc_events.store.dead_letters import DeadLetterFilter, DeadLetters
from webrtc_events.store.keys import Partition, partition_of
from webrtc_events.store.redis.scripts import Call
from webrtc_events.store.settlements import DroppedEvent
from webrtc_events.store.store import Store

SESSION = json.loads(invitation(1).payload)["data"]["mediaSessionId"]


class Told:
    """What stores that report here gave up."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.activity = Activity()
        self._recorder = recorder_of(store)

    def by(self, *stores: Store) -> "Told":
        for store in stores:
            store.connection.given_up.tell(self.activity, self._recorder)
        return self

    @property
    def counted(self) -> dict[str, int]:
        assert self.activity.given_up == sum(self.activity.drops.values())
        return self.activity.drops

    def traced(self, session: str = SESSION) -> list[AttemptEntry]:
        self._recorder.flush()
        entries = self._store.call_traces.read(session).entries
        return [entry for entry in entries if isinstance(entry, AttemptEntry)]


@pytest.fixture
def told(store: Store) -> Told:
    return Told(store).by(store)


def events_of(made: Subscription, *numbers: int) -> list[str]:
    return [f"{made.id}.{number}" for number in numbers]


def test_what_an_outbox_had_no_room_for(store_with: StoreWith, told: Told) -> None:
    store = store_with(outbox_length=2)
    told.by(store)
    made = created(store, sink="https://app.example/hook")
    append(store, *(invitation(number) for number in range(1, 6)))
    assert told.counted == {"outbox_full": 3}
    entries = told.traced()
    assert [entry.event for entry in entries] == events_of(made, 1, 2, 3)
    (entry, *_) = entries
    assert (entry.outcome, entry.reason, entry.ms, entry.type, entry.host, entry.client) == (
        "drop",
        "outbox_full",
        None,
        "session-invitation",
        "https://app.example:443",
        "app",
    )
    summary = store.call_traces.summary(SESSION)
    assert summary is not None
    assert summary.outcome == "failed"


def test_what_waited_too_long(store_with: StoreWith, told: Told) -> None:
    store, later = store_with(outbox_age_s=100), store_with(101, outbox_age_s=100)
    told.by(store, later)
    created(store)
    append(store, invitation(1), invitation(2))
    append(later, invitation(3))
    assert told.counted == {"outbox_full": 2}
    assert [entry.sequence for entry in told.traced()] == [None, None]


def test_what_is_behind_the_end_that_a_sink_wished_for(store: Store, told: Told) -> None:
    """The event whose answer ended it was given up by the worker, which knows of it."""
    made = created(store)
    append(store, *(invitation(number) for number in range(1, 6)))
    end = End(TerminationReason.NETWORK_TERMINATED, notify=True)
    dropped = (DroppedEvent(1, "refused", "410"),)
    settle(store, claim_one(store, events=2), through=1, dead=dropped, follow_up=end)
    assert told.counted == {"subscription_ended": 4}
    assert [entry.event for entry in told.traced()] == events_of(made, 2, 3, 4, 5)


def test_what_an_expiring_sink_token_leaves_no_time_for(
    store_with: StoreWith, told: Told, raw_store: "redis.Redis"
) -> None:
    soon = raw_store.time()[0] * 1000 + 60_000
    store, late = store_with(token_lead_s=20), store_with(55, token_lead_s=20)
    told.by(store, late)
    created(store, sealed="sealed", credential=Credential("token", soon))
    append(store, invitation(1), invitation(2))
    while late.expiry.sweep():
        pass
    assert told.counted == {"access_token_expired": 2}
    assert len(told.traced()) == 2


def test_what_was_given_up_before_and_beside_a_partition_that_cannot_be_swept(
    store_with: StoreWith, told: Told, raw_store: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answers of that sweep say it once."""
    soon = raw_store.time()[0] * 1000 + 60_000
    store, late = store_with(token_lead_s=20), store_with(55, token_lead_s=20)
    told.by(store, late)
    before, broken, beside = 0, 8, 9
    for partition in (before, broken, beside):
        idle, busy = islice(registrations_in(partition), 2)
        # So many that the partitions behind the first eight are swept one at a time, and two are under way.
        # Not more than one sweep gets to, as which it leaves is chance.
        for registration in (busy, *[idle] * (24 if partition == before else 0)):
            created(store, sealed="s", credential=Credential("token", soon), registration=registration)
        append(store, invitation(1, registration=busy))
    late.expiry.sweep()
    assert told.counted == {}
    run_some = late.scripts.run_some

    def run_but_one(calls: Sequence[Call], **options: Any) -> list[Any]:
        answers = run_some(calls, **options)
        if any(call.script == "sweep" and call.tag == Partition(broken).tag for call in calls):
            raise RuntimeError("a bug")
        return answers

    monkeypatch.setattr(late.scripts, "run_some", run_but_one)
    with pytest.raises(RuntimeError):
        late.expiry.sweep()
    assert told.counted == {"access_token_expired": 2}


def registrations_in(partition: int) -> Iterator[str]:
    names = map("registration-{}".format, count())
    return (name for name in names if partition_of(name, 64).number == partition)


@pytest.mark.parametrize("by", ["settle", "claim"])
def test_what_was_on_its_way_when_the_token_left_no_time(
    store_with: StoreWith, told: Told, raw_store: "redis.Redis", by: str
) -> None:
    soon = raw_store.time()[0] * 1000 + 60_000
    store, late = store_with(50, token_lead_s=20), store_with(55, token_lead_s=20)
    told.by(late)
    created(store_with(token_lead_s=20), sealed="sealed", credential=Credential("token", soon))
    append(store_with(token_lead_s=20), *(invitation(number) for number in range(1, 5)))
    leased = claim_one(store, events=2)
    while late.expiry.sweep():
        pass
    assert told.counted == {}
    if by == "settle":
        settle(late, leased)
        assert told.counted == {"access_token_expired": 2}
    else:
        # Its worker is gone.
        much_later = store_with(90, token_lead_s=20)
        told.by(much_later)
        claim_one(much_later)
        assert told.counted == {"access_token_expired": 4}
    assert {entry.reason for entry in told.traced()} == {"access_token_expired"}


def test_what_its_owner_deletes_is_not_given_up(store: Store, told: Told) -> None:
    made = created(store)
    append(store, invitation(1))
    store.subscriptions.end(
        made.id, TerminationReason.SUBSCRIPTION_DELETED, Status.DELETED, drop_pending=True
    )
    assert told.counted == {}
    assert told.traced() == []


def test_of_many_at_once_all_are_counted_and_the_first_are_in_traces(
    store_with: StoreWith, told: Told
) -> None:
    store = store_with(outbox_length=1_000)
    told.by(store)
    created(store)
    for first in range(1, 500, 50):
        append(store, *(invitation(number) for number in range(first, first + 50)))
    settle(
        store, claim_one(store), through=0, follow_up=End(TerminationReason.NETWORK_TERMINATED, notify=True)
    )
    assert told.counted == {"subscription_ended": 500}
    assert len(told.traced()) == 200


def test_a_payload_that_is_kept_once_says_its_session_too(store_with: StoreWith, told: Told) -> None:
    store = store_with(outbox_length=1)
    told.by(store)
    made = [created(store) for _ in range(2)]
    event = json.loads(invitation(1).payload)
    event["data"]["originatorName"] = "x" * 80_000
    append(store, replace(invitation(1), payload=json.dumps(event)), invitation(2))
    assert told.counted == {"outbox_full": 2}
    assert {entry.event for entry in told.traced()} == {*events_of(made[0], 1), *events_of(made[1], 1)}


def test_text_that_looks_like_a_session_is_none(store_with: StoreWith, told: Told) -> None:
    """Hostile text: a name with a session in it, before the one of the event."""
    store = store_with(outbox_length=1)
    told.by(store)
    created(store)
    event = json.loads(invitation(1).payload)
    event["data"] = {"originatorName": '"mediaSessionId":"other"'} | event["data"]
    append(store, replace(invitation(1), payload=json.dumps(event)), invitation(2))
    assert len(told.traced()) == 1
    assert told.traced("other") == []


def test_a_redelivered_event_is_known_by_its_number(store_with: StoreWith, told: Told) -> None:
    store = store_with(outbox_length=2)
    made = created(store)
    append(store, invitation(1))
    settle(store, claim_one(store), dead=(DroppedEvent(1, "refused", ""),))
    letters = DeadLetters(store)
    (letter,) = letters.newest_first(DeadLetterFilter())
    assert letters.redeliver(letter).outcome == "redelivered"
    told.by(store)
    append(store, invitation(2), invitation(3))
    assert [entry.event for entry in told.traced()] == events_of(made, 1)


def test_an_entry_that_cannot_be_read_is_counted_and_of_no_call(
    store: Store, told: Told, raw_store: "redis.Redis"
) -> None:
    made = created(store)
    append(store, invitation(1), invitation(2))
    raw_store.lset(P.outbox(made.id), 0, "no entry")
    assert claim(store) == []
    assert [item.event_number for item in claim_one(store).items] == [2]
    assert told.counted == {"damaged": 1}
    assert told.traced() == []


def test_a_session_status_of_a_subscription_to_its_session(store_with: StoreWith, told: Told) -> None:
    store = store_with(outbox_length=1)
    told.by(store)
    created(store, event_type=EventType.SESSION_STATUS, session="s1")
    append(store, session_status(1, registration="r1"), session_status(2, registration="r1"))
    assert [entry.type for entry in told.traced("s1")] == ["session-status"]


def test_without_anybody_to_tell_nothing_is_said(store_with: StoreWith) -> None:
    """As in a command of an operator."""
    store = store_with(outbox_length=1)
    created(store)
    append(store, invitation(1), invitation(2))
    assert store.call_traces.read(SESSION).entries == []
