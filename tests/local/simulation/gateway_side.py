"""A gateway side that records what it is sent, and answers as a test says."""

import json
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

from tests.harness.clocks import SteppedClock

__all__ = ["GatewaySide", "SteppedStop", "gateway_side"]


class SteppedStop:
    """A stop request whose `wait` moves the clock. It sets itself when the clock reaches `at_s`."""

    def __init__(self, clock: SteppedClock, at_s: float | None = None) -> None:
        self._clock = clock
        self._at_s = at_s
        self._asked = Event()

    def set(self) -> None:
        self._asked.set()

    def is_set(self) -> bool:
        return self._asked.is_set()

    def wait(self, timeout: float) -> bool:
        if not self._asked.is_set():
            self._clock.sleep(timeout)
            if self._at_s is not None and self._clock.elapsed >= self._at_s:
                self._clock.elapsed = self._at_s
                self._asked.set()
        return self._asked.is_set()


@dataclass
class GatewaySide:
    """`batches` are the events of each request, with the clock's seconds at which it came.

    `answers` are statuses for the next requests, then 202; `rejected` are the numbers of the requests, from
    0, whose first event is rejected. While `open` is not set, requests wait for their answer.
    """

    clock: SteppedClock
    url: str = ""
    batches: list[tuple[float, list[dict[str, Any]]]] = field(default_factory=list)
    answers: deque[int] = field(default_factory=deque)
    rejected: set[int] = field(default_factory=set)
    open: Event = field(default_factory=Event)

    @property
    def events(self) -> list[tuple[float, dict[str, Any]]]:
        return [(at_s, event) for at_s, batch in self.batches for event in batch]

    def answer(self, body: bytes) -> tuple[int, dict[str, Any]]:
        number, batch = len(self.batches), json.loads(body)
        self.batches.append((self.clock.elapsed, batch))
        self.open.wait(30)
        status = self.answers.popleft() if self.answers else 202
        if status != 202:
            return status, {"status": status, "code": "A_CODE", "message": f"refused with {status}"}
        results = [{"id": event["id"], "status": "accepted", "subscriptions": 1} for event in batch]
        if number in self.rejected:
            results[0] |= {"status": "rejected", "subscriptions": 0, "message": "data: is not right"}
        return status, {"results": results}


@contextmanager
def gateway_side(clock: SteppedClock) -> Iterator[GatewaySide]:
    side = GatewaySide(clock)
    side.open.set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # An answer in one piece: its body would wait until its head is acknowledged.
        wbufsize = -1

        def do_POST(self) -> None:
            status, answer = side.answer(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing is written to the tests' output."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        side.url = f"http://127.0.0.1:{server.server_port}/network/v0"
        yield side
        server.shutdown()
        thread.join()
