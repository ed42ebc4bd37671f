"""What the publisher does with each answer of the service: a real TLS server that answers as it is told."""

from pathlib import Path
from typing import Any

import pytest

from tests.gateways.harness.answering_service import HOUR_MS, Service, accepted, answer, append, drain, event
from tests.harness.clocks import SteppedClock
from tests.harness.commands import eventually
from tests.harness.sinks import Answer
from webrtc_events.core.clock import SystemClock
from webrtc_events.gateways.journal import Journal
from webrtc_events.gateways.journal_view import view
from webrtc_events.gateways.network_requests import (
    DeleteRegistration,
    PublishEvent,
    PutRegistration,
)
from webrtc_events.gateways.publisher import Publisher
from webrtc_events.gateways.service_client import Access, ServiceClient


def test_requests_are_sent_in_order_and_events_in_batches(
    journal: Journal, publisher: Publisher, service: Service
) -> None:
    append(journal, PutRegistration("a b@c", {"owner": "x"}), event(1), event(2), DeleteRegistration("z"))
    append(journal, event(3))
    drain(publisher)
    assert service.calls() == [
        ("PUT", "/registrations/a%20b%40c"),
        ("POST", "/events"),
        ("DELETE", "/registrations/z"),
        ("POST", "/events"),
    ]
    assert service.batches() == [["1", "2"], ["3"]]
    assert service.tokens == 1
    authorizations = {
        request.header("Authorization")
        for request in service.sink.requests
        if request.path.startswith("/network")
    }
    assert authorizations == {"Bearer t1"}
    assert publisher.figures.sent == 5


def test_large_events_are_sent_in_several_batches(
    journal: Journal, publisher: Publisher, service: Service
) -> None:
    append(journal, *[event(number, 200_000) for number in range(6)])
    drain(publisher)
    assert service.batches() == [["0", "1"], ["2", "3"], ["4", "5"]]


def test_what_is_rejected_is_set_aside_and_stops_nothing(
    journal: Journal, publisher: Publisher, service: Service, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def bad_second(events: list[Any]) -> Answer:
        results = [{"status": "accepted", "subscriptions": 0} for _ in events]
        if len(results) > 1:
            results[1] = {"status": "rejected", "subscriptions": 0, "message": "$.data: is bad"}
        return answer(202, {"results": results})

    service.events = bad_second
    append(journal, event(1), event(2), event(3))
    drain(publisher)
    (rejected,) = view(path).last_rejected
    assert (rejected.what, rejected.reason) == ("x id=2", "$.data: is bad")
    assert "$.data: is bad" in caplog.text
    assert publisher.figures.rejected == 1


def test_a_registration_that_is_refused_is_set_aside(
    journal: Journal, publisher: Publisher, service: Service, path: Path
) -> None:
    service.registrations = lambda _: answer(400, {"code": "INVALID_ARGUMENT", "message": "deviceId"})
    append(journal, PutRegistration("a", {}), event(1))
    drain(publisher)
    (rejected,) = view(path).last_rejected
    assert rejected.reason == "HTTP 400 INVALID_ARGUMENT: deviceId"
    assert service.batches() == [["1"]]


def test_a_registration_that_is_not_there_is_deleted(
    journal: Journal, publisher: Publisher, service: Service, path: Path
) -> None:
    service.registrations = lambda _: answer(404, {})
    append(journal, DeleteRegistration("a"))
    drain(publisher)
    assert view(path).rejected == 0


@pytest.mark.parametrize("status", [301, 403, 404, 405, 429, 500, 502, 503])
def test_any_other_answer_leaves_the_queue_as_it_is(
    status: int, journal: Journal, publisher: Publisher, service: Service
) -> None:
    service.events = lambda _: answer(status, {"code": "X", "message": "y"})
    append(journal, event(1))
    waits = [publisher.send_head() for _ in range(3)]
    assert waits == [0.5, 1.0, 2.0]
    assert len(journal.head(10)) == 1
    service.events = accepted
    drain(publisher)
    assert publisher.figures.failed_attempts == 3
    assert publisher.figures.failing_since_s is None


def test_retry_after_is_respected(journal: Journal, publisher: Publisher, service: Service) -> None:
    service.events = lambda _: answer(503, {}, ("Retry-After", "120"))
    append(journal, event(1))
    assert publisher.send_head() == 120.0


def test_waits_grow_to_half_a_minute(journal: Journal, publisher: Publisher, service: Service) -> None:
    service.sink.hang_up()
    service.events = lambda _: Answer(close=True, status=503)
    append(journal, event(1))
    waits = [publisher.send_head() for _ in range(9)]
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_a_service_that_is_not_there_is_waited_for(
    journal: Journal, clock: SteppedClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    append(journal, event(1))
    nobody = "https://localhost:1"
    for ca_file, words in [(None, "no answer (ConnectionError)"), (tmp_path / "none", "no answer (OSError)")]:
        client = ServiceClient(nobody, Access(None, f"{nobody}/token", "gateway"), clock, ca_file)
        assert Publisher(journal, client, clock, HOUR_MS, uniform=lambda: 1.0).send_head() == 0.5
        assert words in caplog.text
        client.close()


def test_a_batch_that_is_too_large_is_divided(
    journal: Journal, publisher: Publisher, service: Service
) -> None:
    def at_most_two(events: list[Any]) -> Answer:
        too_many = len(events) > 2
        return answer(413, {"code": "CONTENT_TOO_LARGE", "message": "no"}) if too_many else accepted(events)

    service.events = at_most_two
    append(journal, *[event(number) for number in range(10)])
    drain(publisher)
    assert [name for batch in service.batches() if len(batch) <= 2 for name in batch] == list("0123456789")


def test_an_expired_token_is_replaced(journal: Journal, publisher: Publisher, service: Service) -> None:
    refused: list[str] = []

    def once(events: list[Any]) -> Answer:
        if not refused:
            refused.append("t1")
            return answer(401, {})
        return accepted(events)

    service.events = once
    append(journal, event(1))
    drain(publisher)
    assert service.tokens == 2


def test_a_token_that_is_about_to_expire_is_not_used(
    journal: Journal, publisher: Publisher, service: Service, clock: SteppedClock
) -> None:
    service.lifetime_s = 10
    for elapsed in (0.0, 4.0, 5.0):
        clock.elapsed = elapsed
        append(journal, event(1))
        drain(publisher)
    assert service.tokens == 2


def test_what_waited_for_too_long_is_set_aside(
    journal: Journal, publisher: Publisher, service: Service, clock: SteppedClock, path: Path
) -> None:
    append(journal, event(1))
    clock.elapsed = 3601.0
    append(journal, event(2))
    drain(publisher)
    assert service.batches() == [["2"]]
    assert view(path).last_rejected[0].reason == "waited for more than 1 h"


def test_a_registration_that_was_renewed_meanwhile_is_put_as_it_is_now(
    journal: Journal, publisher: Publisher, service: Service
) -> None:
    append(
        journal, PutRegistration("a", {"expiresAt": "1"}), event(1), PutRegistration("a", {"expiresAt": "2"})
    )
    append(journal, DeleteRegistration("a"), PutRegistration("a", {"expiresAt": "3"}))
    drain(publisher)
    put = [request.json["expiresAt"] for request in service.sink.requests if request.method == "PUT"]
    assert put == ["2", "3"]


def test_an_hour_of_renewals_is_put_once_each(
    journal: Journal, publisher: Publisher, service: Service, path: Path
) -> None:
    """The queue of a long outage takes as long as there are registrations."""
    for renewal in range(12):
        append(journal, *[PutRegistration(f"r{number}", {"expiresAt": str(renewal)}) for number in range(50)])
    drain(publisher)
    put = [request.json["expiresAt"] for request in service.sink.requests if request.method == "PUT"]
    assert put == ["11"] * 50
    assert (view(path).entries, view(path).bytes, publisher.figures.sent) == (0, 0, 600)


@pytest.mark.parametrize(
    ("answered", "most"),
    [(Answer(503), 8), (answer(401, {}), 16), (Answer(403), 16), (Answer(429), 8)],
    ids=["away", "its token not taken", "forbidden", "too many"],
)
def test_a_service_that_takes_no_registration_is_not_asked_for_each(
    answered: Answer, most: int, journal: Journal, publisher: Publisher, service: Service, path: Path
) -> None:
    """8 are under way when the first answer comes, and 8 must be refused to say that all are."""
    service.registrations = lambda _: answered
    append(journal, *[PutRegistration(f"r{number}", {}) for number in range(100)])
    assert publisher.send_head() == 0.5
    assert len(service.calls()) <= most
    assert view(path).entries == 100
    service.registrations = lambda _: Answer(201)
    drain(publisher)
    assert view(path).entries == 0


def test_a_token_that_expires_among_many_registrations_is_replaced_once(
    journal: Journal, publisher: Publisher, service: Service, path: Path
) -> None:
    service.registrations = lambda request: Answer(
        401 if request.header("Authorization") == "Bearer t1" else 201
    )
    append(journal, *[PutRegistration(f"r{number}", {}) for number in range(40)])
    drain(publisher)
    assert (service.tokens, view(path).entries, view(path).rejected) == (2, 0, 0)


def test_registrations_between_events_do_not_part_them_into_small_batches(
    journal: Journal, publisher: Publisher, service: Service
) -> None:
    """One that an event before it names waits for that event."""
    named = PublishEvent({"id": "named", "subject": "r3", "data": {}})
    for number in range(6):
        append(journal, event(number), PutRegistration(f"r{number}", {}), *([named] if number == 2 else []))
    drain(publisher)
    calls = [call for call in service.calls() if call[0] == "PUT"]
    assert sorted(calls) == [("PUT", f"/registrations/r{number}") for number in range(6)]
    assert service.batches() == [["0", "1", "2", "named", "3"], ["4", "5"]]
    assert service.calls().index(("PUT", "/registrations/r3")) > service.calls().index(("POST", "/events"))


def test_renewals_that_never_end_do_not_hold_up_a_call(
    journal: Journal, publisher: Publisher, service: Service
) -> None:
    """While some are sent the next ones come: an event goes after the first of them."""

    def renewed(_: Any) -> Answer:
        append(journal, PutRegistration(f"r{len(service.calls())}", {}))
        return Answer(200)

    service.registrations = renewed
    append(journal, event(1), PutRegistration("r0", {}))
    for _ in range(3):
        assert publisher.send_head() == 0.0
    append(journal, event(2))
    for _ in range(3):
        assert publisher.send_head() == 0.0
    assert [method for method, _ in service.calls()] == ["PUT", "POST", "PUT", "PUT", "POST", "PUT"]
    assert service.batches() == [["1"], ["2"]]


def test_a_service_that_is_something_else_is_said(
    journal: Journal, publisher: Publisher, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    service.events = lambda _: answer(202, {"ok": True})
    append(journal, event(1))
    assert publisher.send_head() == 0.5
    assert "is --service the service?" in caplog.text


def test_no_certificate_is_taken_on_trust(
    journal: Journal, service: Service, clock: SteppedClock, caplog: pytest.LogCaptureFixture
) -> None:
    access = Access(None, service.sink.url_of("/token"), "gateway")
    publisher = Publisher(journal, ServiceClient(service.sink.url_of(""), access, clock), clock, HOUR_MS)
    append(journal, event(1))
    publisher.send_head()
    assert "a certificate that is not trusted" in caplog.text
    assert service.sink.requests == []


def test_the_thread_sends_what_is_appended_and_stops(path: Path, service: Service) -> None:
    clock = SystemClock()
    journal = Journal(path, clock)
    access = Access(None, service.sink.url_of("/token"), "gateway")
    client = ServiceClient(service.sink.url_of(""), access, clock, service.sink.ca_file)
    publisher = Publisher(journal, client, clock, HOUR_MS)
    publisher.start()
    for number in range(5):
        append(journal, event(number))
    eventually(lambda: publisher.figures.sent == 5)
    assert publisher.is_alive()
    publisher.stop()
    assert not publisher.is_alive()
    assert [number for batch in service.batches() for number in batch] == list("01234")
    journal.close()


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, {"error": "invalid_client"}, "invalid_client"),
        (200, {"token": "x"}, "no access token: "),
        (200, [], "no access token: "),
        (503, "away", "no access token: "),
    ],
)
def test_an_issuer_that_gives_no_token_is_waited_for(
    status: int,
    body: Any,
    words: str,
    journal: Journal,
    publisher: Publisher,
    service: Service,
    caplog: pytest.LogCaptureFixture,
) -> None:
    service.token_answer = answer(status, body)
    append(journal, event(1))
    assert publisher.send_head() == 0.5
    assert words in caplog.text
    service.token_answer = None
    drain(publisher)
    assert service.batches() == [["1"]]
