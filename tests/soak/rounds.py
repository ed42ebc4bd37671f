"""One round: subscriptions, events, some faults, and the verdict, on a service that goes on."""

import os
from pathlib import Path
from typing import Any

from tests.chaos.dead_letters import by_event
from tests.chaos.inbox import Inbox
from tests.chaos.processes import Process
from tests.chaos.run import PARTITIONS, Run
from tests.chaos.service import Service
from tests.harness.valkeys import ValkeyServer
from webrtc_events.store.keys import Partition

__all__ = ["Round", "figures_of"]


class Round(Run):
    """A run on what is there already.

    `steady` and `mortal` are its workers: only the second is done something to. `garbled` counts entries that
    were damaged, `neighbours_token` is for clients that are not checked.
    """

    steady: Process
    mortal: Process
    api: Process
    neighbours_token: str

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.garbled = 0

    def join(self, service: Service, inbox: Inbox, valkey: ValkeyServer, neighbours_token: str) -> None:
        self.service, self.inbox, self.valkey = service, inbox, valkey
        self.neighbours_token = neighbours_token
        self.api = service.processes["api"]
        self.steady, self.mortal = service.processes["worker-1"], service.processes["worker-2"]
        self.healthy_sinks()

    def healthy_sinks(self) -> None:
        self.inbox.plan(delay_ms=[0, 20])

    def dead_letters(self) -> dict[tuple[str, int], str]:
        """Of the subscriptions of this round, but for entries that were damaged on purpose."""
        ours = {subscriber.id for subscriber in self.subscribers}
        return by_event(
            fields
            for fields in self.dead_letter_fields()
            if fields["subscription"] in ours and fields["reason"] != "damaged"
        )

    def damaged_entries(self) -> int:
        """How many entries became dead letters because they could not be read."""
        return sum(fields["reason"] == "damaged" for fields in self.dead_letter_fields())

    def forget_all(self) -> None:
        """Removes what the next round is not to find: dead letters, and what the sinks received."""
        with self.client() as client:
            for number in range(PARTITIONS):
                client.delete(Partition(number).dead)
            # As an operator drops what was damaged, once it is known.
            for key in client.scan_iter(match="set-aside:*", count=1_000):
                client.delete(key)
        self.inbox.forget()


def figures_of(pid: int) -> dict[str, float]:
    """Resident memory in MB of a process, and, which root may see (core/process.py), open descriptors."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
    found = {"MB": int(line.split()[1]) / 1024}
    if os.geteuid() == 0:
        found["descriptors"] = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return found
