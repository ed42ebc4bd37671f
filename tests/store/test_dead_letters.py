"""Dead letters in the store: read in order, redelivered once and in one step, purged."""

from collections.abc import Callable

import pytest
import redis

from tests.conftest import contents
from tests.harness.builders import append, created, invitation, session_status
from tests.harness.valkeys import eventually
from tests.harness.wakeups import Hearing
from tests.store.claiming import now_ms
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.model import Claim, EventType, Registration, Status, Subscription, TerminationReason
from webrtc_events.core.settings import Settings
from webrtc_events.store.dead_letters import DeadLetter, DeadLetterFilter, DeadLetterId, DeadLetters
from webrtc_events.store.keys import Partition, partition_of
from webrtc_events.store.settlements import DroppedEvent, Settlement
from webrtc_events.store.store import Store

StoreAt = Callable[..., Store]
P = partition_of("r1", 64)
ALL = DeadLetterFilter()
INVITATION_DEADLINE_MS = 120_000


@pytest.fixture
def dead_letters(store: Store, settings: Settings) -> DeadLetters:
    return DeadLetters(store)


def claim_one(store: Store, partition: Partition = P) -> Claim:
    (found,) = store.claims.claim([partition], subscriptions=10, events=100)
    return found


def give_up(store: Store, *numbers: int, partition: Partition = P, reason: str = "refused") -> None:
    """Dead letters of the first events that are due in a partition, which are done with then."""
    found = claim_one(store, partition)
    dead = tuple(DroppedEvent(number, reason, "HTTP 400") for number in numbers)
    store.claims.settle([Settlement(found, max(numbers), dead=dead)])


def lost_event(store: Store, **values: object) -> Subscription:
    """A subscription whose first event is a dead letter."""
    made = created(store, **values)
    append(store, invitation(1))
    give_up(store, 1)
    return made


def event_ids(found: Claim) -> list[str]:
    return [f"{found.subscription_id}.{item.event_number}" for item in found.items]


def the_dead_letter(dead_letters: DeadLetters) -> DeadLetter:
    (dead_letter,) = dead_letters.newest_first(ALL)
    return dead_letter


# Reading


def test_a_dead_letter_says_what_was_given_up_and_why(store: Store, dead_letters: DeadLetters) -> None:
    made = lost_event(store)
    dead_letter = the_dead_letter(dead_letters)
    assert (dead_letter.subscription_id, dead_letter.registration, dead_letter.event_id) == (
        made.id,
        "r1",
        f"{made.id}.1",
    )
    assert (dead_letter.reason, dead_letter.detail, dead_letter.type) == (
        "refused",
        "HTTP 400",
        EventType.SESSION_INVITATION,
    )
    assert dead_letters.get(DeadLetterId.parse(str(dead_letter.id))) == dead_letter


def test_dead_letters_of_all_partitions_come_in_order_of_time(
    store: Store, dead_letters: DeadLetters
) -> None:
    registrations = ("r1", "r2", "r3")
    made = [created(store, registration=registration).id for registration in registrations]
    for number in (1, 2, 3):
        for registration in registrations:
            append(store, invitation(number, registration=registration))
            give_up(store, number, partition=partition_of(registration, 64))
    assert len({partition_of(registration, 64).number for registration in registrations}) == 3
    oldest = list(dead_letters.oldest_first(ALL))
    assert list(dead_letters.newest_first(ALL)) == oldest[::-1]
    assert [dead_letter.id.moment for dead_letter in oldest] == sorted(
        dead_letter.id.moment for dead_letter in oldest
    )
    numbers = [
        (dead_letter.subscription_id, dead_letter.item.number) for dead_letter in oldest if dead_letter.item
    ]
    assert sorted(numbers) == sorted(
        (subscription_id, number) for subscription_id in made for number in (1, 2, 3)
    )


def test_more_dead_letters_than_a_page_are_all_read(store: Store, dead_letters: DeadLetters) -> None:
    created(store)
    append(store, *(invitation(number) for number in range(1, 251)))
    for first in (1, 101, 201):
        give_up(store, *range(first, min(first + 100, 251)))
    numbers = [dead_letter.item.number for dead_letter in dead_letters.oldest_first(ALL) if dead_letter.item]
    assert numbers == list(range(1, 251))
    assert [
        dead_letter.item.number for dead_letter in dead_letters.newest_first(ALL) if dead_letter.item
    ] == numbers[::-1]


def test_filters_narrow(store: Store, dead_letters: DeadLetters, raw_store: "redis.Redis") -> None:
    first = lost_event(store)
    (only,) = dead_letters.newest_first(ALL)
    created(store, registration="r2")
    append(store, invitation(1, registration="r2"))
    # Which of two in one ms is the newer nobody knows.
    eventually(lambda: now_ms(raw_store) > only.id.ms, "the next ms", every_s=0.001)
    give_up(store, 1, partition=partition_of("r2", 64), reason="deadline_exceeded")
    newest, oldest = dead_letters.newest_first(ALL)

    def found(**wanted: object) -> list[DeadLetter]:
        return list(dead_letters.newest_first(DeadLetterFilter(**wanted)))  # type: ignore[arg-type]

    assert found(subscription=first.id) == found(registration="r1") == found(reason="refused") == [oldest]
    assert found(registration="r2") == found(reason="deadline_exceeded") == [newest]
    assert found(type=EventType.SESSION_INVITATION) == [newest, oldest]
    assert found(type=EventType.SESSION_STATUS) == found(subscription="nonsense") == []
    assert found(since_ms=oldest.id.ms) == [newest, oldest]
    assert found(since_ms=newest.id.ms + 1) == []


def test_a_dead_letter_of_the_first_release_is_found_by_its_subscriptions_registration(
    store: Store, dead_letters: DeadLetters, raw_store: "redis.Redis"
) -> None:
    lost_event(store)
    ((dead_letter_id, fields),) = raw_store.xrange(P.dead)
    raw_store.xdel(P.dead, dead_letter_id)
    del fields["registration"]
    raw_store.xadd(P.dead, fields)
    assert [
        dead_letter.registration
        for dead_letter in dead_letters.newest_first(DeadLetterFilter(registration="r1"))
    ] == ["r1"]


def test_an_entry_that_cannot_be_read_is_shown_as_such(
    dead_letters: DeadLetters, raw_store: "redis.Redis"
) -> None:
    fields = {"subscription": "s", "at": "1", "reason": "unreadable_entry", "detail": "", "entry": "x"}
    raw_store.xadd(P.dead, fields)
    dead_letter = the_dead_letter(dead_letters)
    assert (dead_letter.item, dead_letter.type, dead_letter.registration) == (None, None, None)
    assert dead_letters.redeliver(dead_letter).outcome == "not_redeliverable"


@pytest.mark.parametrize("text", ["", "1", "1-2", "a-1-1", "01-1-1", "1-1-1 ", "-1-1-1", f"1-{9**30}-1"])
def test_what_is_no_dead_letter_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no dead letter's id"):
        DeadLetterId.parse(text)


def test_a_dead_letter_of_an_unknown_partition_is_not_found(dead_letters: DeadLetters) -> None:
    assert dead_letters.get(DeadLetterId(64, 1, 1)) is None
    assert dead_letters.get(DeadLetterId(0, 1, 1)) is None


# Redelivery


def test_a_redelivered_event_goes_to_the_tail_with_its_id_and_a_new_deadline(
    store: Store, store_at: StoreAt, settings: Settings, raw_store: "redis.Redis"
) -> None:
    made = lost_event(store)
    append(store, invitation(2))
    later = store_at(300)
    dead_letters = DeadLetters(later)
    assert dead_letters.redeliver(the_dead_letter(dead_letters)).outcome == "redelivered"
    found = claim_one(later)
    assert event_ids(found) == [f"{made.id}.2", f"{made.id}.1"]
    assert [item.number for item in found.items] == [2, 3]
    assert 0 <= found.items[1].deadline_ms - found.now_ms <= INVITATION_DEADLINE_MS
    assert found.items[1].deadline_ms > found.now_ms + INVITATION_DEADLINE_MS - 5_000
    assert list(dead_letters.newest_first(ALL)) == []


def test_a_redelivery_wakes_the_dispatcher(store: Store, dead_letters: DeadLetters) -> None:
    lost_event(store)
    with Hearing(store) as hearing:
        assert hearing.numbers(0.01) == set()
        dead_letters.redeliver(the_dead_letter(dead_letters))
        assert hearing.numbers(5) == {P.number}


def test_a_repeated_redelivery_changes_nothing(
    store: Store, dead_letters: DeadLetters, raw_store: "redis.Redis"
) -> None:
    lost_event(store)
    dead_letter = the_dead_letter(dead_letters)
    assert dead_letters.redeliver(dead_letter).outcome == "redelivered"
    before = contents(raw_store)
    assert dead_letters.redeliver(dead_letter).outcome == "no_letter"
    assert contents(raw_store) == before


def test_a_redelivery_does_not_count_towards_the_maximum(store: Store, dead_letters: DeadLetters) -> None:
    made = created(store, max_events=3)
    append(store, invitation(1))
    give_up(store, 1)
    dead_letters.redeliver(the_dead_letter(dead_letters))
    append(store, invitation(2))
    resource = store.subscriptions.get(made.id)
    assert resource is not None
    assert resource.status is Status.ACTIVE
    append(store, invitation(3))
    resource = store.subscriptions.get(made.id)
    assert resource is not None
    assert resource.status is Status.EXPIRED


def test_a_live_lease_and_its_settle_leave_a_redelivered_event_alone(
    store: Store, dead_letters: DeadLetters
) -> None:
    made = lost_event(store)
    append(store, invitation(2))
    leased = claim_one(store)
    dead_letters.redeliver(the_dead_letter(dead_letters))
    assert store.claims.claim([P], subscriptions=10, events=10) == []
    assert store.claims.settle([Settlement(leased, 2)]) == ["due"]
    assert event_ids(claim_one(store)) == [f"{made.id}.1"]


def test_an_event_that_is_given_up_again_keeps_its_id(store: Store, dead_letters: DeadLetters) -> None:
    made = lost_event(store)
    append(store, invitation(2))
    for _ in range(2):
        dead_letters.redeliver(the_dead_letter(dead_letters))
        found = claim_one(store)
        last = found.items[-1].number
        store.claims.settle([Settlement(found, last, dead=(DroppedEvent(last, "refused", ""),))])
        assert the_dead_letter(dead_letters).event_id == f"{made.id}.1"


def test_what_is_redelivered_meanwhile_is_not_met_again(store: Store, dead_letters: DeadLetters) -> None:
    lost_event(store)
    for met, dead_letter in enumerate(dead_letters.oldest_first(ALL)):
        assert met == 0
        dead_letters.redeliver(dead_letter)
        give_up(store, 2)
    assert the_dead_letter(dead_letters).event_id.endswith(".1")


def delete(store: Store, made: Subscription) -> None:
    store.subscriptions.end(
        made.id, TerminationReason.SUBSCRIPTION_DELETED, Status.DELETED, drop_pending=True
    )


def refused(dead_letters: DeadLetters, raw_store: "redis.Redis") -> tuple[str, str]:
    """Why the dead letter is not redelivered; nothing is written."""
    dead_letter = the_dead_letter(dead_letters)
    before = contents(raw_store)
    result = dead_letters.redeliver(dead_letter)
    assert contents(raw_store) == before
    return result.outcome, result.reason


def test_refused_once_the_subscription_was_deleted(
    store: Store, dead_letters: DeadLetters, raw_store: "redis.Redis"
) -> None:
    made = lost_event(store)
    delete(store, made)
    assert refused(dead_letters, raw_store) == ("ended", "SUBSCRIPTION_DELETED")
    store.claims.settle([Settlement(claim_one(store), 2)])
    store.expiry.sweep()
    assert refused(dead_letters, raw_store) == ("gone", "")


def test_refused_once_the_maximum_was_reached(
    store: Store, dead_letters: DeadLetters, raw_store: "redis.Redis"
) -> None:
    lost_event(store, max_events=1)
    assert refused(dead_letters, raw_store) == ("ended", "MAX_EVENTS_REACHED")


def test_refused_after_expiry_though_the_sweeper_has_not_come_by(
    store: Store, store_at: StoreAt, settings: Settings, raw_store: "redis.Redis"
) -> None:
    lost_event(store, expires_at_ms=raw_store.time()[0] * 1000 + 60_000)
    assert refused(DeadLetters(store_at(61)), raw_store) == ("ended", "")


def test_refused_when_the_registration_belongs_to_another(
    store: Store, dead_letters: DeadLetters, raw_store: "redis.Redis"
) -> None:
    lost_event(store)
    store.registrations.put(Registration("r1", "d1", "another", None, None), expires_at_ms=None, end="")
    assert refused(dead_letters, raw_store) == ("not_owner", "")


def test_refused_when_the_session_is_known_as_others(
    store: Store, dead_letters: DeadLetters, raw_store: "redis.Redis"
) -> None:
    created(store, event_type=EventType.SESSION_STATUS, session="s1")
    append(store, session_status(1), to=P.number)
    give_up(store, 1)
    store.session_states.record([session_status(2, registration="r9")])
    assert refused(dead_letters, raw_store) == ("others_session", "")
    store.session_states.record([session_status(2, registration="r1")])
    assert dead_letters.redeliver(the_dead_letter(dead_letters)).outcome == "redelivered"


def test_refused_while_the_outbox_is_full(
    store: Store, environ: dict[str, str], raw_store: "redis.Redis"
) -> None:
    made = lost_event(store)
    append(store, *(invitation(number) for number in range(2, 18)))
    settings = Settings.from_environ(environ | {"WEBRTC_EVENTS_OUTBOX_LENGTH": "16"})
    small = Store.connect(settings)
    dead_letters = DeadLetters(small)
    assert refused(dead_letters, raw_store) == ("full", "")
    store.claims.settle([Settlement(claim_one(store), 2)])
    assert dead_letters.redeliver(the_dead_letter(dead_letters)).outcome == "redelivered"
    assert raw_store.llen(P.outbox(made.id)) == 16
    small.close()


def test_a_full_store_takes_no_redelivery(
    store: Store, dead_letters: DeadLetters, raw_store: "redis.Redis"
) -> None:
    lost_event(store)
    dead_letter = the_dead_letter(dead_letters)
    raw_store.config_set("maxmemory", round(raw_store.info("memory")["used_memory"] / 0.95))
    try:
        with pytest.raises(Unavailable):
            dead_letters.redeliver(dead_letter)
    finally:
        raw_store.config_set("maxmemory", "0")
    assert dead_letters.redeliver(dead_letter).outcome == "redelivered"


@pytest.mark.parametrize("reason", ["invalid_event", "unreadable_entry"])
def test_refused_when_it_would_be_given_up_again(
    store: Store, dead_letters: DeadLetters, raw_store: "redis.Redis", reason: str
) -> None:
    created(store)
    append(store, invitation(1))
    give_up(store, 1, reason=reason)
    assert refused(dead_letters, raw_store) == ("not_redeliverable", reason)


def test_an_end_is_never_redelivered(
    store: Store, dead_letters: DeadLetters, raw_store: "redis.Redis"
) -> None:
    made = created(store)
    delete(store, made)
    give_up(store, 1, reason="end_refused")
    assert the_dead_letter(dead_letters).type is EventType.SUBSCRIPTION_ENDED
    assert refused(dead_letters, raw_store) == ("end", "")


# Purge


def test_a_purge_removes_what_it_is_given_and_counts_it(store: Store, dead_letters: DeadLetters) -> None:
    lost_event(store)
    created(store, registration="r2")
    append(store, invitation(1, registration="r2"))
    give_up(store, 1, partition=partition_of("r2", 64))
    newest, oldest = dead_letters.newest_first(ALL)
    assert dead_letters.purge([oldest.id, DeadLetterId(3, 1, 1)]) == 1
    assert list(dead_letters.newest_first(ALL)) == [newest]
    assert dead_letters.purge(dead_letter.id for dead_letter in dead_letters.oldest_first(ALL)) == 1
    assert list(dead_letters.newest_first(ALL)) == []
