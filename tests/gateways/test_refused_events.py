"""An event that the service refuses for itself goes aside with its session; what is refused for all waits."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.gateways.harness.answering_service import HOUR_MS, Service, accepted, answer, append, drain
from tests.gateways.harness.session_events import NO, refusing, status
from tests.harness.clocks import SteppedClock
from tests.harness.sinks import Answer, Received
from webrtc_events.contract.documents import load_network
from webrtc_events.gateways.journal import Journal, JournalLimits, QueueFull
from webrtc_events.gateways.journal_view import totals, view
from webrtc_events.gateways.network_requests import PutRegistration
from webrtc_events.gateways.publisher import Publisher
from webrtc_events.gateways.service_client import ServiceClient
from webrtc_events.gateways.set_aside import bring_back

Run = Callable[[float], None]


@pytest.mark.parametrize("code", [400, 403, 404, 409, 413, 415, 422, 451])
def test_one_event_that_is_refused_is_found_in_its_batch_and_holds_the_rest_for_a_minute(
    code: int, journal: Journal, run: Run, service: Service, path: Path
) -> None:
    taken = refusing(service, lambda name: name == "b-2", code)
    append(journal, *[status(session, number) for number in range(1, 5) for session in "abc"])
    run(50)
    # All that came before it.
    assert taken == ["a-1", "b-1", "c-1", "a-2"]
    run(100)
    assert taken == ["a-1", "b-1", "c-1", "a-2", "c-2", "a-3", "c-3", "a-4", "c-4"]
    found = view(path)
    assert (found.entries, found.bytes, found.rejected, found.set_aside) == (0, 0, 0, 3)
    # Of what follows it the operator sees the number only.
    (refused,) = found.last_set_aside
    assert (refused.what, refused.reason[:8]) == ("session-status Busy id=b-2", f"HTTP {code}")


def test_a_page_of_a_proxy_is_one_line_for_the_operator(
    journal: Journal, run: Run, service: Service, path: Path
) -> None:
    page = b"<html>\r\n<head><title>403</title></head>\r\n\x1b[2J</html>\r\n"
    service.events = lambda events: Answer(403, (), page) if events else NO
    append(journal, status("a", 1))
    run(1)
    words = "HTTP 403 <html> <head><title>403</title></head> \ufffd[2J</html>"
    why = view(path).why
    assert why is not None
    assert why.reason == words
    run(150)
    assert [one.reason for one in view(path).last_set_aside] == [words]


def test_what_is_brought_back_is_sent_in_its_order_before_what_follows(
    journal: Journal, run: Run, service: Service, publisher: Publisher, path: Path
) -> None:
    bad = {"b-2"}
    taken = refusing(service, bad.__contains__)
    append(journal, *[status(session, number) for number in range(1, 4) for session in "ab"])
    run(150)
    append(journal, status("b", 4), status("a", 4))
    drain(publisher)
    assert [name for name in taken if name[0] == "b"] == ["b-1"]
    append(journal, status("b", 5))
    bad.clear()
    assert bring_back(path, SteppedClock()) == 3
    drain(publisher)
    assert [name for name in taken if name[0] == "b"] == [f"b-{number}" for number in range(1, 6)]
    assert (view(path).entries, view(path).bytes, view(path).set_aside) == (0, 0, 0)


def test_what_is_refused_again_goes_aside_again_and_holds_up_nothing(
    journal: Journal, run: Run, service: Service, publisher: Publisher, path: Path
) -> None:
    taken = refusing(service, {"b-1"}.__contains__)
    append(journal, status("b", 1), status("b", 2))
    run(150)
    assert bring_back(path, SteppedClock()) == 2
    append(journal, status("a", 1))
    drain(publisher)
    assert taken == ["a-1"]
    assert view(path).set_aside == 2


def test_many_that_are_refused_hold_the_queue_for_a_minute_together(
    journal: Journal, run: Run, service: Service, clock: SteppedClock, path: Path
) -> None:
    """As somebody makes them who calls again and again."""
    taken = refusing(service, lambda name: name.startswith("bad"))
    for number in range(1, 400):
        append(journal, status(f"bad{number}", 1), status(f"good{number}", 1))
    run(10_000)
    assert len(taken) == 399
    assert view(path).set_aside == 399
    assert clock.elapsed < 120


def test_where_nothing_real_is_taken_each_takes_its_minute(
    journal: Journal, run: Run, service: Service, clock: SteppedClock, path: Path
) -> None:
    """The service decides on what is wrong anyway, and refuses all that is right: it may be mended."""
    refused = True
    taken = refusing(service, lambda _: refused)
    append(journal, *[status(f"s{number}", 1) for number in range(1000)])
    run(3000)
    # A hundred, and one for each minute and its last wait.
    assert 125 < view(path).set_aside <= 150
    refused = False
    run(120)
    assert (view(path).entries, len(taken)) == (0, 1000 - view(path).set_aside)


FORBIDDEN = answer(403, {"status": 403, "code": "PERMISSION_DENIED", "message": "no"})
PLAIN_TO_TLS = Answer(400, (), b"<html>The plain HTTP request was sent to HTTPS port</html>")


@pytest.mark.parametrize(
    ("answered", "words"),
    [
        (FORBIDDEN, "give the client the scope webrtc-events:network, and end its suspension"),
        (answer(401, {"status": 401, "code": "UNAUTHENTICATED", "message": "no"}), "the token's audience"),
        (PLAIN_TO_TLS, "look at --service"),
        (Answer(404), "name the API root with --service"),
        (Answer(413, (), b"too large"), "look at --service"),
    ],
    ids=["scope", "audience", "another port", "another path", "a proxy's bound"],
)
def test_what_is_refused_for_all_is_never_set_aside_and_says_what_to_do(
    answered: Answer,
    words: str,
    journal: Journal,
    run: Run,
    service: Service,
    publisher: Publisher,
    path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    service.events = lambda _: answered
    service.registrations = lambda _: answered
    append(journal, *[status("a", number) for number in range(250)], PutRegistration("x", {"owner": "x"}))
    run(3000)
    found = view(path)
    assert (found.entries, found.set_aside, found.rejected) == (251, 0, 0)
    assert words in caplog.text
    assert found.why is not None
    assert found.why.reason.startswith(f"HTTP {answered.status}")
    assert words in found.why.todo
    assert publisher.figures.failing_since_s == 0.0
    taken = refusing(service, lambda _: False)
    service.registrations = lambda _: Answer(201)
    run(60)
    assert taken == [f"a-{number}" for number in range(250)]
    assert (view(path).entries, view(path).why, publisher.figures.failing_since_s) == (0, None, None)


def test_a_client_that_the_issuer_has_suspended_loses_nothing(
    journal: Journal, run: Run, service: Service, path: Path
) -> None:
    service.token_answer = answer(400, {"error": "unauthorized_client"})
    append(journal, status("a", 1))
    run(3000)
    found = view(path)
    assert (found.entries, found.set_aside, found.rejected) == (1, 0, 0)
    assert found.why is not None
    assert "unauthorized_client" in found.why.reason
    assert "must not be suspended" in found.why.todo


def test_a_refusal_that_ends_within_a_minute_sets_nothing_aside(
    journal: Journal, run: Run, service: Service, path: Path
) -> None:
    taken = refusing(service, {"a-1"}.__contains__)
    append(journal, status("a", 1), status("a", 2))
    run(40)
    taken = refusing(service, lambda _: False)
    run(60)
    assert taken == ["a-1", "a-2"]
    assert (view(path).entries, view(path).set_aside) == (0, 0)


def test_why_the_queue_waits_is_there_after_a_restart_and_goes(
    path: Path, service: Service, client: ServiceClient, clock: SteppedClock
) -> None:
    service.events = lambda _: FORBIDDEN
    for _ in range(2):
        journal = Journal(path, clock)
        append(journal, status("a", 1))
        Publisher(journal, client, clock, HOUR_MS).send_head()
        Publisher(journal, client, clock, HOUR_MS).send_head()
        journal.close()
        assert view(path).why is not None
    service.events = accepted
    journal = Journal(path, clock)
    drain(Publisher(journal, client, clock, HOUR_MS))
    journal.close()
    assert view(path).why is None


def test_what_is_aside_counts_as_what_waits_and_ends_after_a_week(
    path: Path, service: Service, client: ServiceClient, clock: SteppedClock
) -> None:
    """Nothing is dropped to make room; in the end all of it is shown as rejected."""
    refusing(service, lambda name: name.startswith("a"))
    journal = Journal(path, clock, JournalLimits(max_entries=4))
    publisher = Publisher(journal, client, clock, HOUR_MS, uniform=lambda: 1.0)
    append(journal, *[status("a", number) for number in range(1, 4)])
    while (wait_s := publisher.send_head()) is not None:
        clock.elapsed += wait_s
    append(journal, status("b", 1))
    with pytest.raises(QueueFull, match="4 requests wait"):
        append(journal, status("b", 2))
    assert (totals(path).entries, totals(path).set_aside) == (1, 3)
    drain(publisher)
    clock.elapsed += 6 * 86_400
    journal.forget_inputs()
    assert view(path).set_aside == 3
    clock.elapsed += 2 * 86_400
    append(journal, status("a", 4))
    journal.forget_inputs()
    found = view(path)
    assert (found.set_aside, found.rejected, found.entries) == (0, 3, 1)
    assert found.last_rejected[0].reason == "was set aside for more than 7 days"
    append(journal, *[status("b", number) for number in range(2, 5)])
    journal.close()


def test_brought_back_between_the_reading_of_the_queue_and_its_sending(
    path: Path, service: Service, client: ServiceClient, clock: SteppedClock
) -> None:
    """By another process, while the publisher has read what follows: it does not overtake."""
    bad = {"a-1"}
    taken = refusing(service, bad.__contains__)

    class Interrupted(Journal):
        def head(self, max_entries: int) -> Any:
            found = super().head(max_entries)
            if bad and any(entry.follows for entry in found):
                bad.clear()
                bring_back(path, clock)
            return found

    journal = Interrupted(path, clock)
    publisher = Publisher(journal, client, clock, HOUR_MS, uniform=lambda: 1.0)
    append(journal, status("a", 1), status("b", 1), status("a", 2))
    while (wait_s := publisher.send_head()) is not None:
        clock.elapsed += wait_s
    assert bad == set()
    assert [name for name in taken if name[0] == "a"] == ["a-1", "a-2"]
    assert (view(path).entries, view(path).set_aside) == (0, 0)
    journal.close()


def test_the_service_calls_no_events_at_all_wrong() -> None:
    """What asks whether it decides on events."""
    assert load_network().validator("NetworkEventBatch").first_fault([]) is not None


def test_a_registration_that_no_service_answers_for_is_not_given_up(
    journal: Journal, run: Run, service: Service, path: Path
) -> None:
    """A proxy's own 400 is no decision of the service."""
    service.registrations = lambda _: PLAIN_TO_TLS
    append(journal, PutRegistration("x", {"owner": "x"}))
    run(3000)
    assert (view(path).entries, view(path).rejected, view(path).set_aside) == (1, 0, 0)


def test_a_registration_that_is_too_large_for_a_proxy_is_set_aside(
    journal: Journal, run: Run, service: Service, path: Path
) -> None:
    def decide(request: Received) -> Answer:
        if request.json == {}:
            return NO
        return Answer(413, (), b"") if request.path.endswith("/large") else Answer(201)

    service.registrations = decide
    append(journal, PutRegistration("large", {"owner": "x"}), PutRegistration("x", {"owner": "x"}))
    run(120)
    assert (view(path).entries, view(path).rejected, view(path).set_aside) == (0, 0, 1)
