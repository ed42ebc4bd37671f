"""Records calls of SIPp through a real Kamailio: `python -m tests.gateways.record [NAME ...]`.

For each call it writes what Kamailio's queue held, tests/data/kamailio/NAME.records, and what the adapter
makes of it, tests/data/calls/kamailio-NAME.ndjson. It needs the Debian packages of `make test-gateways`.
"""

import socket
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.gateways.harness.kamailio import Kamailio
from tests.gateways.harness.ports import free_port
from tests.gateways.harness.sipp import Sipp
from tests.gateways.recorded import CALLS, RECORDS, Recording, events_of, new_intake, written
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.setting_values import HostPort
from webrtc_events.gateways.journal import Journal
from webrtc_events.gateways.kamailio.connection import Connection
from webrtc_events.gateways.kamailio.intake import Position

__all__ = ["RUNS", "Run", "record"]


@dataclass(frozen=True, slots=True)
class Run:
    """Scenarios of tests/gateways/scenarios/. `expires`: then the callee's registration runs out."""

    callee: str
    caller: str
    expires: bool = False


RUNS: Final = {
    "answered": Run("callee-answers", "caller-hangs-up"),
    "hung-up-by-receiver": Run("callee-hangs-up", "caller-waits"),
    "busy": Run("callee-is-busy", "caller-gets-486"),
    "declined": Run("callee-declines", "caller-gets-603"),
    "no-answer": Run("callee-rings", "caller-gets-408"),
    "cancelled": Run("callee-rings", "caller-cancels"),
    "hold-resume": Run("callee-is-held", "caller-holds"),
    "early-media": Run("callee-progress", "caller-hangs-up"),
    "registration-expired": Run("callee-answers", "caller-hangs-up", expires=True),
}


def record(name: str, folder: Path) -> Recording:
    """The queue of a Kamailio after a call, from its start on."""
    run, user = RUNS[name], f"bob.{name}"
    contact = free_port(socket.SOCK_DGRAM)
    with Kamailio(folder, NO_ANSWER_MS=2000, MIN_REGISTRATION_S=1, WEBRTC_EVENTS_IDLE_S=2) as kamailio:
        sipp = Sipp(kamailio.port, folder)
        sipp.register(user, contact)
        answering = sipp.begin(run.callee, port=contact, service=user)
        sipp.run(run.caller, "-cid_str", f"{name}.%u@sipp.example.com", service=user)
        answering.finish()
        if run.expires:
            sipp.register(user, contact, 2, sequence=2)
        return _queue(HostPort("127.0.0.1", kamailio.evapi), expects=b"7:expired," if run.expires else b"")


def _queue(evapi: HostPort, expects: bytes) -> Recording:
    """All of it, up to a record that has `expects`."""
    records: list[bytes] = []
    position = Position()
    with closing(Connection(evapi, 15.0)) as connection:
        while True:
            batch = connection.next_batch(position)
            records += [data for _, data in batch.records]
            position = Position(batch.boot, batch.last)
            if not batch.records and any(expects in data for data in records):
                return Recording(batch.boot, tuple(records))


def _main(names: list[str], say: Callable[[str], object]) -> None:
    RECORDS.mkdir(exist_ok=True)
    clock = SystemClock()
    for name in names or RUNS:
        with tempfile.TemporaryDirectory() as folder:
            recording = record(name, Path(folder))
            recording.write(RECORDS / f"{name}.records")
            journal = Journal(Path(folder) / "queue", clock)
            with closing(journal):
                new_intake(journal, clock).take(recording.batch(1, len(recording.records)))
                events = events_of(journal)
        (CALLS / f"kamailio-{name}.ndjson").write_text(written(events), encoding="utf-8")
        say(f"{name}: {len(recording.records)} records, {len(events)} events\n")


if __name__ == "__main__":
    _main(sys.argv[1:], sys.stdout.write)
