"""The sinks' side of a run: starts the process with the sinks, reads its journal as it grows."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Container, Sequence
from pathlib import Path
from typing import Any, Self

import trustme

from tests.chaos.verdict import END, Attempt
from webrtc_events.local.stack import child

__all__ = ["Inbox"]

_SCRIPT = Path(__file__).with_name("sink_process.py")
_ENDED = "subscription-ended"


class Inbox:
    """A context. `attempts` are those read so far; `refresh` reads on."""

    def __init__(self, directory: Path, seed: str, sinks: int = 1) -> None:
        self.ca_file = directory / "ca.pem"
        self.journal = directory / "sinks.journal"
        self.attempts: list[Attempt] = []
        self.taken: dict[str, set[int]] = {}
        self._certificate = directory / "sink.pem"
        self._arguments = (str(self._certificate), str(self.journal), str(sinks), seed)
        self._by_request: dict[int, Attempt] = {}
        self._unfinished_line = b""
        self._lines = 0
        self._read_to = 0
        self._reading = threading.Lock()

    def __enter__(self) -> Self:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.ca_file))
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(self._certificate))
        self.journal.touch()
        wrapper = [sys.executable, "-I", "-S", child.__file__, str(os.getpid()), "-1"]
        self._process = subprocess.Popen(
            [*wrapper, sys.executable, str(_SCRIPT), *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.ports: list[int] = json.loads(self._line())
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        # Closes the pipes too.
        self._process.communicate()

    def url(self, path: str, sink: int = 0) -> str:
        return f"https://127.0.0.1:{self.ports[sink]}{path}"

    def plan(self, sink: int = 0, **plan: Any) -> None:
        """How that sink answers from now on, see `sink_process`; what is not given has its default."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"sink": sink, **plan}) + "\n")
        self._process.stdin.flush()
        self._line()

    def refresh(self) -> None:
        """From any thread."""
        with self._reading:
            self._read()

    def _read(self) -> None:
        with self.journal.open("rb") as journal:
            journal.seek(self._read_to)
            new = journal.read()
        self._read_to += len(new)
        *lines, self._unfinished_line = (self._unfinished_line + new).split(b"\n")
        for line in lines:
            self._lines += 1
            (self._arrived if line.startswith(b"a ") else self._answered)(line)

    def forget(self) -> None:
        """What was received so far. Nothing is to be under way."""
        with self._reading:
            self._read()
            self.attempts.clear()
            self.taken.clear()
            self._by_request.clear()
            # It is written at its end, wherever that is.
            os.truncate(self.journal, 0)
            self._read_to = 0
            self._unfinished_line = b""

    @property
    def under_way(self) -> int:
        """How many attempts have no answer yet, and may still get one."""
        return len(self._by_request)

    def ends_under_way(self, subscriptions: Container[str]) -> int:
        """How many of the ends of these are among them."""
        attempts = self._by_request.values()
        return sum(attempt.event == END and attempt.subscription in subscriptions for attempt in attempts)

    def until(self, holds: Callable[[], bool]) -> Callable[[], bool]:
        """`holds`, asked with what came in by then."""

        def asked() -> bool:
            self.refresh()
            return holds()

        return asked

    def max_in_flight(self, attempts: Sequence[Attempt]) -> int:
        """How many of these were on their way to an answer at the same time."""
        moments = [(attempt.arrived, 1) for attempt in attempts]
        moments += [(attempt.answered, -1) for attempt in attempts if attempt.answered is not None]
        in_flight = max_in_flight = 0
        for _, change in sorted(moments):
            in_flight += change
            max_in_flight = max(max_in_flight, in_flight)
        return max_in_flight

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the process with the sinks ended"
        return line

    def read(self, channel: str, body: bytes, at_s: float) -> None:
        """A reader of a notification channel, by its URL, was sent this event. From any thread."""
        with self._reading:
            self._lines += 1
            attempt = self._attempt(channel, body, sink=-1, at_s=at_s)
            attempt.answered, attempt.answered_s, attempt.status = self._lines, at_s, 200
            self._take(attempt)

    def _arrived(self, line: bytes) -> None:
        head, _, body = line.partition(b"\t")
        _, request, at_s, sink, _, path = head.decode().split(" ")
        self._by_request[int(request)] = self._attempt(path, body, sink=int(sink), at_s=float(at_s))

    def _attempt(self, path: str, body: bytes, *, sink: int, at_s: float) -> Attempt:
        event = json.loads(body)
        data = event["data"]
        ended = event["type"].endswith(_ENDED)
        attempt = Attempt(
            subscription=data["subscriptionId"],
            number=int(event["id"].rpartition(".")[2]),
            # The end of a registration has no number: it is the only event of its channel.
            event=END if ended else data.get("sequenceNumber", 1),
            reason=data["terminationReason"] if ended else None,
            path=path,
            body=body,
            sink=sink,
            arrived=self._lines,
            arrived_s=at_s,
        )
        assert event["id"] == f"{attempt.subscription}.{attempt.number}", event
        self.attempts.append(attempt)
        return attempt

    def _answered(self, line: bytes) -> None:
        _, request, at_s, status = line.decode().split(" ")
        attempt = self._by_request.pop(int(request))
        attempt.answered, attempt.answered_s, attempt.status = self._lines, float(at_s), int(status)
        if attempt.taken:
            self._take(attempt)

    def _take(self, attempt: Attempt) -> None:
        self.taken.setdefault(attempt.subscription, set()).add(attempt.event)
