"""One subscription: what its page shows, masked until it is revealed."""

import logging
from collections.abc import Callable

import pytest
import redis
from flask.testing import FlaskClient

from tests.console.conftest import P
from tests.harness.builders import append, created, created_with_token, invitation
from tests.store.devices import DEVICE, created_for
from webrtc_events.console.console_parts import ConsoleParts
from webrtc_events.core.model import Status, Subscription, TerminationReason
from webrtc_events.core.outcomes import End, SinkResult
from webrtc_events.core.settings import Settings
from webrtc_events.store.settlements import Settlement
from webrtc_events.store.store import Store

PERSONAL = ("tel:+12025550100", "tel:+12025550101", "/alice", "very-personal")


def page(console: FlaskClient, subscription_id: str) -> str:
    answer = console.get(f"/subscriptions/{subscription_id}")
    assert answer.status_code == 200
    return " ".join(answer.text.split())


def test_it_shows_the_resource_and_its_state(console: FlaskClient, store: Store) -> None:
    made = created(store, max_events=7)
    append(store, invitation(1), invitation(2))
    text = page(console, made.id)
    assert "<dt>maximum</dt><dd>7 events</dd>" in text
    assert "<dt>accepted</dt><dd>2 events</dd>" in text
    assert "2 waiting, " in text
    assert "<dt>next attempt</dt><dd>due</dd>" in text
    assert "&#34;status&#34;: &#34;ACTIVE&#34;" in text


def test_a_worker_at_work_is_named(console: FlaskClient, store: Store) -> None:
    made = created(store)
    append(store, invitation(1))
    store.claims.claim([P], subscriptions=1, events=8)
    assert "a worker has it until" in page(console, made.id)


def test_last_attempts_and_dead_letters_are_there(console: FlaskClient, lost: Subscription) -> None:
    text = page(console, lost.id)
    assert '<td data-label="Status" class="number">400</td>' in text
    assert '<td data-label="Latency" class="number">12 ms</td>' in text
    assert text.count("<article") == 2
    assert text.index("deadline_exceeded") < text.index('<span class="pill bad">refused</span>')


def test_personal_data_is_masked_until_it_is_revealed(
    console: FlaskClient,
    store: Store,
    parts: ConsoleParts,
    token: Callable[[], str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = created(store, registration="very-personal", sink="https://app.example/alice")
    append(store, invitation(1, registration="very-personal"))
    store.subscriptions.end(made.id, TerminationReason.NETWORK_TERMINATED, Status.EXPIRED, drop_pending=False)
    hidden = page(console, made.id)
    assert not [value for value in PERSONAL if value in hidden]
    assert parts.masking.pseudonym("very-personal") in hidden
    with caplog.at_level(logging.INFO):
        shown = console.post(f"/subscriptions/{made.id}", data={"csrf_token": token()}).text
    assert "very-personal" in shown
    assert "https://app.example/alice" in shown
    (line,) = [record.getMessage() for record in caplog.records if record.name.endswith("audit")]
    assert line == f"change by=local action=reveal subscription={made.id} result=shown"
    assert "very-personal" not in page(console, made.id)


def test_addresses_in_dead_letters_and_details_are_masked_too(
    console: FlaskClient, lost: Subscription, token: Callable[[], str]
) -> None:
    hidden = page(console, lost.id)
    assert not [value for value in (*PERSONAL, "alice@ims.example") if value in hidden]
    shown = console.post(f"/subscriptions/{lost.id}", data={"csrf_token": token()}).text
    assert "tel:+12025550100" in shown
    assert "alice@ims.example" in shown


def test_the_credential_is_on_no_page(
    console: FlaskClient, store: Store, settings: Settings, token: Callable[[], str]
) -> None:
    made = created_with_token(store, settings, token="s3cret")
    shown = console.post(f"/subscriptions/{made.id}", data={"csrf_token": token()}).text
    assert "sink&#39;s token" in shown or "sink's token" in shown
    assert "s3cret" not in shown


def test_an_ended_one_says_why_and_until_when_it_is_kept(console: FlaskClient, store: Store) -> None:
    made = created(store)
    store.subscriptions.end(made.id, TerminationReason.NETWORK_TERMINATED, Status.EXPIRED, drop_pending=False)
    text = page(console, made.id)
    assert "NETWORK_TERMINATED; its sink has not got the end yet" in text
    assert "End…" not in text


def test_one_whose_sink_fails_says_so_until_it_has_ended(
    console: FlaskClient, store: Store, raw_store: "redis.Redis"
) -> None:
    made = created(store)
    append(store, invitation(1))
    raw_store.hset(P.subscription(made.id), "failing_since", 1_000)
    text = page(console, made.id)
    assert "<dt>failing</dt>" in text
    assert "<dt>accepted</dt><dd>1 event</dd>" in text
    (claim,) = store.claims.claim([P], subscriptions=1, events=8)
    gone = End(TerminationReason.NETWORK_TERMINATED, notify=False)
    store.claims.settle([Settlement(claim, 1, follow_up=gone, sink=SinkResult.FAILED)])
    text = page(console, made.id)
    assert "NETWORK_TERMINATED, <time>" in text
    assert "<dt>failing</dt>" not in text


def test_a_damaged_one_is_shown_with_what_can_be_read(
    console: FlaskClient, lost: Subscription, raw_store: "redis.Redis"
) -> None:
    raw_store.hset(
        P.subscription(lost.id), mapping={"request": b"\xff{", "appended": "many", "sink": b"\xfe"}
    )
    text = page(console, lost.id)
    assert "its field request cannot be read" in text
    assert f"webrtc-events damaged show {lost.id}" in text
    assert text.count("<article") == 2


def test_a_key_of_another_type_breaks_no_page(
    console: FlaskClient, store: Store, raw_store: "redis.Redis"
) -> None:
    made = created(store)
    raw_store.delete(P.subscription(made.id))
    raw_store.set(P.subscription(made.id), "x")
    raw_store.set(P.outbox(made.id), "x")
    assert "it is a key of another type" in page(console, made.id)


def test_dead_letters_outlive_their_subscription_on_its_page(
    console: FlaskClient, lost: Subscription, raw_store: "redis.Redis"
) -> None:
    raw_store.delete(P.subscription(lost.id))
    text = page(console, lost.id)
    assert "not kept any more" in text
    assert text.count("<article") == 2


@pytest.mark.parametrize("subscription_id", ["nothing", "0" * 32 + f"-{P.number:02x}", "%ff"])
def test_one_that_is_not_there_is_not_found(console: FlaskClient, store: Store, subscription_id: str) -> None:
    assert console.get(f"/subscriptions/{subscription_id}").status_code == 404


def test_one_to_a_device_shows_it_as_a_pseudonym_until_it_is_revealed(
    console: FlaskClient, store: Store, parts: ConsoleParts, token: Callable[[], str]
) -> None:
    made = created_for(store)
    text = page(console, made.id)
    assert "<dt>types</dt><dd>session-invitation, session-status, registration-ends</dd>" in text
    assert "<dt>version</dt><dd>0.3</dd>" in text
    assert "<dt>registration</dt>" not in text
    pseudonym = parts.masking.pseudonym(DEVICE)
    assert f"?device={pseudonym}" in text
    assert DEVICE not in text
    shown = console.post(f"/subscriptions/{made.id}", data={"csrf_token": token()}).text
    assert shown.count(DEVICE) >= 2
