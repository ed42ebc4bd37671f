"""Every memory: an event is handled once, by one at a time, and what is older is known."""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from webrtc_events_client.consumer import ClaimState, Event, InMemory, SqliteMemory
from webrtc_events_client.consumer.memory import event_of
from webrtc_events_client.consumer.parsing import parse_notification

NOW = 1_800_000_000.0
LEASE_S = 60
REMEMBER_S = 1000


@pytest.fixture(params=["in memory", "SQLite"])
def memory(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    if request.param == "in memory":
        yield InMemory(remember_s=REMEMBER_S, lease_s=LEASE_S)
        return
    kept = SqliteMemory(tmp_path / "memory.db", remember_s=REMEMBER_S, lease_s=LEASE_S)
    yield kept
    kept.close()


def test_a_claim_is_one_mans_until_it_is_settled(memory: Any) -> None:
    event = Event("e")
    claim = memory.begin(event, NOW)
    assert claim.state is ClaimState.NEW
    assert memory.begin(event, NOW + 1).state is ClaimState.RUNNING
    memory.abandon(claim)
    second = memory.begin(event, NOW + 2)
    assert second.state is ClaimState.NEW
    memory.done(second, NOW + 3)
    assert memory.begin(event, NOW + 4).state is ClaimState.DONE


def test_the_claim_of_a_process_that_died_is_free_again(memory: Any) -> None:
    event = Event("e")
    dead = memory.begin(event, NOW)
    assert memory.begin(event, NOW + LEASE_S - 1).state is ClaimState.RUNNING
    second = memory.begin(event, NOW + LEASE_S + 1)
    assert second.state is ClaimState.NEW
    # It was not dead, only slow: its claim is not its any more.
    memory.abandon(dead)
    assert memory.begin(event, NOW + LEASE_S + 2).state is ClaimState.RUNNING


def test_what_was_done_is_forgotten_after_its_time(memory: Any) -> None:
    event = Event("e", "line", 7)
    memory.done(memory.begin(event, NOW), NOW)
    assert memory.begin(event, NOW + REMEMBER_S - 1).state is ClaimState.DONE
    assert memory.begin(event, NOW + REMEMBER_S + 1).state is ClaimState.NEW


def test_an_abandoned_event_leaves_no_number(memory: Any) -> None:
    memory.abandon(memory.begin(Event("9", "line", 9), NOW))
    assert not memory.begin(Event("1", "line", 1), NOW).is_stale


def test_numbers_beyond_all_bounds(memory: Any) -> None:
    memory.done(memory.begin(Event("a", "line", 10**30), NOW), NOW)
    assert memory.begin(Event("b", "line", 10**30 - 1), NOW).is_stale
    assert not memory.begin(Event("c", "line", 10**30 + 1), NOW).is_stale
    assert memory.begin(Event("d", "line", -(10**30)), NOW).is_stale


def test_it_must_remember_longer_than_a_signature_holds(tmp_path: Path) -> None:
    for make in (InMemory, lambda **how: SqliteMemory(tmp_path / "memory.db", **how)):
        with pytest.raises(ValueError, match="replay"):
            make(remember_s=360)


def test_in_memory_the_oldest_is_forgotten_first_and_no_more_is_kept_than_set() -> None:
    memory = InMemory(max_events=1000)
    for number in range(10_000):
        event = Event(str(number), f"line-{number}", 1)
        memory.done(memory.begin(event, NOW), NOW)
    assert memory.begin(Event("9000"), NOW).state is ClaimState.DONE
    assert memory.begin(Event("8999"), NOW).state is ClaimState.NEW
    assert memory.begin(Event("x", "line-9000", 0), NOW).is_stale
    assert not memory.begin(Event("y", "line-8999", 0), NOW).is_stale


def test_a_file_is_remembered_by_the_next_process_and_shared_by_two(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    first, second = SqliteMemory(path), SqliteMemory(path)
    claim = first.begin(Event("e", "line", 2), NOW)
    assert second.begin(Event("e", "line", 2), NOW).state is ClaimState.RUNNING
    first.done(claim, NOW)
    assert second.begin(Event("e", "line", 2), NOW).state is ClaimState.DONE
    first.close()
    second.close()
    third = SqliteMemory(path)
    assert third.begin(Event("e", "line", 2), NOW).state is ClaimState.DONE
    assert third.begin(Event("d", "line", 1), NOW).is_stale
    third.close()


def test_a_file_does_not_grow_for_ever(tmp_path: Path) -> None:
    memory = SqliteMemory(tmp_path / "memory.db", remember_s=REMEMBER_S)
    for number in range(200):
        event = Event(str(number), f"line-{number}", 1)
        memory.done(memory.begin(event, NOW + number * 100), NOW + number * 100)
    counts = [
        memory._database.execute(f"SELECT count(*) FROM webrtc_events_{table}").fetchone()[0]  # noqa: S608
        for table in ("seen", "newest")
    ]
    assert max(counts) <= 12
    memory.close()


def test_a_file_that_is_no_database_is_an_error_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(Exception, match="not a database"):
        SqliteMemory(path)
    with pytest.raises(Exception, match="unable to open"):
        SqliteMemory(tmp_path / "missing" / "memory.db")


CLAIMER = """
import sys
from webrtc_events_client.consumer import ClaimState, Event, SqliteMemory
memory = SqliteMemory(sys.argv[1])
won = 0
for number in range(100):
    claim = memory.begin(Event(str(number)), 1_800_000_000.0)
    if claim.state is ClaimState.NEW:
        won += 1
        memory.done(claim, 1_800_000_000.0)
print(won)
"""


def test_of_several_processes_one_has_each_event(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CLAIMER, str(tmp_path / "memory.db")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    won = [int(process.communicate(timeout=60)[0]) for process in processes]
    assert sum(won) == 100


def test_events_are_told_apart_by_their_whole_names(make_body: Callable[..., bytes]) -> None:
    def keys(**members: Any) -> tuple[str, str]:
        event = event_of(parse_notification(make_body(**members)))
        return event.key, event.line

    base = keys()
    assert keys() == base
    assert keys(id="s-1.11", source="/webrtc-event")[0] != base[0]
    assert keys(event_id="1/webrtc-events", source="/")[0] != keys(event_id="1", source="//webrtc-events")[0]
    assert keys(data={"subscriptionId": "s-1m", "mediaSessionId": "-1"})[1] != base[1]
    assert event_of(parse_notification(make_body(type="another"))).line == ""
    unnumbered = make_body().replace(b'"sequenceNumber": 1', b'"other": 1')
    assert event_of(parse_notification(unnumbered)).line == ""


class MemoryMachine(RuleBasedStateMachine):
    """Against a plain model: claims in any order, by handlers that fail, die or are slow, as time goes by."""

    claims = Bundle("claims")

    @initialize(in_file=st.booleans())
    def start(self, in_file: bool) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.memory: Any = (
            SqliteMemory(Path(self.directory.name) / "m.db", lease_s=LEASE_S)
            if in_file
            else InMemory(lease_s=LEASE_S)
        )
        self.now = NOW
        self.done: set[str] = set()
        self.running: dict[str, tuple[float, str]] = {}
        self.newest: dict[str, int] = {}

    def teardown(self) -> None:
        if isinstance(self.memory, SqliteMemory):
            self.memory.close()
        self.directory.cleanup()

    @rule(
        target=claims, line=st.sampled_from(["", "a", "b"]), number=st.integers(0, 4), copy=st.integers(0, 1)
    )
    def begin(self, line: str, number: int, copy: int) -> Any:
        event = Event(f"{line}-{number}-{copy}", line, number if line else 0)
        claim = self.memory.begin(event, self.now)
        if event.key in self.done:
            assert claim.state is ClaimState.DONE
        elif self.running.get(event.key, (0, ""))[0] > self.now:
            assert claim.state is ClaimState.RUNNING
        else:
            assert claim.state is ClaimState.NEW
            assert claim.is_stale == (bool(line) and event.number < self.newest.get(line, -1))
            self.running[event.key] = (self.now + LEASE_S, claim.ticket)
            return claim
        return multiple()

    @rule(claim=claims)
    def succeed(self, claim: Any) -> None:
        self.memory.done(claim, self.now)
        event = claim.event
        self.done.add(event.key)
        if event.line:
            self.newest[event.line] = max(event.number, self.newest.get(event.line, event.number))

    @rule(claim=claims)
    def fail(self, claim: Any) -> None:
        self.memory.abandon(claim)
        if self.running.get(claim.event.key, (0, ""))[1] == claim.ticket:
            del self.running[claim.event.key]

    @rule(seconds=st.sampled_from([1, LEASE_S]))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @invariant()
    def nothing_is_done_twice(self) -> None:
        for key in self.done:
            assert self.memory.begin(Event(key), self.now).state is ClaimState.DONE


TestMemoryMachine = MemoryMachine.TestCase
TestMemoryMachine.settings = settings(max_examples=40, stateful_step_count=30)
