"""A reader of a notification channel, as an application is one: it reads, acknowledges, and comes back."""

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException

import redis
import requests

from tests.harness.event_streams import SentEvent, StreamReader
from tests.harness.valkeys import eventually
from webrtc_events.core.clock import SystemClock
from webrtc_events.store.keys import Partition

__all__ = ["ChannelReader"]

CLOCK = SystemClock()
_LOOK_S = 0.05
_AGAIN_S = 0.2
# Events after which it acknowledges, and, drawn, after which it goes and comes back by itself.
_ACKNOWLEDGED = 7
_GOES_AFTER = (20, 200)


@dataclass
class _Counts:
    connections: int = 0
    acknowledged: int = 0
    ends: int = 0
    missed: list[int] = field(default_factory=list)


class ChannelReader:
    """`take` is given the channel's URL as a sink, each event, and when it came.

    `made`: the answer that made the channel. It sends the id of its last event, or, if it `forgets`, begins
    with what it has not acknowledged: what comes again then is passed over. `counts.missed`: as gaps said.
    """

    def __init__(
        self,
        url: str,
        made: Mapping[str, str],
        take: Callable[[str, bytes, float], None],
        draw: random.Random,
        *,
        forgets: bool = False,
    ) -> None:
        self.id, self.sink = made["id"], made["sink"]
        self.counts = _Counts()
        self._url, self._token = url, made["token"]
        self._take, self._draw, self._forgets = take, draw, forgets
        self._last_id = ""
        self._known: set[str] = set()
        self._unacknowledged = 0
        self._reading = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"reader-{self.id[:4]}")

    def start(self) -> None:
        """Begins to read."""
        self._reading.set()
        self._thread.start()

    def stop(self) -> None:
        """It goes for good."""
        self._reading.clear()
        if self._thread.ident is not None:
            self._thread.join()

    def wait_read(self, client: "redis.Redis", timeout_s: float) -> None:
        """Returns once it has read all that its logs have."""
        latest = {}
        for key in client.scan_iter(f"*:channel:{self.id}", count=1_000):
            latest[int(key.partition("}")[0].removeprefix("{"))] = int(client.hget(key, "number") or 0)
        eventually(lambda: _covers(self._last_id, latest), f"{self.id} is read up to {latest}", timeout_s)

    def _run(self) -> None:
        while self._reading.is_set():
            try:
                stream = StreamReader(
                    self._url + "/events", self._token, "" if self._forgets else self._last_id
                )
            except (OSError, HTTPException):
                CLOCK.sleep(_AGAIN_S)
                continue
            try:
                if stream.status == 200:
                    self.counts.connections += 1
                    self._follow(stream)
            finally:
                stream.close()
            CLOCK.sleep(_AGAIN_S)

    def _follow(self, stream: StreamReader) -> None:
        """Until it ends, or it is enough for now."""
        taken, enough = 0, self._draw.randint(*_GOES_AFTER)
        while self._reading.is_set() and taken < enough:
            is_over = stream.ended
            new = stream.events[taken:]
            for event in new:
                self._event(event)
            taken += len(new)
            if is_over and not new:
                return
            if self._unacknowledged >= _ACKNOWLEDGED:
                self._acknowledge()
            CLOCK.sleep(_LOOK_S)

    def _event(self, event: SentEvent) -> None:
        if event.type == "gap":
            self.counts.missed.append(event.json["missed"])
        elif event.type == "end":
            self.counts.ends += 1
        elif not (self._forgets and event.json["id"] in self._known):
            # Where logs are read again, the id of the stream may be another: it has a place in each of them.
            self._known.add(event.json["id"])
            self._unacknowledged += 1
            self._take(self.sink, event.data.encode(), CLOCK.monotonic())
        self._last_id = event.id or self._last_id

    def _acknowledge(self) -> None:
        """If nobody takes it, then with the next ones."""
        headers = {"Authorization": f"Bearer {self._token}"}
        body = {"cursor": self._last_id}
        try:
            answer = requests.put(f"{self._url}/cursor", json=body, headers=headers, timeout=(3, 15))
        except requests.RequestException:
            return
        assert answer.status_code in (204, 503), answer.text
        if answer.status_code == 204:
            self.counts.acknowledged += 1
            self._unacknowledged = 0


def _covers(cursor: str, latest: Mapping[int, int]) -> bool:
    """Whether everything up to these numbers, by partition, was read."""
    read = {}
    for part in filter(None, cursor.split(".")):
        partition, _, number = part.partition("-")
        read[Partition(int(partition)).number] = int(number)
    return all(read.get(partition, 0) >= number for partition, number in latest.items())
