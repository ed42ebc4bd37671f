"""What a real Kamailio kept makes the same events again: if it comes twice, in pieces, after crashes."""

import json
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.gateways.record import RUNS
from tests.gateways.recorded import CALLS, RECORDS, Recording, events_of, new_intake, requests_of
from webrtc_events.core.clock import SystemClock
from webrtc_events.gateways.journal import Journal
from webrtc_events.gateways.kamailio.intake import Batch, Position
from webrtc_events.gateways.network_requests import PutRegistration


def expected(name: str) -> list[dict[str, Any]]:
    text = (CALLS / f"kamailio-{name}.ndjson").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("name", RUNS)
def test_a_recording_makes_the_same_events(name: str, journal: Journal) -> None:
    recording = Recording.read(RECORDS / f"{name}.records")
    new_intake(journal, SystemClock()).take(recording.batch(1, len(recording.records)))
    assert events_of(journal) == expected(name)
    puts = [request for request in requests_of(journal) if isinstance(request, PutRegistration)]
    assert {put.registration_id for put in puts} == {f"bob.{name}"}


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(sorted(RUNS)), st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), max_size=4))
def test_batches_that_overlap_and_crashes_change_nothing(name: str, spans: list[tuple[int, int]]) -> None:
    """Kamailio sends again what was not acknowledged; a killed adapter knows what is in its journal."""
    recording = Recording.read(RECORDS / f"{name}.records")
    last = len(recording.records)
    with TemporaryDirectory() as folder, closing(Journal(Path(folder) / "queue", SystemClock())) as journal:
        for first, size in [*spans, (1, last)]:
            done = new_intake(journal, SystemClock()).position().number
            begin = min(first, done + 1)
            end = min(last, begin + size)
            if end >= begin:
                assert new_intake(journal, SystemClock()).take(recording.batch(begin, end)) == 0
        assert events_of(journal) == expected(name)


def test_a_record_that_kamailio_had_no_room_for_is_noticed(journal: Journal) -> None:
    recording = Recording.read(RECORDS / "answered.records")
    new_intake(journal, SystemClock()).take(recording.batch(1, 2))
    records = [record for record in recording.batch(3, 5).records if record[0] != 4]
    intake = new_intake(journal, SystemClock())
    assert intake.take(Batch(recording.boot, 3, 5, records)) == 1
    assert intake.position() == Position(recording.boot, 5, incomplete=True)
    intake.complete()
    assert not intake.position().incomplete


def test_a_new_journal_begins_with_what_it_finds(journal: Journal) -> None:
    recording = Recording.read(RECORDS / "answered.records")
    intake = new_intake(journal, SystemClock())
    assert intake.take(recording.batch(4, 5)) == 0
    # What was registered before is still to be asked for.
    assert intake.position() == Position(recording.boot, 5, incomplete=True)
    intake.complete()
    assert intake.position() == Position(recording.boot, 5)


def test_another_run_of_kamailio_counts_from_1(journal: Journal) -> None:
    first, second = (Recording.read(RECORDS / f"{name}.records") for name in ("hold-resume", "busy"))
    intake = new_intake(journal, SystemClock())
    intake.take(first.batch(1, len(first.records)))
    intake.take(second.batch(1, len(second.records)))
    assert events_of(journal) == expected("hold-resume") + expected("busy")


def test_the_records_are_where_the_module_says(tmp_path: Path) -> None:
    recording = Recording.read(RECORDS / "busy.records")
    recording.write(tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == (RECORDS / "busy.records").read_text()
