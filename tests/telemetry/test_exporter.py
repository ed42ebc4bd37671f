"""The metrics of a process: alone, and in a group."""

import errno
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.harness.builders import append, created, invitation
from tests.harness.clocks import SteppedClock
from tests.harness.commands import eventually
from tests.harness.scrapes import scrape
from tests.harness.sinks import RecordingSink
from webrtc_events.core.activity import Activity
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.setting_values import HostPort
from webrtc_events.core.settings import Settings
from webrtc_events.core.start_faults import CannotStart
from webrtc_events.store.store import Store
from webrtc_events.telemetry import sources
from webrtc_events.telemetry.exporter import Exporter
from webrtc_events.telemetry.families import FAMILIES
from webrtc_events.telemetry.listener import listen
from webrtc_events.telemetry.process_group import Place, ProcessGroup
from webrtc_events.telemetry.snapshot import Snapshot
from webrtc_events.worker import Worker

LOCAL = HostPort("127.0.0.1", 0)


@pytest.fixture
def group() -> Iterator[ProcessGroup]:
    found = ProcessGroup.open(LOCAL)
    yield found
    found.close()


class Member:
    """A process of the group, as far as its metrics go."""

    def __init__(self, group: ProcessGroup, clock: SteppedClock) -> None:
        number = group.take()
        assert number is not None
        self.number = number
        self.activity = Activity()
        self.exporter = Exporter(("api",), clock, group.listener, Place(group.slots, number, group.listener))
        self.exporter.add(sources.of_acceptance(self.activity))
        self.exporter.start()


def test_a_process_alone_says_what_is_so_when_it_is_scraped() -> None:
    activity, clock = Activity(), SteppedClock()
    exporter = Exporter(("api", "worker"), clock, listen(LOCAL))
    exporter.add(sources.of_acceptance(activity), sources.of_delivery(activity))
    exporter.start()
    assert exporter.url is not None
    assert scrape(exporter.url)("events_accepted_total") == 0
    activity.accepted += 2
    activity.retries["http_503"] += 1
    activity.retries["http_599"] += 2
    # The versions of the contract have names of their own for a type.
    activity.deliveries["org.camaraproject.webrtc-events.v0.session-status"] += 3
    activity.deliveries["org.camaraproject.webrtc-events-subscriptions.v0.session-status"] += 4
    found = scrape(exporter.url)
    assert found("events_accepted_total") == 2
    assert found("retries_total", reason="http_5xx") == 3
    assert found("deliveries_total", type="session-status") == 7
    assert (found("processes", process="api"), found("processes", process="worker")) == (1, 1)
    exporter.stop()
    # The second time.
    listen(HostPort("127.0.0.1", int(exporter.url.split(":")[2].split("/")[0]))).close()


def test_what_the_api_and_the_worker_of_a_serve_give_up_adds_up() -> None:
    api, worker = Activity(), Activity()
    exporter = Exporter(("api", "worker"), SteppedClock(), listen(LOCAL))
    exporter.add(sources.of_acceptance(api), sources.of_delivery(worker))
    exporter.start()
    assert exporter.url is not None
    # The oldest of a full outbox: the store gives it up in the call of the API that appends.
    api.give_up("outbox_full", 2)
    worker.give_up("outbox_full")
    worker.give_up("refused")
    found = scrape(exporter.url)
    assert found("given_up_total", reason="outbox_full") == 3
    assert found("given_up_total", reason="refused") == 1
    exporter.stop()


def test_whoever_of_a_group_answers_says_the_whole(group: ProcessGroup) -> None:
    members = [Member(group, SteppedClock()) for _ in range(3)]
    for number, member in enumerate(members, start=1):
        member.activity.accepted += number
    url = members[0].exporter.url
    assert url is not None
    # Each writes what it has by then.
    eventually(lambda: scrape(url)("events_accepted_total") == 6)
    assert scrape(url)("processes", process="api") == 3
    for member in members:
        member.exporter.stop()


def test_totals_neither_lose_nor_double_what_a_process_counted_that_ended(group: ProcessGroup) -> None:
    clock = SteppedClock()
    first, second = Member(group, clock), Member(group, clock)
    first.activity.accepted, second.activity.accepted = 5, 7
    url = second.exporter.url
    assert url is not None
    first.exporter.stop()
    group.note_end(first.number)
    found = scrape(url)
    assert (found("events_accepted_total"), found("processes", process="api")) == (12, 1)
    # Another comes in its place, and again.
    for count in (1, 2):
        third = Member(group, clock)
        assert third.number == first.number
        third.activity.accepted = 10
        third.exporter.stop()
        found = scrape(url)
        assert (found("events_accepted_total"), found("processes", process="api")) == (12 + 10 * count, 2)
        group.note_end(third.number)
    second.exporter.stop()


def test_a_write_that_fails_is_said_and_the_next_one_makes_up_for_it(
    group: ProcessGroup, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    member = Member(group, SteppedClock())
    url = member.exporter.url
    assert url is not None
    write = os.pwrite

    def full(descriptor: int, *_: Any) -> int:
        if descriptor == group.slots.descriptor:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, *_)

    eventually(lambda: scrape(url)("processes", process="api") == 1)
    monkeypatch.setattr(os, "pwrite", full)
    member.activity.accepted = 3
    assert scrape(url)("events_accepted_total") == 0
    group.note_end(5)
    assert "the metrics of this process are not up to date: [Errno 28] No space left on device" in caplog.text
    monkeypatch.setattr(os, "pwrite", write)
    assert scrape(url)("events_accepted_total") == 3
    member.exporter.stop()


def test_the_slots_of_processes_that_ended_are_taken_again(group: ProcessGroup) -> None:
    assert [group.take() for _ in range(3)] == [0, 1, 2]
    group.note_end(1)
    assert [group.take() for _ in range(2)] == [1, 3]


def test_a_process_too_many_is_in_no_metrics_and_that_is_said(
    group: ProcessGroup, caplog: pytest.LogCaptureFixture
) -> None:
    assert [group.take() for _ in range(512)] == [*range(512)]
    assert group.take() is None
    assert "a process is in no metrics: more than 512 run" in caplog.text


def test_what_a_whole_worker_says_can_be_read_by_its_parent(
    group: ProcessGroup, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    number = group.take()
    assert number == 0
    exporter = Exporter(("worker",), SystemClock(), None, Place(group.slots, number))
    worker = Worker.build(settings, SystemClock(), exporter=exporter)
    worker.start()
    exporter.start()
    eventually(lambda: "outbox_events" in (group.slots.read(0) or Snapshot(0.0, {})).values)
    worker.stop()
    exporter.stop()
    snapshot = group.slots.read(0)
    assert snapshot is not None
    api = {name for name in FAMILIES if name.startswith(("events_", "http_", "channel_"))}
    assert snapshot.values.keys() | api | {"store_memory_watermark_bytes"} == FAMILIES.keys()
    assert "are not as they should be" not in caplog.text


def test_what_another_release_wrote_is_left_out_and_said_once(
    group: ProcessGroup, caplog: pytest.LogCaptureFixture
) -> None:
    group.slots.write(0, Snapshot(1.0, {"store_check": {("clock",): True}}))
    assert group.slots.read_all() == group.slots.read_all() == []
    assert caplog.text.count("the metrics of a process are not as they should be: ") == 1


def test_without_room_for_metrics_the_start_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system has no files in memory, and no folder for temporary files."""
    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    with pytest.raises(CannotStart, match="there is no room for metrics: No such file or directory"):
        ProcessGroup.open(LOCAL)


def test_who_scrapes_and_is_silent_holds_up_no_delivery(environ: dict[str, str], store: Store) -> None:
    with RecordingSink() as sink, ExitStack() as stack:
        settings = Settings.from_environ(environ | {"WEBRTC_EVENTS_SINK_CA_FILE": str(sink.ca_file)})
        exporter = Exporter(("worker",), SystemClock(), listen(LOCAL))
        url = exporter.url
        assert url is not None
        worker = Worker.build(settings, SystemClock(), exporter=exporter)
        stack.callback(worker.stop)
        worker.start()
        stack.callback(exporter.stop)
        exporter.start()
        port = int(url.split(":")[2].split("/")[0])
        silent = [stack.enter_context(socket.create_connection(("127.0.0.1", port), 30)) for _ in range(40)]
        for connection in silent[::2]:
            connection.send(b"GET /metrics HTTP/1.0\r\n")
        created(store, sink=sink.url)
        append(store, *(invitation(number) for number in range(1, 51)))
        sink.wait_for(50, 30)
        # The worker counts once it has the answer.
        eventually(lambda: scrape(url)("deliveries_total", type="session-invitation") == 50)
        found = scrape(url)
        assert found("attempt_seconds_count") == found("delivery_seconds_count") == 50
