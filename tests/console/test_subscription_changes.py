"""What an operator does with a subscription: each change asks once, and is logged with who did it."""

import logging
import re
from collections.abc import Callable

import pytest
import redis
from flask.testing import FlaskClient

from tests.console.conftest import P
from tests.harness.builders import append, created, invitation
from webrtc_events.core.model import Status, Subscription
from webrtc_events.store.dead_letters import DeadLetterFilter, DeadLetters
from webrtc_events.store.outbox_entries import parse_entry
from webrtc_events.store.store import Store

Change = Callable[[str], str]


@pytest.fixture
def change(console: FlaskClient, token: Callable[[], str], caplog: pytest.LogCaptureFixture) -> Change:
    """Asks, then does it. Returns the line of the log, and checks that the page says what came of it."""

    def make(path: str) -> str:
        caplog.clear()
        asked = console.get(path)
        assert asked.status_code == 200
        assert "Cancel" in asked.text
        with caplog.at_level(logging.INFO):
            done = console.post(path, data={"csrf_token": token()})
        assert done.status_code == 303
        assert 'class="notice' in console.get(str(done.location)).text
        (line,) = [record.getMessage() for record in caplog.records if record.name.endswith("audit")]
        return line

    return make


def letters(store: Store, subscription: Subscription) -> list[str]:
    wanted = DeadLetterFilter(subscription=subscription.id)
    return [str(letter.id) for letter in DeadLetters(store).oldest_first(wanted)]


def test_a_question_changes_nothing(console: FlaskClient, store: Store, lost: Subscription) -> None:
    first, second = letters(store, lost)
    for path in ("end", f"dead-letters/{first}/redeliver", f"dead-letters/{second}/purge"):
        assert console.get(f"/subscriptions/{lost.id}/{path}").status_code == 200
    found = store.subscriptions.get(lost.id)
    assert found is not None
    assert found.status is Status.ACTIVE
    assert letters(store, lost) == [first, second]


def test_an_operator_ends_a_subscription_and_what_waits_is_delivered_first(
    change: Change, store: Store, raw_store: "redis.Redis"
) -> None:
    made = created(store)
    append(store, invitation(1))
    line = change(f"/subscriptions/{made.id}/end")
    assert line == f"change by=local action=end-subscription subscription={made.id} result=ended"
    waiting = [parse_entry(entry) for entry in raw_store.lrange(P.outbox(made.id), 0, -1)]
    assert [item.end for item in waiting] == [False, True]
    assert waiting[1].payload == "NETWORK_TERMINATED"


def test_the_first_end_wins(change: Change, store: Store) -> None:
    made = created(store)
    change(f"/subscriptions/{made.id}/end")
    assert change(f"/subscriptions/{made.id}/end").endswith("result=already")


def test_one_that_cannot_be_read_is_not_ended(change: Change, store: Store, raw_store: "redis.Redis") -> None:
    made = created(store)
    raw_store.hset(P.subscription(made.id), "status", "weird")
    assert change(f"/subscriptions/{made.id}/end").endswith("result=damaged")


def test_a_dead_letter_is_sent_again_once(change: Change, store: Store, lost: Subscription) -> None:
    first, second = letters(store, lost)
    line = change(f"/subscriptions/{lost.id}/dead-letters/{first}/redeliver")
    wanted = f"change by=local action=redeliver-dead-letter subscription={lost.id} letter={first}"
    assert line == f"{wanted} result=redelivered"
    assert letters(store, lost) == [second]
    (claim,) = store.claims.claim([P], subscriptions=1, events=8)
    assert [item.event_number for item in claim.items] == [1]


def test_why_a_letter_is_not_redelivered_is_said_and_logged(
    change: Change, store: Store, lost: Subscription
) -> None:
    (first, _) = letters(store, lost)
    change(f"/subscriptions/{lost.id}/end")
    line = change(f"/subscriptions/{lost.id}/dead-letters/{first}/redeliver")
    assert re.search('result="its subscription takes no more events: .*"', line)


def test_a_dead_letter_is_removed(change: Change, store: Store, lost: Subscription) -> None:
    first, second = letters(store, lost)
    assert change(f"/subscriptions/{lost.id}/dead-letters/{second}/purge").endswith("result=removed")
    assert letters(store, lost) == [first]


def test_all_dead_letters_are_sent_again_oldest_first(
    change: Change, store: Store, lost: Subscription, raw_store: "redis.Redis"
) -> None:
    line = change(f"/subscriptions/{lost.id}/dead-letters/redeliver")
    wanted = f"change by=local action=redeliver-dead-letters subscription={lost.id}"
    assert line == f'{wanted} result="2 redelivered"'
    waiting = [parse_entry(entry) for entry in raw_store.lrange(P.outbox(lost.id), 0, -1)]
    assert [item.event_number for item in waiting] == [1, 2]
    assert letters(store, lost) == []


def test_all_dead_letters_are_removed_and_those_of_others_stay(
    change: Change, store: Store, lost: Subscription, raw_store: "redis.Redis"
) -> None:
    other = created(store)
    raw_store.xadd(P.dead, {"subscription": other.id, "reason": "refused"})
    assert change(f"/subscriptions/{lost.id}/dead-letters/purge").endswith('result="2 removed"')
    assert (letters(store, lost), len(letters(store, other))) == ([], 1)
    assert change(f"/subscriptions/{lost.id}/dead-letters/purge").endswith('result="0 removed"')


def test_what_of_all_is_refused_is_counted_with_the_reason(
    change: Change, store: Store, lost: Subscription
) -> None:
    change(f"/subscriptions/{lost.id}/end")
    line = change(f"/subscriptions/{lost.id}/dead-letters/redeliver")
    assert 'result="0 redelivered; 2 not: its subscription takes no more events: ' in line
    assert len(letters(store, lost)) == 2


def test_a_letter_that_went_in_between_is_said_to_be_gone(
    console: FlaskClient, store: Store, lost: Subscription, token: Callable[[], str]
) -> None:
    first, _ = letters(store, lost)
    path = f"/subscriptions/{lost.id}/dead-letters/{first}/redeliver"
    for expected in ("redelivered", "there is no such dead letter"):
        done = console.post(path, data={"csrf_token": token()})
        assert expected in console.get(str(done.location)).text


@pytest.mark.parametrize("letter", ["nothing", "5-1-0", "99999-1-0"])
def test_a_letter_that_is_not_there_is_not_found(
    console: FlaskClient, lost: Subscription, letter: str
) -> None:
    path = f"/subscriptions/{lost.id}/dead-letters/{letter}/purge"
    assert console.get(path).status_code == 404


def test_a_letter_is_reached_through_its_own_subscription_only(
    console: FlaskClient, store: Store, lost: Subscription, token: Callable[[], str]
) -> None:
    other = created(store)
    first, second = letters(store, lost)
    path = f"/subscriptions/{other.id}/dead-letters/{first}/purge"
    assert console.get(path).status_code == 404
    console.post(path, data={"csrf_token": token()})
    assert letters(store, lost) == [first, second]
