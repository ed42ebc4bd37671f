"""The operator's sink gets what waits for it, in order, and has its own way of failing."""

import dataclasses
import json
import logging
from collections.abc import Callable

import pytest
import redis

from tests.harness.sinks import Answer, RecordingSink
from tests.operator_events.received import event_of
from webrtc_events.core.activity import Activity
from webrtc_events.core.settings import Settings, SettingsError
from webrtc_events.operator_events.cloud_events import OperatorEvents
from webrtc_events.operator_events.conditions import Kind, Occurrence
from webrtc_events.operator_events.operator_sink import OperatorSink
from webrtc_events.operator_events.sending import Sending
from webrtc_events.store.keys import OPERATOR
from webrtc_events.store.store import Store

Senders = Callable[..., Sending]


def append_tests(store: Store, *messages: str) -> None:
    events = OperatorEvents("/here")
    for message in messages:
        occurrence = Occurrence(Kind.TEST, "operator-events", {"message": message})
        store.operator_outbox.append(events.text(occurrence, 0))


def messages(operator: RecordingSink) -> list[str]:
    return [event_of(received)["data"]["message"] for received in operator.requests]


def run(sending: Sending, rounds: int = 50) -> None:
    """Until nothing waits, now or for a retry."""
    for _ in range(rounds):
        sending.step()
        if not sending._outbox.may_be_due():
            return
    raise AssertionError(f"something waits after {rounds} rounds")


def test_events_come_in_order_with_the_token(
    store: Store, sender: Senders, operator: RecordingSink, settings: Settings
) -> None:
    append_tests(store, *"abcdefghijklmnopqrstuvwxyz")
    run(sender(settings=dataclasses.replace(settings, operator_sink_token="t0ken")))
    assert messages(operator) == list("abcdefghijklmnopqrstuvwxyz")
    first = operator.requests[0]
    assert (first.method, first.path) == ("POST", "/operators")
    assert first.header("authorization") == "Bearer t0ken"
    assert first.header("content-type") == "application/cloudevents+json"


@pytest.mark.parametrize("status", [401, 403, 404, 405, 410, 429, 500, 503])
def test_what_may_be_put_right_is_tried_again_and_what_follows_waits(
    store: Store, sender: Senders, operator: RecordingSink, status: int
) -> None:
    operator.answer = (status, status, 204)
    activity = Activity()
    append_tests(store, "a", "b")
    run(sender(activity=activity))
    assert messages(operator) == ["a", "a", "a", "b"]
    ids = [event_of(received)["id"] for received in operator.requests]
    assert len(set(ids)) == 2
    assert activity.operator_events == {"retried": 2, "delivered": 2, "given_up": 0}


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_what_is_never_taken_is_given_up_and_others_go_on(
    store: Store, sender: Senders, operator: RecordingSink, status: int
) -> None:
    operator.answer = (status, 204)
    activity = Activity()
    append_tests(store, "a", "b")
    run(sender(activity=activity))
    assert messages(operator) == ["a", "b"]
    assert (activity.operator_events["given_up"], activity.operator_events["delivered"]) == (1, 1)
    # It is no dead letter of a subscriber.
    assert activity.given_up == 0
    assert store.operator_outbox.status().given_up == 1


def test_what_waited_for_a_day_is_given_up(
    store: Store, store_at: Callable[..., Store], sender: Senders, operator: RecordingSink
) -> None:
    append_tests(store, "a")
    run(sender(at=store_at(86_401)))
    assert operator.requests == []
    assert store.operator_outbox.status().given_up == 1


def test_a_sink_that_is_away_bounds_what_waits_and_the_newest_stay(
    settings: Settings, sender: Senders, operator: RecordingSink
) -> None:
    store = Store.connect(dataclasses.replace(settings, outbox_length=16))
    try:
        append_tests(store, *map(str, range(100)))
        assert store.operator_outbox.status().waiting == 16
        run(sender(at=store))
        assert messages(operator) == [str(number) for number in range(84, 100)]
    finally:
        store.close()


def test_another_sink_in_the_settings_gets_what_waited(
    store: Store, sender: Senders, operator: RecordingSink, settings: Settings
) -> None:
    append_tests(store, "a")
    operator.answer = lambda received: Answer(500 if received.path == "/operators" else 204)
    assert not sender().step()
    moved = dataclasses.replace(settings, operator_sink=operator.url_of("/new"))
    run(sender(settings=moved))
    assert [received.path for received in operator.requests] == ["/operators", "/new"]


@pytest.mark.parametrize(
    "payload", ["no JSON", "[]", "{}", '{"type":"org.webrtc-events.operator.v0.test","data":{}}']
)
def test_what_is_no_valid_event_is_not_sent(
    store: Store, sender: Senders, operator: RecordingSink, payload: str
) -> None:
    store.operator_outbox.append(payload)
    append_tests(store, "b")
    run(sender())
    assert messages(operator) == ["b"]


def test_a_damaged_entry_does_not_hold_up_the_others(
    store: Store, sender: Senders, operator: RecordingSink, raw_store: "redis.Redis"
) -> None:
    append_tests(store, "a", "b")
    raw_store.lset(OPERATOR.outbox("operator"), 0, "damaged")
    run(sender())
    assert messages(operator) == ["b"]


DAMAGES = {
    "number": lambda raw: raw.hset(OPERATOR.subscription("operator"), "number", "x"),
    "fence": lambda raw: raw.hset(OPERATOR.subscription("operator"), "fence", "x"),
    "drop_before": lambda raw: raw.hset(OPERATOR.subscription("operator"), "drop_before", "x"),
    "attempts": lambda raw: raw.hset(OPERATOR.subscription("operator"), "attempts", "x"),
    "sink": lambda raw: raw.hdel(OPERATOR.subscription("operator"), "sink"),
    "no record": lambda raw: raw.delete(OPERATOR.subscription("operator")),
    "record": lambda raw: raw.set(OPERATOR.subscription("operator"), "x"),
    "due": lambda raw: raw.set(OPERATOR.due, "x"),
    "dead": lambda raw: raw.set(OPERATOR.dead, "x"),
    "kept attempts": lambda raw: raw.set(OPERATOR.attempts, "x"),
}


@pytest.mark.parametrize("is_written_to", [True, False])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_record_is_made_anew_and_what_waits_is_sent(
    store: Store,
    sender: Senders,
    operator: RecordingSink,
    raw_store: "redis.Redis",
    damage: str,
    is_written_to: bool,
) -> None:
    append_tests(store, "a", "b")
    DAMAGES[damage](raw_store)
    if is_written_to:
        append_tests(store, "c")
    if is_written_to or damage != "no record":
        run(sender())
        assert messages(operator) == ["a", "b", *(["c"] if is_written_to else [])]
    append_tests(store, "d")
    run(sender())
    assert messages(operator) == ["a", "b", *(["c"] if is_written_to else []), "d"]


def test_an_outbox_of_another_type_is_set_aside(
    store: Store, sender: Senders, operator: RecordingSink, raw_store: "redis.Redis"
) -> None:
    append_tests(store, "a")
    raw_store.set(OPERATOR.outbox("operator"), "x")
    append_tests(store, "b")
    run(sender())
    assert messages(operator) == ["b"]
    assert raw_store.get(f"set-aside:{OPERATOR.outbox('operator')}") == "x"


def test_what_waits_can_be_looked_at_whatever_its_first_entry_is(
    store: Store, raw_store: "redis.Redis"
) -> None:
    append_tests(store, "a", "b")
    raw_store.lset(OPERATOR.outbox("operator"), 0, "damaged")
    status = store.operator_outbox.status()
    assert (status.waiting, status.oldest_ms) == (2, None)


def test_a_lease_keeps_others_out_and_runs_out(
    store: Store, store_at: Callable[..., Store], sender: Senders, operator: RecordingSink
) -> None:
    append_tests(store, "a")
    claim, _ = store.operator_outbox.claim()
    assert claim is not None
    assert not sender().step()
    assert operator.requests == []
    run(sender(at=store_at(14)))
    assert messages(operator) == ["a"]


def test_attempts_are_kept_and_logged_without_the_token(
    store: Store,
    sender: Senders,
    operator: RecordingSink,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    operator.answer = (401, 204)
    append_tests(store, "a")
    run(sender(settings=dataclasses.replace(settings, operator_sink_token="s3cret")))
    first, second = store.operator_outbox.status().attempts
    assert (first["status"], first["outcome"], first["reason"]) == (401, "retry", "http_401")
    assert (second["status"], second["outcome"]) == (204, "delivered")
    assert "operator-attempt event=" in caplog.text
    assert "s3cret" not in caplog.text + json.dumps([first, second])


def test_a_sink_where_no_sink_may_be_is_a_wrong_setting(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="WEBRTC_EVENTS_OPERATOR_SINK"):
        OperatorSink.of(dataclasses.replace(settings, operator_sink="https://10.0.0.1/"))
