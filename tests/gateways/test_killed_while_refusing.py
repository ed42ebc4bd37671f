"""A publisher that is killed at any moment, at a service that refuses some: no loss, and order is kept."""

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.gateways.harness.answering_service import Service, accepted
from tests.gateways.harness.session_events import NO, status
from tests.harness.clocks import SteppedClock
from tests.harness.commands import eventually
from tests.harness.sinks import Answer
from webrtc_events.core.clock import SystemClock
from webrtc_events.gateways.journal import Journal
from webrtc_events.gateways.journal_view import view
from webrtc_events.gateways.set_aside import bring_back

SESSIONS, EVENTS, KILLS = 12, 40, 12
BAD = {"s3-5", "s7-0", "s9-39"}


def test_it_is_killed_while_events_go_aside_and_come_back(path: Path, service: Service) -> None:
    draw = random.Random(11)
    sent: list[str] = []
    bad = set(BAD)

    def decide(events: list[Any]) -> Answer:
        names = [event["id"] for event in events]
        if not names:
            return NO
        if bad.intersection(names):
            return Answer(403, (), b"no")
        sent.extend(name for name in names if name not in sent)
        # Some answers are lost.
        return Answer(502) if draw.random() < 0.2 else accepted(events)

    service.events = decide
    journal = Journal(path, SteppedClock())
    with journal.transaction() as transaction:
        for number in range(EVENTS):
            transaction.append([status(f"s{session}", number) for session in range(SESSIONS)])
    journal.close()
    for kill in range(KILLS):
        publisher = begun(path, service)
        SystemClock().sleep(draw.uniform(0.5, 1.5))
        assert publisher.poll() is None
        publisher.kill()
        publisher.wait()
        if kill % 4 == 2:
            bring_back(path, SystemClock())
    publisher = begun(path, service)
    try:
        eventually(lambda: view(path).entries == 0, 60)
        found = {session: sent_of(sent, session) for session in range(SESSIONS)}
        expected = {3: 5, 7: 0, 9: 39}
        assert found == {session: list(range(expected.get(session, EVENTS))) for session in range(SESSIONS)}
        assert (view(path).set_aside, view(path).rejected) == (35 + 40 + 1, 0)
        bad.clear()
        assert bring_back(path, SystemClock()) == 76
        eventually(lambda: view(path).entries == 0, 60)
    finally:
        publisher.kill()
        publisher.wait()
    assert {session: sent_of(sent, session) for session in range(SESSIONS)} == {
        session: list(range(EVENTS)) for session in range(SESSIONS)
    }
    assert (view(path).set_aside, view(path).bytes) == (0, 0)


def begun(path: Path, service: Service) -> "subprocess.Popen[bytes]":
    module = "tests.gateways.harness.hasty_publisher"
    arguments = (str(path), service.sink.url_of(""), str(service.sink.ca_file))
    return subprocess.Popen([sys.executable, "-m", module, *arguments], stderr=subprocess.DEVNULL)


def sent_of(sent: list[str], session: int) -> list[int]:
    """The numbers of its events, in the order of their first arrival."""
    return [int(name.partition("-")[2]) for name in sent if name.partition("-")[0] == f"s{session}"]
