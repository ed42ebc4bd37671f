"""What a receiver answers, and what its handler sees: each event once, whatever comes in between."""

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from webrtc_events_client.consumer import (
    BearerTokens,
    Gone,
    InMemory,
    Receiver,
    ReceiverSettings,
    Refuse,
    TryLater,
)

Make = Callable[..., Any]
OPEN = {"keys": None, "allow_unverified": True}
TYPED = {"content-type": "application/cloudevents+json"}


@pytest.fixture
def post(make_body: Make) -> Make:
    """An unsigned notification."""

    def send(consumer: Any, *args: Any, **members: Any) -> Any:
        return consumer.receive("POST", "/inbox", TYPED, make_body(*args, **members))

    return send


def test_an_event_is_handled_once_however_often_it_comes(
    service: Any, make_consumer: Make, make_body: Make
) -> None:
    consumer = make_consumer()
    first = service.notify(make_body())
    replayed, repeated = first, service.notify(make_body(), created=service.clock.seconds - 10)
    assert [consumer(signed).status for signed in (first, replayed, repeated)] == [204, 204, 204]
    assert consumer.ids == ["s-1.1"]
    delivery = consumer.deliveries[0]
    assert (delivery.correlator, delivery.is_stale) == ("c-1", False)
    assert delivery.headers["content-type"] == "application/cloudevents+json"


def test_the_same_id_of_another_source_is_another_event(make_consumer: Make, post: Make) -> None:
    consumer = make_consumer(**OPEN)
    for source in ("/a", "/b", "/a"):
        assert post(consumer, "1", source=source).status == 204
    assert len(consumer.deliveries) == 2


def test_an_error_of_the_handler_is_the_frameworks_and_the_event_comes_again(
    make_consumer: Make, post: Make
) -> None:
    consumer = make_consumer(**OPEN)
    consumer.raises = [ZeroDivisionError(), KeyboardInterrupt()]
    for kind in (ZeroDivisionError, KeyboardInterrupt):
        with pytest.raises(kind):
            post(consumer)
    assert post(consumer).status == 204
    assert consumer.ids == ["s-1.1"]


def test_a_handler_chooses_the_answer(make_consumer: Make, post: Make) -> None:
    consumer = make_consumer(**OPEN)
    consumer.raises = [
        TryLater("the database is away", after_s=2.5),
        TryLater(),
        Refuse("never"),
        Gone("enough"),
    ]
    answers = [post(consumer) for _ in range(5)]
    assert [answer.status for answer in answers] == [503, 503, 422, 410, 204]
    assert [dict(answer.headers).get("Retry-After") for answer in answers[:2]] == ["3", "1"]
    assert answers[0].body == b"the database is away\n"
    assert consumer.ids == ["s-1.1"]


def test_while_an_event_is_handled_its_repeat_has_to_wait(make_body: Make) -> None:
    inside, go_on = threading.Event(), threading.Event()
    handled = []

    def handle(delivery: Any) -> None:
        inside.set()
        assert go_on.wait(30)
        handled.append(delivery)

    receiver = Receiver(handle, ReceiverSettings(allow_unverified=True))
    request = ("POST", "/", TYPED, make_body())
    answers = []
    thread = threading.Thread(target=lambda: answers.append(receiver.receive(*request)))
    thread.start()
    assert inside.wait(30)
    waiting = receiver.receive(*request)
    assert (waiting.status, dict(waiting.headers)["Retry-After"]) == (503, "1")
    go_on.set()
    thread.join(30)
    assert receiver.receive(*request).status == answers[0].status == 204
    assert len(handled) == 1


def test_what_is_older_than_what_was_handled_is_marked(make_consumer: Make, post: Make) -> None:
    consumer = make_consumer(**OPEN)
    for event_id, number in (("1", 1), ("3", 3), ("2", 2), ("3b", 3), ("4", 4)):
        assert post(consumer, event_id, data={"sequenceNumber": number}).status == 204
    assert [(delivery.notification.id, delivery.is_stale) for delivery in consumer.deliveries] == [
        ("1", False),
        ("3", False),
        ("2", True),
        ("3b", False),
        ("4", False),
    ]


def test_what_is_older_is_dropped_if_so_set(make_consumer: Make, post: Make) -> None:
    consumer = make_consumer(**OPEN, drop_stale=True)
    for event_id, number in (("1", 1), ("3", 3), ("2", 2), ("2", 2), ("4", 4)):
        assert post(consumer, event_id, data={"sequenceNumber": number}).status == 204
    assert consumer.ids == ["1", "3", "4"]


def test_sessions_and_subscriptions_are_numbered_each_for_itself(make_consumer: Make, post: Make) -> None:
    consumer = make_consumer(**OPEN)
    lines = [
        {},
        {"mediaSessionId": "m-2"},
        {"subscriptionId": "s-2"},
        {"mediaSessionId": "m-1s", "subscriptionId": "-1"},
    ]
    for number, line in enumerate(lines):
        assert post(consumer, str(number), data={"sequenceNumber": 9 - number, **line}).status == 204
    assert not any(delivery.is_stale for delivery in consumer.deliveries)


V0_2, V0_3 = "org.camaraproject.webrtc-events.v0.", "org.camaraproject.webrtc-events-subscriptions.v0."


def test_an_event_of_both_versions_is_handled_once_if_so_set(make_consumer: Make, post: Make) -> None:
    consumer = make_consumer(**OPEN, across_subscriptions=True)

    def both(number: int, kind: str = "session-status", **data: Any) -> None:
        at = {"time": f"2027-01-15T08:00:0{number}.000Z", "data": data}
        assert post(consumer, f"d-1.{number}", type=V0_3 + kind, **at).status == 204
        # Ids and numbers are those of each subscription.
        at["data"] = data | {"subscriptionId": "s-2", "sequenceNumber": 7 - number}
        assert post(consumer, f"s-2.{number}", type=V0_2 + kind, **at).status == 204

    both(1, status="Ringing")
    both(2, status="Connected", answer={"sdp": "v=0"})
    both(3, "registration-ends", registrationId="r-1", terminationReason="NETWORK_TERMINATED")
    assert consumer.ids == ["d-1.1", "d-1.2", "d-1.3"]
    # The end of a subscription is its own.
    both(4, "subscription-ended", terminationReason="SUBSCRIPTION_DELETED")
    assert consumer.ids[3:] == ["d-1.4", "s-2.4"]


@pytest.mark.parametrize(
    "other",
    [
        {"time": "2027-01-15T08:00:00.001Z"},
        {"data": {"status": "Connected"}},
        {"data": {"mediaSessionId": "m-2"}},
        {"data": {"answer": {"sdp": "v=0"}}},
        {"type": V0_3 + "x"},
        {"source": "/other"},
    ],
)
def test_what_differs_stays_apart_across_subscriptions(
    make_consumer: Make, post: Make, other: dict[str, Any]
) -> None:
    consumer = make_consumer(**OPEN, across_subscriptions=True)
    assert post(consumer, "s-1.1").status == 204
    assert post(consumer, "s-2.1", **other).status == 204
    assert len(consumer.deliveries) == 2
    assert post(consumer, "s-2.2", **other).status == 204
    assert len(consumer.deliveries) == (3 if other.get("type") else 2)


def test_two_subscriptions_bring_an_event_twice_unless_so_set(make_consumer: Make, post: Make) -> None:
    consumer = make_consumer(**OPEN)
    for name in ("s-1", "s-2"):
        assert post(consumer, f"{name}.1", data={"subscriptionId": name}).status == 204
    assert len(consumer.deliveries) == 2


def test_a_failed_event_does_not_make_those_before_it_stale(make_consumer: Make, post: Make) -> None:
    consumer = make_consumer(**OPEN)
    consumer.raises = [Refuse()]
    assert post(consumer, "5", data={"sequenceNumber": 5}).status == 422
    assert post(consumer, "4", data={"sequenceNumber": 4}).status == 204
    assert not consumer.deliveries[0].is_stale


def test_an_access_token_is_checked(make_consumer: Make, make_body: Make) -> None:
    tokens = BearerTokens(["first", "s3cret"])
    consumer = make_consumer(keys=None, tokens=tokens)
    for number, value in enumerate(["Bearer s3cret", "bearer first", "BEARER  s3cret"]):
        answer = consumer.receive("POST", "/", TYPED | {"authorization": value}, make_body(f"e-{number}"))
        assert answer.status == 204
    assert "authorization" not in consumer.deliveries[0].headers
    wrong = [
        "",
        "Bearer",
        "Bearer ",
        "s3cret",
        "Basic s3cret",
        "Bearer s3cre",
        "Bearer s3cret2",
        "Bearer \ud800é",
    ]
    for value in [*wrong, "Bearer first, Bearer first"]:
        answer = consumer.receive("POST", "/", TYPED | {"Authorization": value}, make_body("e-9"))
        assert (answer.status, dict(answer.headers)["WWW-Authenticate"]) == (401, "Bearer")
    assert consumer.receive("POST", "/", TYPED, make_body("e-9")).status == 401
    tokens.revoke("s3cret")
    tokens.accept("third")
    for token, status in (("s3cret", 401), ("first", 204), ("third", 204)):
        headers = TYPED | {"authorization": f"Bearer {token}"}
        assert consumer.receive("POST", "/", headers, make_body(token)).status == status


def test_tokens_that_are_all_revoked_let_nobody_in(make_consumer: Make, make_body: Make) -> None:
    consumer = make_consumer(keys=None, tokens=BearerTokens())
    assert consumer.receive("POST", "/", TYPED | {"authorization": "Bearer "}, make_body()).status == 401


def test_both_the_token_and_the_signature_must_be_right(
    service: Any, make_consumer: Make, make_body: Make
) -> None:
    consumer = make_consumer(tokens=BearerTokens(["s3cret"]))
    signed = service.notify(make_body())
    assert consumer(signed).status == 401
    assert consumer(signed.with_headers(authorization="Bearer s3cret", signature=None)).status == 403
    assert consumer(signed.with_headers(authorization="Bearer s3cret")).status == 204


def test_a_service_that_asks_whether_it_may_send(service: Any, make_consumer: Make) -> None:
    consumer = make_consumer(agree_to=["events.example"], allowed_rate=120)
    answer = consumer(service.ask())
    assert (answer.status, answer.body) == (204, b"")
    assert dict(answer.headers)["WebHook-Allowed-Origin"] == "events.example"
    assert dict(answer.headers)["WebHook-Allowed-Rate"] == "120"
    asked = [
        service.ask(origin="evil.example"),
        service.ask(origin="Events.example"),
        service.ask(origin="events.example, evil.example"),
        service.ask(origin=""),
    ]
    for signed in asked:
        refused = consumer(signed)
        assert refused.status == 403
        assert "WebHook-Allowed-Origin" not in dict(refused.headers)


def test_a_question_carries_the_access_token_too(service: Any, make_consumer: Make) -> None:
    consumer = make_consumer(agree_to=["events.example"], tokens=BearerTokens(["s3cret"]))
    assert consumer(service.ask()).status == 401
    assert consumer(service.ask().with_headers(authorization="Bearer s3cret")).status == 204


def test_any_service_may_be_agreed_to_and_none_is_without_a_word(make_consumer: Make) -> None:
    question = ("OPTIONS", "/", {"WebHook-Request-Origin": "events.example"}, b"")
    answer = make_consumer(**OPEN, agree_to={"*"}).receive(*question)
    assert dict(answer.headers)["WebHook-Allowed-Origin"] == "*"
    assert dict(answer.headers)["WebHook-Allowed-Rate"] == "*"
    assert make_consumer(**OPEN).receive(*question).status == 403


def test_an_options_request_that_asks_nothing_is_no_consent(make_consumer: Make) -> None:
    answer = make_consumer(agree_to={"*"}).receive("OPTIONS", "/", {"Origin": "https://a.example"}, b"")
    assert (answer.status, dict(answer.headers)) == (204, {"Allow": "POST, OPTIONS"})


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "post ", "TRACE"])
def test_other_methods(make_consumer: Make, method: str) -> None:
    answer = make_consumer(**OPEN).receive(method, "/", TYPED, b"{}")
    assert (answer.status, dict(answer.headers)["Allow"]) == (405, "POST, OPTIONS")


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ("application/cloudevents+json", 204),
        ("Application/CloudEvents+JSON; charset=UTF-8", 204),
        ('application/cloudevents+json;charset="utf-8"', 204),
        ("application/cloudevents+json; charset=utf-16", 415),
        ("application/cloudevents-batch+json", 415),
        ("application/json", 415),
        ("text/plain", 415),
        ("application/cloudevents+json, application/json", 415),
        ("", 415),
    ],
)
def test_other_types(make_consumer: Make, make_body: Make, given: str, status: int) -> None:
    consumer = make_consumer(**OPEN)
    assert consumer.receive("POST", "/", {"content-type": given}, make_body()).status == status


def test_a_compressed_body_and_none_at_all(make_consumer: Make, make_body: Make) -> None:
    consumer = make_consumer(**OPEN)
    assert consumer.receive("POST", "/", TYPED | {"content-encoding": "gzip"}, make_body()).status == 415
    assert consumer.receive("POST", "/", {}, make_body()).status == 415
    assert consumer.receive("POST", "/", TYPED, b"").status == 400


def test_fifty_megabytes_are_not_looked_at(service: Any, key_server: Any, make_consumer: Make) -> None:
    consumer = make_consumer()
    signed = service.notify(b"{}")
    assert consumer(signed.but(body=b"[" * 50_000_000)).status == 413
    assert key_server.asked == 0
    exact = make_consumer(**OPEN, max_body=100)
    assert exact.receive("POST", "/", TYPED, b" " * 101).status == 413
    assert exact.receive("POST", "/", TYPED, b" " * 100).status == 400


def test_an_event_of_a_quarter_of_a_megabyte_is_taken(
    service: Any, make_consumer: Make, make_body: Make
) -> None:
    consumer = make_consumer()
    body = make_body(data={"offer": {"sdp": "a" * 256_000}})
    assert consumer(service.notify(body)).status == 204


def test_what_is_refused_is_logged_without_a_word_of_the_request(
    make_consumer: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "webrtc_events_client")
    answer = make_consumer(**OPEN).receive("POST", "/inbox\n?s3cret", TYPED, b'{"s3cret": 1}')
    assert answer.status == 400
    assert "answered 400: InvalidNotification: specversion is not 1.0" in caplog.text
    assert "s3cret" not in caplog.text + answer.body.decode()


def test_a_memory_that_fails_has_the_event_sent_again(make_consumer: Make, post: Make) -> None:
    class Failing(InMemory):
        fails = True

        def done(self, *args: Any) -> None:
            if self.fails:
                raise OSError("no space left on device")
            super().done(*args)

    memory = Failing()
    consumer = make_consumer(**OPEN, memory=memory)
    with pytest.raises(OSError, match="no space"):
        post(consumer)
    memory.fails = False
    assert post(consumer).status == 204
    # At least once: the handler had returned.
    assert consumer.ids == ["s-1.1", "s-1.1"]
