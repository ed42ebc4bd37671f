"""SIPp as the parties of calls: scenarios of tests/gateways/scenarios/, each a process to its end.

The scenarios name their SDP files, so SIPp runs in their folder.
"""

import socket
import subprocess
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.gateways.harness.ports import free_port
from tests.harness.commands import eventually

__all__ = ["SCENARIOS", "Party", "Sipp"]

SCENARIOS: Final = Path(__file__).parent.parent / "scenarios"
_BOUND_S: Final = 30


@dataclass(slots=True)
class Party:
    """A scenario that runs. Its port is bound."""

    process: "subprocess.Popen[bytes]"
    log: Path

    def finish(self) -> None:
        """It did all that its scenario has."""
        try:
            status = self.process.wait(_BOUND_S)
        finally:
            self.kill()
        assert status == 0, self.log.read_text(errors="replace")[-3000:]

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@dataclass(slots=True)
class Sipp:
    """Parties of the Kamailio at `port`. What still runs at the end is to be killed: `close`."""

    port: int
    folder: Path
    parties: list[Party] = field(default_factory=list)

    def close(self) -> None:
        for party in self.parties:
            party.kill()

    def begin(
        self, scenario: str, *options: str, port: int | None = None, service: str = "bob", calls: int = 1
    ) -> Party:
        port = port or free_port(socket.SOCK_DGRAM)
        log = self.folder / f"{len(self.parties)}-{scenario}.log"
        messages = log.with_suffix(".msg")
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["sipp", f"127.0.0.1:{self.port}", "-sf", str(SCENARIOS / f"{scenario}.xml"), "-s", service,
                 "-i", "127.0.0.1", "-p", str(port), "-m", str(calls), "-nostdin",
                 "-trace_err", "-error_file", str(messages), *options],
                stdout=output, stderr=output, stdin=subprocess.DEVNULL, cwd=SCENARIOS,
            )  # fmt: skip
        party = Party(process, log)
        self.parties.append(party)
        eventually(lambda: process.poll() is not None or _is_bound(port))
        return party

    def run(self, scenario: str, *options: str, service: str = "bob", calls: int = 1) -> None:
        self.begin(scenario, *options, service=service, calls=calls).finish()

    def register(
        self, user: str, contact_port: int, expires_s: int = 600, *, sequence: int = 1, instance: str = ""
    ) -> None:
        """0 unregisters."""
        self.run(
            "register",
            *("-key", "contact_port", str(contact_port), "-key", "expires", str(expires_s)),
            *("-key", "instance", instance or str(uuid.uuid5(uuid.NAMESPACE_OID, user))),
            *("-key", "seq", str(sequence)),
            service=user,
        )


def _is_bound(port: int) -> bool:
    """Of UDP. It is looked up: to bind it for a try would take it from who is about to."""
    sockets = Path("/proc/net/udp").read_text().splitlines()[1:]
    return any(int(line.split()[1].rpartition(":")[2], 16) == port for line in sockets)
