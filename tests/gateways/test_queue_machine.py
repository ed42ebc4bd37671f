"""Whatever the service refuses, and whoever is killed: each session comes in order, and nothing is lost."""

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.gateways.harness.answering_service import Service, accepted
from tests.gateways.harness.session_events import NO, status
from tests.harness.clocks import SteppedClock
from tests.harness.sinks import Answer
from webrtc_events.gateways.journal import Journal
from webrtc_events.gateways.journal_entries import decoded, session_of
from webrtc_events.gateways.journal_view import totals
from webrtc_events.gateways.network_requests import PublishEvent
from webrtc_events.gateways.publisher import Publisher
from webrtc_events.gateways.service_client import Access, ServiceClient
from webrtc_events.gateways.set_aside import bring_back

SESSIONS = ("a", "b", "c", "d")
MANY_YEARS_MS = 10**12
MODES = ("takes", "forbids", "is away", "loses answers")


class QueueMachine(RuleBasedStateMachine):
    """`sent` has each event at its first arrival; `said`, what the gateway has said of each session."""

    service: Service

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "queue"
        self.clock = SteppedClock()
        self.said: dict[str, list[str]] = {session: [] for session in SESSIONS}
        self.sent: list[str] = []
        self.bad: set[str] = set()
        self.mode = "takes"
        self.service.events = self.decide
        access = Access(None, self.service.sink.url_of("/token"), "gateway")
        url = self.service.sink.url_of("")
        self.client = ServiceClient(url, access, self.clock, self.service.sink.ca_file)
        self.begin()

    def begin(self) -> None:
        self.journal = Journal(self.path, self.clock)
        self.publisher = Publisher(self.journal, self.client, self.clock, MANY_YEARS_MS)

    def teardown(self) -> None:
        """Everything is mended: in the end all of it was taken."""
        self.mode, self.bad = "takes", set()
        bring_back(self.path, self.clock)
        while (wait_s := self.publisher.send_head()) is not None:
            self.clock.elapsed += wait_s
        self.nothing_is_lost_and_each_session_is_in_order()
        assert sorted(self.sent) == sorted(name for names in self.said.values() for name in names)
        found = totals(self.path)
        assert (found.entries, found.bytes, found.set_aside) == (0, 0, 0)
        self.journal.close()
        self.client.close()
        self.folder.cleanup()

    def decide(self, events: list[Any]) -> Answer:
        names = [event["id"] for event in events]
        if self.mode == "forbids":
            return Answer(403)
        if self.mode == "is away":
            return Answer(503)
        if not events:
            return NO
        if self.bad.intersection(names):
            return Answer(422, (), b"no")
        self.sent += [name for name in names if name not in self.sent]
        return Answer(502) if self.mode == "loses answers" else accepted(events)

    @rule(sessions=st.lists(st.sampled_from(SESSIONS), min_size=1, max_size=12))
    def say(self, sessions: list[str]) -> None:
        with self.journal.transaction() as transaction:
            for session in sessions:
                found = status(session, len(self.said[session]))
                self.said[session].append(found.event["id"])
                transaction.append([found])

    @rule(session=st.sampled_from(SESSIONS), number=st.integers(0, 8))
    def refuse(self, session: str, number: int) -> None:
        self.bad.add(f"{session}-{number}")

    @rule()
    def mend(self) -> None:
        self.bad.clear()

    @rule(mode=st.sampled_from(MODES))
    def turn(self, mode: str) -> None:
        self.mode = mode

    @rule(steps=st.integers(1, 12))
    def send(self, steps: int) -> None:
        for _ in range(steps):
            wait_s = self.publisher.send_head()
            if wait_s is None:
                return
            self.clock.elapsed += wait_s

    @rule()
    def requeue(self) -> None:
        bring_back(self.path, self.clock)

    @rule()
    def kill(self) -> None:
        """What the process knew is gone, and its files are as they are."""
        self.journal._held.close()
        self.begin()

    @invariant()
    def nothing_is_lost_and_each_session_is_in_order(self) -> None:
        with closing(sqlite3.connect(self.path)) as database:
            rows = database.execute(
                "SELECT position, request, 0 FROM queue UNION ALL "
                "SELECT position, request, 1 FROM events_aside ORDER BY position"
            ).fetchall()
            entries, size = database.execute("SELECT entries, bytes FROM totals").fetchone()
        assert (entries, size) == (len(rows), sum(len(request) for _, request, _ in rows))
        for session, said in self.said.items():
            sent = [name for name in self.sent if name.startswith(f"{session}-")]
            assert sent == said[: len(sent)]
            kept = [found for row in rows if isinstance(found := decoded(row[1]), PublishEvent)]
            names = [found.event["id"] for found in kept if session_of(found) == session]
            # What was sent, and its answer lost, is there still.
            assert names == said[len(said) - len(names) :]
            assert len(names) >= len(said) - len(sent)


@pytest.fixture(scope="module")
def answering() -> Iterator[Service]:
    service = Service()
    with service.sink:
        yield service


def test_each_session_is_sent_in_order_and_nothing_is_lost(answering: Service) -> None:
    class Machine(QueueMachine):
        service = answering

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=40,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
