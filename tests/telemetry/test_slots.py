"""The file that processes of a group share: whole, whatever becomes of who writes."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from webrtc_events.telemetry.slots import Slots, SlotTooSmall
from webrtc_events.telemetry.snapshot import HistogramValue, Snapshot


@pytest.fixture
def slots() -> Iterator[Slots]:
    found = Slots.make()
    yield found
    found.close()


def delivered(count: int, at_s: float = 1.0) -> Snapshot:
    return Snapshot(at_s, {"deliveries_total": {("session-status",): count}, "channel_readers": {(): 2}})


def test_what_was_written_last_is_read(slots: Slots) -> None:
    histogram = HistogramValue((1, 2, 3), 0.5)
    for count in range(5):
        slots.write(3, Snapshot(1.0, {"attempt_seconds": {(): histogram}, "sweeps_total": {(): count}}))
    assert slots.read(3) == Snapshot(1.0, {"attempt_seconds": {(): histogram}, "sweeps_total": {(): 4}})


def test_a_slot_that_nobody_wrote_to_says_nothing(slots: Slots) -> None:
    slots.write(2, delivered(1))
    assert slots.read(0) is slots.read(1) is slots.read(7) is None
    assert slots.read_all() == [delivered(1)]


def test_a_writer_that_died_in_the_middle_left_what_it_wrote_before(slots: Slots) -> None:
    slots.write(0, delivered(1))
    slots.write(0, delivered(2))
    # As far as it came with the next one, which is in the place of the first.
    raw = os.pread(slots.descriptor, 128 * 1024, 0)
    torn = b"\x03" + b"\x00" * 7 + b"\xff" * 40
    for place in (0, 64 * 1024):
        if raw[place] == 1:
            os.pwrite(slots.descriptor, torn, place)
    assert slots.read(0) == delivered(2)


def test_damage_says_nothing_and_is_written_over(slots: Slots) -> None:
    slots.write(0, delivered(1))
    os.pwrite(slots.descriptor, os.urandom(128 * 1024), 0)
    assert slots.read(0) is None
    another = Slots(slots.descriptor)
    another.write(0, delivered(5))
    assert another.read(0) == slots.read(0) == delivered(5)


def test_what_a_process_counted_stays_after_its_end_and_what_it_had_goes(slots: Slots) -> None:
    slots.write(0, delivered(4))
    slots.note_end(0)
    (left,) = slots.read_all()
    assert left == Snapshot(1.0, {"deliveries_total": {("session-status",): 4}}, lives=False)


def test_another_process_goes_on_after_who_wrote_before(slots: Slots) -> None:
    slots.write(0, delivered(1))
    child = Slots(slots.descriptor)
    for count in (2, 3, 4):
        child.write(0, delivered(count))
    slots.note_end(0)
    assert slots.read(0) == Snapshot(1.0, {"deliveries_total": {("session-status",): 4}}, lives=False)


def test_what_does_not_fit_leaves_what_was_there(slots: Slots) -> None:
    slots.write(0, delivered(1))
    many = Snapshot(2.0, {"http_requests_total": {(f"operation{n}", "200"): n for n in range(10_000)}})
    with pytest.raises(SlotTooSmall, match="bytes of metrics do not fit into"):
        slots.write(0, many)
    assert slots.read(0) == delivered(1)


def test_nothing_is_left_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the system has no files in memory."""
    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    slots = Slots.make()
    slots.write(1, delivered(1))
    assert slots.read(1) == delivered(1)
    assert list(tmp_path.iterdir()) == []
    slots.close()
