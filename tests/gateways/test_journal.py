"""The queue and the state of an adapter: durable together, bounded, of one process."""

import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.harness.clocks import SteppedClock
from webrtc_events.core.start_faults import CannotStart
from webrtc_events.gateways.journal import Journal, JournalLimits, JournalUnwritable, QueueFull
from webrtc_events.gateways.journal_entries import Rejected
from webrtc_events.gateways.journal_view import view
from webrtc_events.gateways.network_requests import DeleteRegistration, PublishEvent, PutRegistration


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "made" / "queue"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    journal = Journal(path, SteppedClock(), JournalLimits(max_entries=3, max_bytes=1000, max_rejected=2))
    yield journal
    journal.close()


def event(number: int) -> PublishEvent:
    return PublishEvent({"id": str(number), "type": "x.session-status", "data": {"status": "Busy"}})


def test_requests_come_out_in_their_order(journal: Journal) -> None:
    requests = [PutRegistration("bob", {"owner": "x"}), event(1), DeleteRegistration("bob")]
    with journal.transaction() as transaction:
        transaction.append(requests)
    assert [entry.request for entry in journal.head(10)] == requests
    journal.settle(journal.head(1), [])
    assert [entry.request for entry in journal.head(10)] == requests[1:]


def test_what_fails_in_a_transaction_leaves_nothing_of_it(journal: Journal) -> None:
    def fail() -> None:
        with journal.transaction() as transaction:
            transaction.append([event(1)])
            transaction.put("call", "1", b"state")
            assert transaction.is_new(b"input")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with journal.transaction() as transaction:
        assert transaction.get("call", "1") is None
        assert transaction.is_new(b"input")
        assert not transaction.is_new(b"input")
    assert journal.head(1) == []


def test_state_and_queue_are_there_after_the_end_of_the_process(path: Path, journal: Journal) -> None:
    with journal.transaction() as transaction:
        transaction.append([event(1)])
        transaction.put("call", "1", b"state")
        transaction.is_new(b"input")
    # Nothing is closed in an orderly way: the lock goes with the process.
    journal._held.close()
    again = Journal(path, SteppedClock())
    with again.transaction() as transaction:
        assert transaction.items("call") == [("1", b"state")]
        assert not transaction.is_new(b"input")
    assert [entry.request for entry in again.head(10)] == [event(1)]
    again.close()


def test_a_full_queue_refuses_and_keeps_what_it_has(journal: Journal) -> None:
    with journal.transaction() as transaction:
        transaction.append([event(1), event(2)])
    with (
        pytest.raises(QueueFull, match="2 requests wait for the service; the limit is 3"),
        journal.transaction() as transaction,
    ):
        transaction.append([event(3), event(4)])
    with (
        pytest.raises(QueueFull, match="bytes wait for the service; the limit is 1000"),
        journal.transaction() as transaction,
    ):
        transaction.append([PublishEvent({"id": "x" * 1000})])
    assert [entry.request for entry in journal.head(10)] == [event(1), event(2)]
    journal.settle(journal.head(10), [])
    with journal.transaction() as transaction:
        transaction.append([event(3), event(4), event(5)])


def test_what_was_rejected_is_kept_and_bounded(path: Path, journal: Journal) -> None:
    with journal.transaction() as transaction:
        transaction.append([event(1), event(2), event(3)])
    journal.settle([], [Rejected(entry, "bad") for entry in journal.head(10)])
    found = view(path)
    assert (found.entries, found.bytes, found.rejected) == (0, 0, 2)
    assert [one.what for one in found.last_rejected] == [
        "session-status Busy id=3",
        "session-status Busy id=2",
    ]


def test_inputs_are_forgotten_after_their_time(path: Path) -> None:
    clock = SteppedClock()
    journal = Journal(path, clock, JournalLimits(seen_ms=1000))
    with journal.transaction() as transaction:
        assert transaction.is_new(b"1")
    clock.elapsed = 2.0
    journal.forget_inputs()
    with journal.transaction() as transaction:
        assert transaction.is_new(b"1")
    journal.close()


def test_state_that_nobody_touches_is_found(path: Path) -> None:
    clock = SteppedClock()
    journal = Journal(path, clock)
    with journal.transaction() as transaction:
        transaction.put("call", "old", b"1")
    clock.elapsed = 10.0
    with journal.transaction() as transaction:
        transaction.put("call", "new", b"2")
        assert transaction.untouched("call", 10_000) == [("old", b"1")]
        transaction.remove("call", "old")
        assert transaction.items("call", "n") == [("new", b"2")]
    journal.close()


def test_a_second_process_does_not_get_the_queue(path: Path, journal: Journal) -> None:
    with pytest.raises(CannotStart, match="another adapter runs with this queue"):
        Journal(path, SteppedClock())


def test_only_its_owner_reads_it(path: Path, journal: Journal) -> None:
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_a_file_that_is_no_queue_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("something else, which is longer than a header of SQLite would be: " + "x" * 200)
    with pytest.raises(CannotStart, match="is it a queue of an adapter"):
        Journal(path, SteppedClock())
    path.unlink()


def test_a_queue_of_a_newer_release_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(CannotStart, match="newer release"):
        Journal(path, SteppedClock())


def test_a_full_disk_is_an_error_and_loses_nothing(journal: Journal) -> None:
    with journal.transaction() as transaction:
        transaction.append([event(1)])
    # SQLite's own bound answers as a full disk does.
    pages = journal._database.execute("PRAGMA page_count").fetchone()[0]
    journal._database.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(JournalUnwritable, match="full"), journal.transaction() as transaction:
        transaction.put("call", "1", b"x" * 1_000_000)
    assert [entry.request for entry in journal.head(10)] == [event(1)]
    journal._database.execute("PRAGMA max_page_count = 100000")
    with journal.transaction() as transaction:
        transaction.append([event(2)])
    assert len(journal.head(10)) == 2


def test_the_last_of_the_disk_is_left_for_taking_out_what_was_sent(path: Path) -> None:
    with closing(Journal(path, SteppedClock())) as journal, journal.transaction() as transaction:
        transaction.append([event(1)])
    # No disk has so much.
    with closing(Journal(path, SteppedClock(), JournalLimits(min_free_bytes=1 << 60))) as journal:
        with pytest.raises(JournalUnwritable, match="are left for"), journal.transaction():
            pass
        journal.settle(journal.head(1), [])
        journal.forget_inputs()
        assert journal.head(1) == []


def test_what_became_empty_goes_back_to_the_disk(path: Path) -> None:
    long = PublishEvent({"id": "1", "type": "x.session-status", "data": {"reason": "x" * 100_000}})
    with closing(Journal(path, SteppedClock())) as journal:
        for _ in range(10):
            with journal.transaction() as transaction:
                transaction.append([long] * 10)
        journal.settle(journal.head(100), [])
        journal.forget_inputs()
    assert path.stat().st_size < 1_000_000
