"""What the service refuses for long is set aside, if it takes others; and comes back in its order."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.gateways.harness.answering_service import Service, answer, append, drain, event
from tests.harness.clocks import SteppedClock
from tests.harness.sinks import Answer, Received
from webrtc_events.contract.documents import load_network
from webrtc_events.core.model import EventType
from webrtc_events.gateways.journal import Journal, JournalLimits
from webrtc_events.gateways.journal_view import JournalView, view
from webrtc_events.gateways.network_requests import DeleteRegistration, PublishEvent, PutRegistration
from webrtc_events.gateways.publisher import Publisher
from webrtc_events.gateways.set_aside import bring_back

WRONG = answer(400, {"status": 400, "code": "INVALID_ARGUMENT", "message": "deviceId is missing"})
FORBIDDEN = answer(403, {"status": 403, "code": "PERMISSION_DENIED", "message": "not this one"})


def put(name: str, version: int = 1) -> PutRegistration:
    return PutRegistration(name, {"owner": "x", "version": version})


def refusing(*names: str, status: int = 403) -> Callable[[Received], Answer]:
    """As a service with a rule, or a proxy before it, for these registrations alone."""

    def decide(request: Received) -> Answer:
        name = request.path.rpartition("/")[2]
        if name in names:
            return FORBIDDEN if status == 403 else Answer(status, (), b"<html>no</html>")
        if request.method == "PUT" and request.json == {}:
            return WRONG
        return Answer(204 if request.method == "DELETE" else 200)

    return decide


Run = Callable[[float], None]


def taken(service: Service) -> list[tuple[str, str]]:
    """What the service was asked for, without what asks whether it takes anything."""
    return [(method, where) for method, where in service.calls() if "probe-of" not in where]


@pytest.mark.parametrize("status", [403, 404, 405, 409, 422])
def test_one_that_is_refused_holds_the_queue_for_a_minute_and_no_longer(
    status: int,
    journal: Journal,
    run: Run,
    service: Service,
    path: Path,
) -> None:
    service.registrations = refusing("bad", status=status)
    append(journal, put("bad"), event(1), put("good"))
    run(50)
    # Those that come with it are sent.
    assert (view(path).entries, service.batches()) == (2, [])
    run(120)
    assert view(path).entries == 0
    assert taken(service)[-2:] == [("PUT", "/registrations/bad"), ("POST", "/events")]
    (aside,) = view(path).last_set_aside
    assert (aside.what, aside.reason.startswith(f"HTTP {status}")) == ("put registration", True)
    assert (view(path).set_aside, view(path).rejected) == (1, 0)


@pytest.mark.parametrize(
    "answered", [FORBIDDEN, answer(401, {}), Answer(404), Answer(405), answer(400, "no")]
)
def test_what_is_refused_for_everything_is_never_set_aside(
    answered: Answer, journal: Journal, run: Run, service: Service, path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """A scope that was taken away, a wrong --service, a proxy that forbids PUT."""
    decide = refusing("bad", status=403)

    def nothing(request: Received) -> Answer:
        return decide(request) if request.path.endswith("/bad") else answered

    service.registrations = nothing
    append(journal, put("bad"), put("good"), event(1))
    run(3000)
    assert (view(path).entries, view(path).set_aside, view(path).rejected) == (3, 0, 0)
    assert service.batches() == []
    service.registrations = refusing()
    run(60)
    assert view(path).entries == 0
    *puts, post = taken(service)[-3:]
    # The two in any order.
    assert sorted(puts) == [("PUT", "/registrations/bad"), ("PUT", "/registrations/good")]
    assert post == ("POST", "/events")


def test_a_refusal_that_ends_within_a_minute_sets_nothing_aside(
    journal: Journal,
    run: Run,
    service: Service,
    path: Path,
) -> None:
    service.registrations = refusing("bad")
    append(journal, put("bad"), event(1))
    run(40)
    service.registrations = refusing()
    run(60)
    assert (view(path).entries, view(path).set_aside) == (0, 0)


def test_a_service_that_is_away_between_refusals_is_waited_for(
    journal: Journal,
    run: Run,
    service: Service,
    path: Path,
) -> None:
    decide = refusing("bad")
    service.registrations = lambda request: decide(request) if "probe" not in request.path else Answer(503)
    append(journal, put("bad"))
    run(600)
    assert (view(path).entries, view(path).set_aside) == (1, 0)


def test_renewals_of_what_is_refused_hold_up_nothing_and_the_latest_is_kept(
    journal: Journal,
    run: Run,
    service: Service,
    publisher: Publisher,
    path: Path,
) -> None:
    service.registrations = refusing("bad")
    append(journal, put("bad"))
    run(120)
    for version in range(2, 50):
        append(journal, put("bad", version), event(version))
        drain(publisher)
    assert (view(path).entries, view(path).set_aside) == (0, 1)
    assert publisher.figures.set_aside == 49
    service.registrations = refusing()
    assert bring_back(path, SteppedClock()) == 1
    drain(publisher)
    assert [request.json for request in service.sink.requests if request.path.endswith("/bad")][-1] == {
        "owner": "x",
        "version": 49,
    }
    assert view(path).set_aside == 0


def ends(name: str) -> PublishEvent:
    return PublishEvent({"id": "e", "type": EventType.REGISTRATION_ENDS, "data": {"registrationId": name}})


@pytest.mark.parametrize("later", [put("bad", 2), DeleteRegistration("bad"), ends("bad")])
def test_what_was_set_aside_never_undoes_what_came_later(
    later: Any,
    journal: Journal,
    run: Run,
    service: Service,
    publisher: Publisher,
    path: Path,
) -> None:
    service.registrations = refusing("bad")
    append(journal, put("bad"))
    run(120)
    assert view(path).set_aside == 1
    service.registrations = refusing()
    append(journal, later)
    drain(publisher)
    assert view(path).set_aside == 0
    assert bring_back(path, SteppedClock()) == 0


def test_what_is_brought_back_comes_before_what_waits_of_its_registration(
    journal: Journal,
    run: Run,
    service: Service,
    publisher: Publisher,
    path: Path,
) -> None:
    service.registrations = refusing("bad")
    append(journal, put("bad"))
    run(120)
    before = len(taken(service))
    append(journal, event(1), ends("bad"))
    service.registrations = refusing()
    assert bring_back(path, SteppedClock()) == 1
    assert (view(path).entries, view(path).bytes) == (3, total(path))
    drain(publisher)
    assert taken(service)[before:] == [("PUT", "/registrations/bad"), ("POST", "/events")]
    assert (view(path).entries, view(path).bytes) == (0, 0)


def test_what_is_brought_back_while_a_later_one_is_under_way_is_dropped(
    journal: Journal,
    run: Run,
    service: Service,
    publisher: Publisher,
    path: Path,
) -> None:
    service.registrations = refusing("bad")
    append(journal, put("bad"))
    run(120)
    append(journal, put("bad", 2))

    def meanwhile(_: Received) -> Answer:
        bring_back(path, SteppedClock())
        return Answer(200)

    service.registrations = meanwhile
    drain(publisher)
    found = [request.json["version"] for request in service.sink.requests if request.path.endswith("/bad")]
    assert found[-1] == 2
    assert (view(path).entries, view(path).bytes, view(path).set_aside) == (0, 0, 0)


def total(path: Path) -> int:
    with closing(sqlite3.connect(path)) as database:
        return int(database.execute("SELECT sum(length(request)) FROM queue").fetchone()[0])


def test_a_queue_of_the_release_before_is_taken_and_shown(path: Path) -> None:
    Journal(path, SteppedClock()).close()
    with closing(sqlite3.connect(path)) as database:
        database.execute("DROP TABLE set_aside")
    assert view(path).set_aside == 0
    Journal(path, SteppedClock()).close()
    assert view(path) == JournalView(0, 0, None, 0, (), 0, ())


def test_as_many_are_kept_as_the_limit_says(path: Path) -> None:
    journal = Journal(path, SteppedClock(), JournalLimits(max_rejected=20))
    with journal.transaction() as transaction:
        transaction.append([put(str(number)) for number in range(25)])
    for entry in journal.head(25):
        journal.set_aside(entry, "no")
    journal.close()
    assert (view(path).set_aside, view(path).entries, view(path).bytes) == (20, 0, 0)
    assert bring_back(path, SteppedClock()) == 20
    assert view(path).entries == 20


def test_the_service_can_only_call_the_question_wrong() -> None:
    assert load_network().validator("Registration").first_fault({}) is not None
